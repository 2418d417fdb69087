--- The topology of one server, which has every key. A topology says which endpoint
--- has a key, and is told of what went wrong there. Each has these methods, and what
--- uses them knows none of them by name:
---
---   topology:endpoint(key, deadline) -> endpoint | nil, err
---     the server that has the key. May have to ask for it: until the deadline, a
---     time of system.now(), passes (nil, err of kind "timeout", and may be called
---     again)
---   topology:note(endpoint, err) -> "again" | "elsewhere" | "never"
---     an operation there has failed, and the connection to it does not matter any
---     more. What to do: try there again, in a moment; ask endpoint() again, at
---     once; or tell the caller
---   topology:awaits_first() -> boolean
---     whether the first connection is yet to be waited for, as the option
---     retry_first_connection says: no server has answered
---   topology:pause(seconds) -> true | nil, err
---     suspends the caller
---   topology:address()    for messages
---   topology:close()      closes what its endpoints hold; idempotent
---   topology.abilities    abilities.lua

local Abilities = require "eventlog.topology.abilities"
local Endpoint = require "eventlog.topology.endpoint"
local Error = require "eventlog.base.error"

---@class eventlog.Topology
local SingleServer = {}
SingleServer.__index = SingleServer
SingleServer.__name = "eventlog.SingleServer"

local M = {}

--- Does no I/O.
---@param settings table of the client
---@param driver table
---@param events eventlog.Events
---@return eventlog.Topology
function M.new(settings, driver, events)
  local abilities = Abilities.new()
  return setmetatable({
    abilities = abilities,
    server = Endpoint.new(settings, driver, events, abilities),
  }, SingleServer)
end

function SingleServer:endpoint()
  return self.server
end

function SingleServer:note(_, err) -- luacheck: no self
  return Error.passes(err) and "again" or "never"
end

function SingleServer:awaits_first()
  return self.server.awaits_first
end

function SingleServer:pause(seconds)
  return self.server:pause(seconds)
end

function SingleServer:address()
  return self.server:address()
end

function SingleServer:close()
  self.server:close()
end

return M
