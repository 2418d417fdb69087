--- A host that polls with next(0), once in a while: what it finds is what was asked for
--- when it left, and not what is asked for now. So the server is to wait for entries all
--- the time that the host is away: when it leaves, as many waits are asked for, one
--- behind the other, as that takes.

local system = require "eventlog.base.system"

local Polling = {}
Polling.__index = Polling
Polling.__name = "eventlog.Polling"

local M = {}

-- Seconds that the server lets one XREAD wait: longer than for a reader that waits
-- itself, so that few are asked for.
M.BLOCK = 9

-- For how many seconds the server is to wait when the host leaves; or for twice as long
-- as the host was away lately, but not for longer than this.
local AWAY, LONGEST_AWAY = 8, 60

function M.new()
  return setmetatable({
    left_at = nil, -- when the host left
    away = 0, -- for how many seconds it was away lately, at most
  }, Polling)
end

--- The host is there again.
function Polling:arrive()
  local away = self.left_at and system.now() - self.left_at or 0
  self.away = math.max(away, 0.9 * self.away)
end

--- The host leaves. Returns until when the server is to wait for entries.
---@return number time of system.now()
function Polling:leave()
  self.left_at = system.now()
  return self.left_at + math.max(AWAY, math.min(LONGEST_AWAY, 2 * self.away))
end

return M
