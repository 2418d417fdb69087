--- eventlog: distributed event logs on Redis Streams. The public functions;
--- the classes they return are in client.lua, log.lua and follower.lua.

local core = require "eventlog.core"
local Client = require "eventlog.client"
local Log = require "eventlog.log"

local M = { _VERSION = "eventlog " .. core.VERSION }

---@class eventlog.ClientOptions
---@field url string? redis://, rediss:// or unix://
---@field host string? "127.0.0.1"
---@field port integer? 6379
---@field path string? of a Unix socket, instead of host and port
---@field username string?
---@field password string?
---@field db integer? 0
---@field connect_timeout number? seconds (5)
---@field timeout number? seconds without progress (5)
---@field reconnect_timeout number? seconds without success (60)
---@field pool_size integer? idle connections kept (8)
---@field client_name string? for CLIENT SETNAME
---@field max_reply integer? bytes of one reply (1 GiB)
---@field spin integer? µs of busy waiting before a wait sleeps
---@field driver string|fun(fd: integer, mode: "r"|"w", timeout: number?): boolean?
---@field on_event fun(event: { kind: string, log: string?, message: string })?

--- A client of one server. Does no I/O: it connects on first use.
---@param target string|eventlog.ClientOptions|nil redis://127.0.0.1:6379
---@return eventlog.Client
function M.connect(target)
  local client = Client.new(target, 2)
  return client -- no tail call: misuse is raised at our caller's line
end

--- A log of this name. Does no I/O.
---@param target eventlog.Client|string|eventlog.ClientOptions|nil
---@param name string the Redis key: any bytes
---@param options eventlog.LogOptions?
---@return eventlog.Log
function M.new(target, name, options)
  local client = Client.is(target) and target or Client.new(target, 2)
  local log = Log.new(client, name, options, 2)
  return log
end

return M
