--- A log: a name on a client, with the options that hold for it. Does no I/O
--- until it is asked to; misuse raises, what can happen returns nil, err.

local core = require "eventlog.core"
local Follower = require "eventlog.follow.follower"
local Reader = require "eventlog.log.reader"
local Writer = require "eventlog.log.writer"
local calls = require "eventlog.command.call"
local misuse = require "eventlog.base.misuse"
local script_writer = require "eventlog.log.script_writer"
local options = require "eventlog.base.options"
local page_size = require "eventlog.command.page_size"
local scripts = require "eventlog.command.scripts"
local side_key = require "eventlog.log.side_key"
local system = require "eventlog.base.system"

local Log = {}
Log.__index = Log
Log.__name = "eventlog.Log"

function Log:__tostring()
  return "eventlog " .. core.quote(self.name) .. " of " .. tostring(self.client)
end

local check_self = misuse.class(Log, "log", "eventlog.new()")

local M = {}

---@param client eventlog.Client
---@param name string
---@param log_options eventlog.LogOptions?
---@param level integer as for error(): whose mistake misuse is
---@return eventlog.Log
function M.new(client, name, log_options, level)
  options.name(name, level + 1)
  local settings = options.log(log_options, level + 1)
  return setmetatable({
    name = name,
    client = client,
    settings = settings,
    page_size = settings.batch_size, -- of a read; less where that was too large
    writer = settings.idempotent and script_writer.new(client, name, settings) or
      Writer.new(client, name, settings),
  }, Log)
end

--- Adds entries as one unit: all of them or none, with nothing of another
--- writer between them. An entry is a table from field name to value, or a list
--- of pairs { {name, value}, ... } where order or repeated names matter.
--- A bad entry raises, and nothing is sent.
---@param ... eventlog.NewEntry
---@return string[]|nil ids one "<ms>-<seq>" for each, in order
---@return eventlog.Error? err with err.outcome "none" or "unknown"
function Log:add(...)
  check_self(self, "add")
  local ids, err = self.writer:add({ ... }, select("#", ...), 2)
  return ids, err -- no tail call: misuse is raised at our caller's line
end

--- Adds a list of entries, as add does.
---@param entries eventlog.NewEntry[]
---@return string[]|nil ids
---@return eventlog.Error? err
function Log:add_many(entries, ...)
  check_self(self, "add_many")
  if type(entries) ~= "table" then
    misuse.raise(2, "entries must be a list of entries, not %s",
      misuse.describe(entries))
  end
  if select("#", ...) > 0 then
    misuse.raise(2, "add_many takes one list of entries: write " ..
      "log:add_many({ entry, ... }) or log:add(entry, ...)")
  end
  local n, keys = #entries, 0
  for _ in pairs(entries) do keys = keys + 1 end
  if keys ~= n then
    misuse.raise(2, "entries must be a list of entries without holes or " ..
      "other keys; for a single entry use add")
  end
  local ids, err = self.writer:add(entries, n, 2)
  return ids, err
end

--- Adds entries, as add does, but only while the log's last id is this one.
--- Otherwise nil, err of kind "conflict", with the log's err.last_id.
---@param last_id string as log:last_id() returned it
---@param ... eventlog.NewEntry
---@return string[]|nil ids
---@return eventlog.Error? err
function Log:add_if(last_id, ...)
  check_self(self, "add_if")
  last_id = options.id(last_id, 2, "last_id")
  self.conditional = self.conditional or
    script_writer.new(self.client, self.name, self.settings)
  local ids, err = self.conditional:add({ ... }, select("#", ...), 2, last_id)
  return ids, err
end

--- Runs method(reader, ...) on a connection of its own; on another one where
--- that was dead before it answered anything: what only reads always, what
--- changes something as long as the server cannot have it. A page that was too
--- large is asked for again with fewer entries, for up to reconnect_timeout.
local function call(self, changes, method, ...)
  local client = self.client
  local size, alone = self.page_size, false
  -- A connection that pages were too large for is not taken for a dead one.
  local stale = size < self.settings.batch_size
  local give_up = system.now() + client.settings.reconnect_timeout
  local again, reader, result, err
  repeat
    local connection, endpoint = calls.acquire(client, self.name)
    if not connection then return nil, endpoint end
    local request = client:take_request()
    reader = Reader.new(connection, request, self, size, alone)
    result, err = reader[method](reader, ...)
    again = err and connection:was_stale() and not (reader.has_entries and stale) and
      not (changes and request:size() == 0)
    stale = stale or again
    if err and not again then
      local fewer = system.now() < give_up and reader:fewer(err)
      if fewer then
        again, size, alone = true, fewer, fewer == 1
      else
        err = reader:explain(err)
      end
    end
    endpoint:release(connection, self.name)
    client:give_request(request)
  until not again
  if result and reader.has_entries and size < self.settings.batch_size then
    self.page_size = page_size.larger(size, self.settings.batch_size)
  end
  return result, err
end

local function read(self, method, ...)
  return call(self, false, method, ...)
end

--- The whole log, oldest first; {} where there is none. With max_length, the
--- last max_length entries.
---@return eventlog.Entry[]|nil entries
---@return eventlog.Error? err
function Log:tail()
  check_self(self, "tail")
  local limit = self.settings.max_length
  if limit then return read(self, "last", limit) end
  return read(self, "forwards", "0-0")
end

--- The last n entries, oldest first.
---@param n integer 0 or more
---@return eventlog.Entry[]|nil entries
---@return eventlog.Error? err
function Log:tail_n(n)
  check_self(self, "tail_n")
  n = options.n(n, 2)
  if n == 0 then return {} end
  return read(self, "last", math.min(n, self.settings.max_length or n))
end

--- The entry with this id and those after it, oldest first.
---@param id string "<ms>-<seq>" or "<ms>"
---@return eventlog.Entry[]|nil entries
---@return eventlog.Error? err
function Log:tail_from(id)
  check_self(self, "tail_from")
  id = options.id(id, 2)
  local limit = self.settings.max_length
  if limit then return read(self, "last_from", limit, id) end
  return read(self, "forwards", id)
end

--- The entries after this id, oldest first: all that Redis still holds.
---@param id string "<ms>-<seq>" or "<ms>"
---@return eventlog.Entry[]|nil entries
---@return eventlog.Error? err
function Log:tail_after(id)
  check_self(self, "tail_after")
  local after = core.id_next(options.id(id, 2))
  if not after then return {} end -- nothing can come after the highest id
  return read(self, "forwards", after)
end

--- How many entries tail() would return.
---@return integer|nil length
---@return eventlog.Error? err
function Log:length()
  check_self(self, "length")
  local length, err = read(self, "value", "integer", "XLEN", self.name)
  if not length then return nil, err end
  return math.min(length, self.settings.max_length or length)
end

--- The id that Redis generated last, also where its entry was deleted; "0-0"
--- where there is no log.
---@return string|nil id
---@return eventlog.Error? err
function Log:last_id()
  check_self(self, "last_id")
  return read(self, "newest_id")
end

--- Deletes the log. Returns whether there was one.
---@return boolean|nil deleted
---@return eventlog.Error? err
function Log:delete()
  check_self(self, "delete")
  local count, err = call(self, true, "script", "integer", scripts.delete,
    self.name, side_key.of(self.name))
  if not count then return nil, err end
  return count > 0
end

--- A follower, and what `for` wants beside it: no state, no first value, and
--- (Lua 5.4) what to close when the loop is left.
local function follow(self, start)
  local follower = Follower.new(self, start)
  return follower, nil, nil, follower
end

--- Follows the log: what is there, then what comes.
---@return eventlog.Follower follower
function Log:tail_and_follow()
  check_self(self, "tail_and_follow")
  return follow(self, { limit = self.settings.max_length })
end

--- Follows from the last n entries on. With 0, from now on.
---@param n integer 0 or more
---@return eventlog.Follower follower
function Log:tail_n_and_follow(n)
  check_self(self, "tail_n_and_follow")
  n = options.n(n, 2)
  return follow(self, { limit = math.min(n, self.settings.max_length or n) })
end

--- Follows from the entry with this id on.
---@param id string "<ms>-<seq>" or "<ms>"
---@return eventlog.Follower follower
function Log:tail_from_and_follow(id)
  check_self(self, "tail_from_and_follow")
  local names_entry
  id, names_entry = options.id(id, 2)
  return follow(self, {
    limit = self.settings.max_length,
    after = core.id_prev(id) or "0-0",
    id = id,
    claim = names_entry and id or nil,
  })
end

--- Follows from the entry after this id on: a reader that goes on where it was.
--- Where the id is beyond the log's end, from the end on.
---@param id string "<ms>-<seq>" or "<ms>"
---@return eventlog.Follower follower
function Log:tail_after_and_follow(id)
  check_self(self, "tail_after_and_follow")
  local names_entry
  id, names_entry = options.id(id, 2)
  return follow(self, { after = id, id = id, claim = names_entry and id or nil })
end

return M
