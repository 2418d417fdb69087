--- Adds entries by a script that knows what it has added (command/add_once.lua):
--- idempotent adds, which are retried until they are answered, and adds under a
--- condition. Costs the server twice as much as writer.lua.

local AddOnce = require "eventlog.command.add_once"
local Error = require "eventlog.base.error"
local call = require "eventlog.command.call"
local core = require "eventlog.core"
local FIELD_LIMIT = require "eventlog.command.field_limit"
local side_key = require "eventlog.log.side_key"

local failed = Error.failed_add

local Writer = {}
Writer.__index = Writer
Writer.__name = "eventlog.ScriptWriter"

local M = {}

---@param client eventlog.Client
---@param name string of the log
---@param settings table of the log
function M.new(client, name, settings)
  local of_client = client.settings
  return setmetatable({
    client = client,
    name = name,
    settings = settings,
    -- How long the server keeps a token of ours: it outlives the last attempt,
    -- however late that begins and ends.
    keep_ms = math.ceil(1000 * (3 * of_client.reconnect_timeout +
      2 * (of_client.connect_timeout + of_client.timeout))),
    command = nil, -- from the first add on: side_key.of() may take a while
  }, Writer)
end

--- Adds the first n of `entries` as one unit.
---@param entries table[]
---@param n integer
---@param level integer as for error(): whose mistake a bad entry is
---@param expected string? the last id under which alone it is added
---@return string[]|nil ids
---@return eventlog.Error? err with outcome
function Writer:add(entries, n, level, expected)
  if n == 0 then return {} end
  local args, argc, widest = core.arguments(entries, n)
  if not args then error("eventlog: " .. argc, level + 1) end
  if widest > FIELD_LIMIT then
    return failed(Error.new("unsupported", string.format("an entry has %d " ..
      "fields: idempotent and conditional adds take at most %d", widest,
      FIELD_LIMIT)), "none")
  end
  local client = self.client
  local tokens = client.tokens
  local group, err = tokens:group()
  if not group then return failed(err, "none") end
  self.command = self.command or
    AddOnce.new(self.name, side_key.of(self.name), self.settings, self.keep_ms)
  local add = { args = args, argc = argc, n = n, expected = expected, group = group }
  local ids
  if not self.settings.idempotent then
    ids, err = call.run(client, self.name, self.command, add)
    return ids, err
  end
  add.lane, err = tokens:take()
  if not add.lane then return failed(err, "none") end
  ids, err = call.insist(client, self.name, client.settings.reconnect_timeout,
    self.command, add)
  if ids or err.outcome == "none" then tokens:give(add.lane) end
  return ids, err
end

return M
