--- Runs an operation on the connection that its key belongs to.

local Error = require "eventlog.base.error"
local backoff = require "eventlog.base.backoff"
local system = require "eventlog.base.system"

local M = {}

local function acquire(topology, name)
  local endpoint, err = topology:endpoint(name)
  if not endpoint then return nil, err end
  local connection
  connection, err = endpoint:acquire(name)
  return connection, connection and endpoint or err, endpoint
end

--- A connection that is established, for one operation on a log, and its endpoint,
--- to which it is to be released; or nil, err. A client's first one is waited for if
--- the option retry_first_connection says so.
---@param client eventlog.Client
---@param name string of the log
function M.acquire(client, name)
  local topology = client.topology
  local connection, endpoint, failed_at = acquire(topology, name)
  if connection or not (failed_at and failed_at.awaits_first) then
    return connection, endpoint
  end
  local err = endpoint
  local give_up = system.now() + client.settings.reconnect_timeout
  local delay = backoff.FIRST
  while not connection and Error.passes(err) and system.now() + delay <= give_up do
    client:tell("reconnecting", name, err.message)
    local pause, ok
    pause, delay = backoff.step(delay, backoff.LONGEST)
    ok, err = topology:pause(pause)
    if not ok then return nil, err end
    connection, endpoint = acquire(topology, name)
    err = not connection and endpoint
  end
  return connection, connection and endpoint or err
end

return M
