--- eventlog: distributed event logs on Redis Streams. The public functions;
--- the classes they return are in client.lua, log.lua and follow/follower.lua, and all
--- public types in types.lua.

local core = require "eventlog.core"
local Client = require "eventlog.client"
local Log = require "eventlog.log"
local misuse = require "eventlog.base.misuse"

local M = { _VERSION = "eventlog " .. core.VERSION }

--- Raises if a function of the module was called with a colon.
local function refuse_module(value, usage)
  if value == M then
    misuse.raise(3, "eventlog's functions are called with a dot: write %s", usage)
  end
end

--- A client of one server. Does no I/O: it connects on first use.
---@param target string|eventlog.ClientOptions|eventlog.Client|nil nil:
---  redis://127.0.0.1:6379; a client: that one
---@return eventlog.Client
function M.connect(target)
  refuse_module(target, "eventlog.connect(target)")
  if Client.is(target) then return target end
  local client = Client.new(target, 2)
  return client -- no tail call: misuse is raised at our caller's line
end

--- A log of this name. Does no I/O.
---@param target eventlog.Client|string|eventlog.ClientOptions|nil
---@param name string the Redis key: any bytes
---@param options eventlog.LogOptions?
---@return eventlog.Log
function M.new(target, name, options)
  refuse_module(target, "eventlog.new(target, name, options)")
  local client = Client.is(target) and target or Client.new(target, 2)
  local log = Log.new(client, name, options, 2)
  return log
end

--- Returns what it was given, what a call returned; raises err if value is nil. As
--- assert does, which in PUC Lua 5.1 takes no error but a string.
---@generic T
---@param value T?
---@param err eventlog.Error|any
---@return T value
function M.check(...)
  local value, err = ...
  refuse_module(value, "eventlog.check(value, err)")
  if value ~= nil then return ... end
  if err == nil then
    misuse.raise(2, "nothing to check: write eventlog.check(log:add(...))")
  end
  error(err, 0)
end

return M
