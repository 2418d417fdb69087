--- One read of a log: sends commands and takes their replies, over one connection; over
--- another one, if it has to begin again. pages.lua reads the entries.

local Error = require "eventlog.base.error"
local log_state = require "eventlog.command.log_state"
local page_size = require "eventlog.command.page_size"
local pages = require "eventlog.log.pages"
local script_command = require "eventlog.command.script_command"
local scripts = require "eventlog.command.scripts"
local system = require "eventlog.base.system"
local verdict = require "eventlog.command.verdict"
local xinfo = require "eventlog.command.xinfo"

local Reader = {}
Reader.__index = Reader
Reader.__name = "eventlog.Reader"

local M = {}

---@param log eventlog.Log
---@param method "forwards"|"last"|"last_from"|"newest_id" what it reads
---@param a any what that method is given
---@param b any
function M.new(log, method, a, b)
  local size, most = log.page_size, log.settings.batch_size
  return setmetatable({
    name = log.name,
    as_pairs = log.settings.fields == "pairs",
    method = method,
    a = a,
    b = b,
    size = size, -- the most entries in a page
    most = most, -- what that may grow to again
    alone = false, -- whether no reply may have more than one entry, or be due beside
    -- another one
    give_up = system.now() + log.client.settings.reconnect_timeout,
    -- A connection that pages were too large for is not taken for a dead one.
    doubts_stale = size < most,
    connection = nil, -- where it reads now, and with what:
    abilities = nil,
    decoder = nil,
    request = nil,
    has_entries = false, -- whether what is asked has entries in its reply
    whole = false, -- whether one page is asked for, however large
    state = nil, -- where the log stood at the moment that is read
    asked_by = nil, -- the way in which a state was asked for that is due
  }, Reader)
end

-- --- as a command of call.lua ----------------------------------------------

--- It sends by itself.
function Reader:encode() -- luacheck: no self
  return 0
end

function Reader:read(connection, request)
  self.connection, self.request = connection, request
  self.decoder, self.abilities = connection.decoder, connection.abilities
  self.page_size = self.size
  self.has_entries, self.whole, self.state, self.asked_by = false, false, nil, nil
  return self[self.method](self, self.a, self.b)
end

--- What to do about an error, as verdict.of() says it: a page that was too large is
--- asked for again with fewer entries, for up to reconnect_timeout.
---@return string what
---@return eventlog.Error err to report
function Reader:review(what, err)
  if what == "anew" and not (self.has_entries and self.doubts_stale) then
    self.doubts_stale = true
    return what, err
  end
  if what == "elsewhere" then return what, err end
  if not (self.has_entries and page_size.was_too_large(self.connection, err)) then
    return "never", err
  elseif self.whole then
    return "never", page_size.restless(err, self.page_size)
  elseif self.alone then
    return "never", page_size.hopeless(err)
  elseif system.now() >= self.give_up then
    return "never", err
  end
  self.size = page_size.smaller(self.page_size)
  self.alone = self.size == 1
  return "anew", err
end

--- How many entries the log's next read is to have in a page.
---@return integer size
function Reader:next_size()
  return self.has_entries and page_size.larger(self.size, self.most) or self.size
end

-- --- what it reads ---------------------------------------------------------

Reader.forwards = pages.forwards
Reader.last = pages.last
Reader.last_from = pages.last_from

--- Sends what was appended to the request, to which so many replies will come.
---@return true|nil ok
---@return eventlog.Error? err
function Reader:send(replies)
  return self.connection:send(self.request, replies)
end

--- The next reply's type; the decoder has the reply. Or nil, err, also if it
--- is an error.
---@return string|nil kind
---@return eventlog.Error? err
function Reader:reply()
  local kind, err = self.connection:reply()
  if kind ~= "error" then return kind, err end
  return nil, Error.from_server(self.decoder:value())
end

--- Sends a command. Returns as reply() does.
function Reader:call(...)
  self.request:command(...)
  local ok, err = self:send(1)
  if not ok then return nil, err end
  return self:reply()
end

--- The state of the script that tells it without the entries.
local function state_by_script(self)
  local whole, refused = false, nil
  while true do
    local command, text = script_command.reading(self.abilities, scripts.state, whole)
    local kind, err = self:call(command, text, 1, self.name, "0-0", 1)
    if kind then
      local list, failure, why = self.decoder:strings(1, log_state.SIZE)
      local state = list and log_state.parse(list)
      if state then return state end
      return self.connection:reject(failure or "protocol",
        why or "no log can stand there")
    end
    local how, final = verdict.of_script(err, self.abilities, command, refused)
    if not how then return nil, final end
    if how == "whole" then whole = true else refused = err end
  end
end

--- Appends the question where the log stands. Returns how many replies it has.
---@param way integer? of xinfo.lua; nil: the server's
function Reader:want_state(way)
  self.asked_by = way or self.abilities.asks_state_by
  return xinfo.ask(self.asked_by, self.request, self.name)
end

--- The state that is due: as xinfo.take().
---@return eventlog.PlainState|nil state
---@return eventlog.Error? err
---@return boolean? refused
function Reader:take_state()
  local way = self.asked_by
  self.asked_by = nil
  local kind, err = self.connection:reply()
  if not kind then return nil, err end
  return xinfo.take(way, self.connection, kind)
end

--- The same, of a question of its own.
function Reader:get_state(way)
  if self.alone then
    local state, err = state_by_script(self)
    if state or err.kind ~= "server" or Error.passes(err) then return state, err end
    way = way or xinfo.NEWEST_ONLY
  end
  local ok, err = self:send(self:want_state(way))
  if not ok then return nil, err end
  return self:take_state()
end

--- The id that the log generated last.
---@return string|nil id
---@return eventlog.Error? err
function Reader:newest_id()
  self.has_entries, self.page_size = true, 1 -- so has XINFO's reply
  local state, err, refused
  for way in xinfo.ways_to_last_id(self.abilities) do
    state, err, refused = self:get_state(way)
    if not refused then break end
  end
  if err and err.too_large then
    local last = xinfo.last_of_part(self.decoder)
    if last then return last end
  end
  return state and state.last, err
end

return M
