--- What a batch tells beside its entries: `caught_up` (tail.lua and tailer.lua set it);
--- and `gap` and `reset`, if it does not join the one before, because entries were trimmed
--- away unread, or the log is another one.

local Error = require "eventlog.base.error"
local core = require "eventlog.core"

local M = {}

--- Puts a gap, a reset, or both on a batch. Returns what on_event is told of that: a list
--- of events without `log`.
---@param batch eventlog.Batch is changed
---@param gap eventlog.Gap?
---@param reset "recreated"|"rewound"|nil
---@return { kind: "gap"|"reset", message: string }[]
function M.tell(batch, gap, reset)
  local events = {}
  batch.gap, batch.reset = gap, reset
  if gap then
    events[1] = { kind = "gap", message = string.format(
      "has lost %s entries between %s and %s",
      gap.missed and string.format("%d", gap.missed) or "some", gap.after, gap.before) }
  end
  if reset then
    events[#events + 1] = { kind = "reset", message = "was " ..
      (reset == "rewound" and "rolled back" or "made anew") }
  end
  return events
end

--- The error that ends the following of a log with on_gap = "error".
---@param name string of the log
---@param events table[] of which it tells the last one
---@return eventlog.Error
function M.error(name, events)
  return Error.new("gap", string.format("log %s %s", core.quote(name),
    events[#events].message))
end

return M
