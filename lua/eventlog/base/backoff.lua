--- How long to wait before trying again: twice as long each time, and never as
--- long as another process that began at the same moment.

local system = require "eventlog.base.system"

local M = {}

-- Seconds before the first retry, before jitter.
M.FIRST = 0.05

-- Seconds between attempts to connect, at most.
M.LONGEST = 0.5

--- What to wait now, from half of `delay` to all of it, and the next delay.
---@param delay number seconds
---@param longest number seconds
---@return number pause seconds
---@return number delay seconds
function M.step(delay, longest)
  return delay * (0.5 + system.jitter() / 2), math.min(2 * delay, longest)
end

return M
