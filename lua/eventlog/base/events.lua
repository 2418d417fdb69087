--- Delivers a client's events to on_event, one after the other, in the order in
--- which they happened. What happens while on_event is being called waits in a
--- queue: also what on_event brings about, by an add to its own client, say.
--- Otherwise each such add, which takes a connection that nobody uses, would
--- connect, be told of that, and so on without end.
---
--- An error in on_event is raised to whoever made the call that delivered the
--- event. What is in the queue then is delivered with the next event.

local core = require "eventlog.core"
local inside = require "eventlog.base.inside"

-- An event that on_event brought about is one deeper than the event it was
-- called for. Deeper ones than this are not told of: on a client with a pool_size
-- of 0 each add would bring the next one.
local DEEPEST = 8

local Events = {}
Events.__index = Events
Events.__name = "eventlog.Events"

local M = {}

---@param on_event fun(event: table)? nil: nobody is told
function M.new(on_event)
  return setmetatable({
    on_event = on_event,
    queue = {}, -- events, each with its depth behind it
    -- deliverer: the thread that is in deliver(), unless an error broke it off.
    -- Weak: a coroutine that is dropped in there holds up nobody once collected.
    state = setmetatable({ deliverer = nil }, { __mode = "v" }),
    depth = 0, -- of the event being delivered
  }, Events)
end

--- Calls on_event until the queue is empty.
function Events:deliver()
  local queue, state = self.queue, self.state
  state.deliverer = core.thread()
  while queue[1] do
    local event = table.remove(queue, 1)
    self.depth = table.remove(queue, 1)
    self.on_event(event)
  end
  state.deliverer = nil
end

--- Tells of an event, now or, while another one is being delivered, after that.
---@param kind "connected"|"disconnected"|"reconnecting"|"gap"|"reset"|"degraded"
---@param log string? the name of the log it happened for
---@param message string
function Events:tell(kind, log, message)
  if not self.on_event then return end
  local queue, deliverer = self.queue, self.state.deliverer
  local busy = inside.is_inside(deliverer, Events.deliver, self)
  local depth = 0
  if busy and deliverer == core.thread() then depth = self.depth + 1 end
  if depth > DEEPEST then return end
  queue[#queue + 1] = { kind = kind, log = log, message = message }
  queue[#queue + 1] = depth
  if not busy then self:deliver() end
end

return M
