--- A small scheduler of coroutines for the wait function: what a host with a
--- loop of its own owes the library, at its simplest. It asks each waiting
--- descriptor in turn, which is fine for specs and for nothing else.

local core = require "eventlog.core"

local Scheduler = {}
Scheduler.__index = Scheduler

local M = {}

function M.new()
  local self = setmetatable({ tasks = {} }, Scheduler)
  --- The driver: suspends the calling coroutine.
  self.wait = function(fd, mode, timeout)
    return coroutine.yield(fd, mode, timeout and core.now() + timeout)
  end
  return self
end

--- Adds a coroutine that runs f(...). Once it ended, task.results has what f
--- returned.
function Scheduler:spawn(f, ...)
  local task = { co = coroutine.create(f), args = { n = select("#", ...), ... } }
  table.insert(self.tasks, task)
  return task
end

--- Suspends the calling coroutine for some seconds.
function Scheduler:sleep(seconds) -- luacheck: no self
  coroutine.yield(nil, nil, core.now() + seconds)
end

--- Suspends the calling coroutine until that one waits for a descriptor.
function Scheduler:until_waiting(task)
  while not task.fd do
    if task.results then error("it does not wait any more", 2) end
    self:sleep(0)
  end
end

local function step(task, ok, ...)
  if not ok then
    local why = ...
    error(debug.traceback(task.co, tostring(why)), 0)
  end
  if coroutine.status(task.co) == "dead" then
    task.results = { n = select("#", ...), ... }
    task.fd = nil
  else
    task.fd, task.mode, task.deadline = ...
  end
end

local function resume(task, ...)
  step(task, coroutine.resume(task.co, ...))
end

--- Runs until every coroutine has ended; fails after so many seconds.
function Scheduler:run(seconds)
  local give_up = core.now() + (seconds or 60)
  while #self.tasks > 0 do
    local moved = false
    for i = #self.tasks, 1, -1 do
      local task = self.tasks[i]
      local args = task.args
      local ready = not args and task.fd and core.wait(task.fd, task.mode, 0)
      if args then
        task.args = nil
        moved = true
        resume(task, (table.unpack or unpack)(args, 1, args.n))
      elseif ready or (task.deadline and core.now() >= task.deadline) then
        moved = true
        resume(task, ready)
      end
      if task.results then table.remove(self.tasks, i) end
    end
    if core.now() > give_up then error("the scheduler ran for too long", 2) end
    if not moved then core.wait(-1, "r", 0.001) end
  end
end

return M
