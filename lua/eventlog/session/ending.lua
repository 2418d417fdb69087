--- How a connection ended, and what that says: of the server, and of the other
--- connections to it. A connection has these functions as its methods.

local system = require "eventlog.base.system"

local M = {}

-- A link that breaks after so many seconds without a byte is taken for one that
-- was idle.
local IDLE = 1

--- Notes how a connection is, which is about to end.
---@param connection table
function M.note(connection)
  local now = system.now()
  connection.lost = connection.state == "ready" and not connection.aborted
  -- Whether nothing had moved for too long.
  connection.stalled = connection.io_deadline ~= nil and now >= connection.io_deadline
  if connection.asked_at and connection.decoder:empty() then
    -- For how many seconds nothing had come or gone.
    connection.silence = now -
      math.max(connection.asked_at, connection.transport:last_read_at())
  end
end

--- Whether it was established and broke: not closed because we wanted it.
function M.is_lost(connection)
  return connection.lost
end

--- Whether it came from a pool and turned out to be dead: the server had closed
--- it, and nobody had heard of that yet. Another one may do better. So may a fresh
--- one if this one was silent, but not what waits in a pool of the host's.
function M.was_stale(connection)
  return connection.reused and connection.lost and not connection.answered and
    not (connection.stalled and connection.transport.keep)
end

--- Whether it was silent for too long: then those that wait in the pool are no
--- better.
function M.was_silent(connection)
  return connection.lost and connection.stalled
end

--- Whether the peer closed it instead of an answer, or within one: as servers do
--- when a reply is too large for them. A link that broke looks the same.
function M.was_cut_off(connection)
  return connection.cut_off
end

--- Whether it broke while the server was silent for a while, as it may be: it had
--- answered before on this connection, and nothing of a reply had come.
function M.broke_idle(connection)
  return connection.lost and connection.answered and connection.silence >= IDLE
end

return M
