--- Adds entries to a log: each call one unit, all of it or nothing, in one
--- round trip. Which command that is:
---
---   one entry      command/add_one.lua; with a TTL unit.lua, if the entry has so many
---                  fields that it goes through no script
---   several ones   command/unit.lua

local AddOne = require "eventlog.command.add_one"
local Error = require "eventlog.base.error"
local Unit = require "eventlog.command.unit"
local call = require "eventlog.command.call"

local Writer = {}
Writer.__index = Writer
Writer.__name = "eventlog.Writer"

local M = {}

---@param client eventlog.Client
---@param name string of the log
---@param settings table of the log
function M.new(client, name, settings)
  local unit = Unit.new(name, settings, client.topology.abilities)
  return setmetatable({
    client = client,
    name = name,
    has_ttl = settings.ttl_ms ~= nil,
    unit = unit,
    one = AddOne.new(name, settings, unit),
  }, Writer)
end

--- Adds the first n of `entries` as one unit.
---@param entries table[]
---@param n integer
---@param level integer as for error(): whose mistake a bad entry is
---@return string[]|nil ids
---@return eventlog.Error? err with outcome
function Writer:add(entries, n, level)
  local command, group = self.one, nil
  if n ~= 1 or self.has_ttl then
    if n == 0 then return {} end
    local failure
    group, failure = self.client.tokens:group()
    if not group then return Error.failed_add(failure, "none") end
    if n > 1 then command = self.unit end
  end
  local ids, err, what = call.run(self.client, self.name, command, entries, n, group)
  if ids or err then return ids, err end
  error("eventlog: " .. what, level + 1)
end

return M
