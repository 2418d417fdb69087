--- One operation on a log that only reads, or deletes it, over one connection:
--- sends commands and takes their replies. pages.lua reads the entries.

local Error = require "eventlog.base.error"
local log_state = require "eventlog.command.log_state"
local page_size = require "eventlog.command.page_size"
local pages = require "eventlog.log.pages"
local reading_script = require "eventlog.command.reading_script"
local scripts = require "eventlog.command.scripts"
local xinfo = require "eventlog.command.xinfo"

local Reader = {}
Reader.__index = Reader
Reader.__name = "eventlog.Reader"

local M = {}

---@param connection table one that is established
---@param request userdata an empty one
---@param log eventlog.Log
---@param size integer the most entries in a page
---@param alone boolean whether no reply may have more than one entry, or be due
---  beside another one
function M.new(connection, request, log, size, alone)
  return setmetatable({
    abilities = connection.abilities,
    connection = connection,
    decoder = connection.decoder,
    request = request,
    name = log.name,
    page_size = size,
    as_pairs = log.settings.fields == "pairs",
    alone = alone,
    has_entries = false, -- whether what is asked has entries in its reply
    whole = false, -- whether one page is asked for, however large
    state = nil, -- where the log stood at the moment that is read
    asked_by = nil, -- the way in which a state was asked for that is due
  }, Reader)
end

Reader.forwards = pages.forwards
Reader.last = pages.last
Reader.last_from = pages.last_from

--- Sends what was appended to the request, to which so many replies will come.
---@return true|nil ok
---@return eventlog.Error? err
function Reader:send(replies)
  return self.connection:send(self.request, replies)
end

--- The next reply's type; the decoder has the reply. Or nil, err, also where it
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

--- A command whose reply is this type: its value, or nil, err.
function Reader:value(expected, ...)
  local kind, err = self:call(...)
  if not kind then return nil, err end
  if kind == expected then return self.decoder:value() end
  return self.connection:reject("protocol", "the reply is not " .. (...) .. "'s")
end

--- A script on keys, the log first; sent whole where the server has forgotten
--- it.
---@param expected string the reply's type
---@param script table of scripts.lua
function Reader:script(expected, script, ...)
  local keys = select("#", ...)
  local value, err = self:value(expected, "EVALSHA", script.sha, keys, ...)
  if err and err.code == "NOSCRIPT" then
    return self:value(expected, "EVAL", script.body, keys, ...)
  end
  return value, err
end

--- The state of the script that tells it without the entries.
local function state_by_script(self)
  local whole, refused = false, nil
  while true do
    local command, text = reading_script.command(self.abilities, scripts.state, whole)
    local kind, err = self:call(command, text, 1, self.name, "0-0", 1)
    if kind then
      local list, failure, why = self.decoder:strings(1, log_state.SIZE)
      local state = list and log_state.parse(list)
      if state then return state end
      return self.connection:reject(failure or "protocol",
        why or "no log can stand there")
    elseif err.code == "NOSCRIPT" then
      whole = true
    else
      local final = reading_script.judge(self.abilities, command, err, refused)
      if final then return nil, final end
      refused = err
    end
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

--- After an error: how many entries to ask for at a time instead. nil: fewer do
--- not help.
---@param err eventlog.Error
---@return integer|nil size 1: and each of them alone
function Reader:fewer(err)
  if self.has_entries and not self.whole and not self.alone and
    page_size.was_too_large(self.connection, err) then
    return page_size.smaller(self.page_size)
  end
end

--- What to tell the caller of an error for which fewer entries do not help.
---@param err eventlog.Error
---@return eventlog.Error
function Reader:explain(err)
  if self.has_entries and page_size.was_too_large(self.connection, err) then
    if self.whole then return page_size.restless(err, self.page_size) end
    if self.alone then return page_size.hopeless(err) end
  end
  return err
end

return M
