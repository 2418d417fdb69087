--- Sends what is left of a connection's request.

local handshake = require "eventlog.session.handshake"
local system = require "eventlog.base.system"

local TIMEOUT = handshake.TIMEOUT

local M = {}

--- Seconds beyond the caller's deadline for which what is coming is still taken:
--- whoever only polls is to have what the server sends without a pause.
M.GRACE = 0.5

--- Sends the rest of the request. Returns true; or the type of a reply that came
--- meanwhile; or nil, err. A server that refuses a request may say so and hang up
--- before it has read all of it: what it said is read then, and comes before the
--- broken pipe.
---@param connection table
---@param deadline number? of system.now()
function M.flush(connection, deadline)
  local request, transport = connection.request, connection.transport
  while request:size() > 0 and not connection.broken do
    local io_deadline = connection.io_deadline
    local limit = deadline and deadline < io_deadline and deadline or io_deadline
    local done, kind, why =
      transport:send(request, limit, io_deadline, connection.decoder)
    if connection.aborted then return connection:fail("closed", "closed") end
    if done == nil then
      connection.broken = { kind, why }
    elseif done and done ~= true then
      return connection:take(done)
    else
      local now = system.now()
      if done then
        connection:allow(connection.read_timeout)
      elseif now >= io_deadline then
        return connection:fail("connection", string.format(
          "the server took in nothing for %g s", connection.read_timeout))
      end
      if deadline and now >= deadline + (done and M.GRACE or 0) then
        return nil, TIMEOUT
      end
    end
  end
  if not connection.broken then
    connection.request = false
    return true
  end
  while true do
    local kind = transport:reply(connection.decoder, 0)
    if connection.aborted then return connection:fail("closed", "closed") end
    local now = system.now()
    if not kind or now >= connection.io_deadline then
      return connection:fail(connection.broken[1], connection.broken[2])
    end
    if kind ~= true then return connection:take(kind) end
    if deadline and now >= deadline + M.GRACE then return nil, TIMEOUT end
  end
end

return M
