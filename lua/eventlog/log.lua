--- A log: a name on a client, with the options that hold for it. Does no I/O
--- until it is asked to; misuse raises, what can happen returns nil, err.

local core = require "eventlog.core"
local Follower = require "eventlog.follow.follower"
local Reader = require "eventlog.log.reader"
local Writer = require "eventlog.log.writer"
local call = require "eventlog.command.call"
local misuse = require "eventlog.base.misuse"
local one_reply = require "eventlog.command.one_reply"
local script_writer = require "eventlog.log.script_writer"
local options = require "eventlog.base.options"
local side_key = require "eventlog.log.side_key"

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
    page_size = settings.batch_size, -- of a read; less if that was too large
    writer = settings.idempotent and script_writer.new(client, name, settings) or
      Writer.new(client, name, settings),
  }, Log)
end

--- Adds entries as one unit: all of them or none, with nothing of another
--- writer between them. An entry is a table from field name to value, or a list
--- of pairs { {name, value}, ... } if order or repeated names matter.
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
  local n = #entries
  if core.list_length(entries) ~= n then
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

--- Reads by a method of the reader.
local function read(self, method, ...)
  local reader = Reader.new(self, method, ...)
  local result, err = call.run(self.client, self.name, reader)
  if result then self.page_size = reader:next_size() end
  return result, err
end

--- The whole log, oldest first; {} if there is none. With max_length, the
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
  local length, err = call.run(self.client, self.name, one_reply.length, self.name)
  if not length then return nil, err end
  return math.min(length, self.settings.max_length or length)
end

--- The id that Redis generated last, also if its entry was deleted; "0-0"
--- if there is no log.
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
  local count, err = call.run(self.client, self.name, one_reply.delete, self.name,
    side_key.of(self.name))
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
