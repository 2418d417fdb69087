--- What is said of a batch that does not join the one before: because entries were
--- trimmed away unread (a gap), or the log is another one (a reset).

local Error = require "eventlog.base.error"
local core = require "eventlog.core"

local M = {}

--- What on_event is told of a batch: a list of events without `log`.
---@param batch eventlog.Batch with gap, or reset, or both
---@return { kind: "gap"|"reset", message: string }[]
function M.events(batch)
  local events, gap = {}, batch.gap
  if gap then
    events[1] = { kind = "gap", message = string.format(
      "has lost %s entries between %s and %s",
      gap.missed and string.format("%d", gap.missed) or "some", gap.after, gap.before) }
  end
  if batch.reset then
    events[#events + 1] = { kind = "reset", message = "was " ..
      (batch.reset == "rewound" and "rolled back" or "made anew") }
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
