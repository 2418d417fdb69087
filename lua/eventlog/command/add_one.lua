--- Adds one entry to a log: XADD; or, to a log with a TTL, a script, since of two
--- commands, XADD and PEXPIRE, one could happen without the other. A command of
--- call.lua; its calls have the list of the entry.

local FIELD_LIMIT = require "eventlog.command.field_limit"
local scripts = require "eventlog.command.scripts"
local xadd = require "eventlog.command.xadd"

local AddOne = { changes = true, adds = true }
AddOne.__index = AddOne
AddOne.__name = "eventlog.AddOne"

local M = {}

---@param name string of the log
---@param settings table of the log
---@param otherwise eventlog.Unit the command for an entry that goes through no script
function M.new(name, settings, otherwise)
  local self = { head = otherwise.head, whole = nil, otherwise = otherwise }
  local ttl_ms, script = settings.ttl_ms, scripts.add_with_ttl
  if ttl_ms then
    self.head = xadd.head(settings, "EVALSHA", script.sha, 1, name, ttl_ms)
    self.whole = xadd.head(settings, "EVAL", script.body, 1, name, ttl_ms)
  end
  return setmetatable(self, AddOne)
end

function AddOne:encode(request, how, entries)
  local whole = self.whole
  local head = how == "whole" and whole or self.head
  local widest, message = request:entries(head.bytes, head.argc, entries, 1)
  if not widest then return nil, message end
  return (not whole or widest <= FIELD_LIMIT) and 1
end

function AddOne:take(connection, kind) -- luacheck: no self
  local id = kind == "string" and connection.decoder:id()
  if id then return { id } end
  return connection:reject("protocol", "the reply is not XADD's")
end

return M
