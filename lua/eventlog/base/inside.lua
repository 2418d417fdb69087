--- Whether a thread (a coroutine, or the main one) is inside a method of an
--- object: in a call of it that has not come to its end.
---
--- A method cannot say so itself: an error may leave it at any step, raised by a
--- callback, the host's wait or a debug hook, and Lua 5.1 cannot catch one where
--- it has to yield. So the method only notes which thread entered it last, and
--- that thread's own stack is asked when it matters.

local core = require "eventlog.core"

-- What a thread may be that goes on one day: not "dead", nor OpenResty's
-- "zombie".
local alive = { suspended = true, normal = true, running = true }

-- Where the host has taken the debug library away, a thread that lives on after
-- an error counts as inside.
local found, debug = pcall(require, "debug")
local can_look = found and debug.getinfo and debug.getlocal

local M = {}

--- How many calls of the method, with the object as its first parameter, the
--- thread is in.
local function count(thread, method, object)
  local calls, level = 0, 0
  while true do
    local info = debug.getinfo(thread, level, "f")
    if not info then return calls end
    if info.func == method then
      local _, first = debug.getlocal(thread, level, 1)
      if rawequal(first, object) then calls = calls + 1 end
    end
    level = level + 1
  end
end

--- Whether the thread is inside; for a method that asks about its own thread:
--- whether the thread was inside before this call.
---@param thread thread? as core.thread() returned it; nil: nobody
---@param method function whose first parameter is the object
---@param object table
---@param from_within boolean? whether it is that method that asks
---@return boolean
function M.is_inside(thread, method, object, from_within)
  if not thread then return false end
  local own = thread == core.thread()
  if not own and not alive[coroutine.status(thread)] then return false end
  if not can_look then return not own end
  return count(thread, method, object) > (own and from_within and 1 or 0)
end

return M
