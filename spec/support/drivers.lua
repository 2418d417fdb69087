--- The drivers there are outside of nginx, and a scheduler around each: enough
--- to run a program of several coroutines in every one in the same way.
---
---   harness = drivers.start(name)
---   harness.driver                  the client's option
---   harness.concurrent              whether spawn() is there
---   harness.run(main)               runs main() to its end, in a coroutine
--- and in there
---   harness.spawn(f, ...) -> task   another coroutine
---   harness.join(task)              waits for it: what f returned
---   harness.sleep(seconds)
---   harness.abandon(f)              runs f() until it waits, and never again; nil
---                                   where the scheduler has no way to do so

local core = require "eventlog.core"
local Scheduler = require "spec.support.scheduler"

local M = {}

local unpack = table.unpack or unpack
local is_51 = _VERSION == "Lua 5.1"
local is_plain_51 = is_51 and not rawget(_G, "jit")

--- The drivers that this Lua must have.
M.names = { "blocking", "function", "cqueues", "luv" }
if is_51 then table.insert(M.names, "copas") end
table.insert(M.names, "copas 4")

--- What a harness of this name has, as an env of contract.lua.
function M.features(name)
  return {
    spawn = name ~= "blocking",
    abandon = name == "function" or name == "cqueues" or
      name == "luv" and coroutine.close ~= nil,
    iterates = name == "blocking" or not is_plain_51,
  }
end

local function pack(...)
  return { n = select("#", ...), ... }
end

--- A task and the function that does it, which keeps errors for join(). In PUC
--- Lua 5.1, where no yield passes pcall, they are the scheduler's to report.
local function new_task(f, ...)
  local task, args = {}, pack(...)
  local function finish(ok, ...)
    task.failed = not ok
    task.results = pack(...)
    return ...
  end
  local function call() return f(unpack(args, 1, args.n)) end
  return task, function()
    if is_plain_51 then
      finish(true, call())
    else
      finish(xpcall(call, function(why)
        return type(why) == "string" and debug.traceback(why, 2) or why
      end))
    end
  end
end

local function results(task)
  if task.failed then error(task.results[1], 0) end
  return unpack(task.results, 1, task.results.n)
end

--- A harness whose scheduler starts a coroutine with begin(), sleeps, and goes
--- on with turn() until what main() began is done.
local function new_harness(harness, begin, turn)
  harness.concurrent = true

  function harness.spawn(f, ...)
    local task, body = new_task(f, ...)
    begin(body)
    return task
  end

  function harness.join(task)
    while not task.results do harness.sleep(0.001) end
    return results(task)
  end

  function harness.run(main)
    local give_up = core.now() + 60
    local task = harness.spawn(main)
    while not task.results do
      turn()
      if core.now() > give_up then error("the coroutines ran for too long") end
    end
    return results(task)
  end

  return harness
end

local start = {}

function start.blocking()
  return {
    driver = "blocking",
    run = function(main) return main() end,
    sleep = function(seconds) core.wait(-1, "r", seconds) end,
  }
end

start["function"] = function()
  local scheduler = Scheduler.new()
  local harness = { driver = scheduler.wait }
  function harness.sleep(seconds) scheduler:sleep(seconds) end
  function harness.abandon(f)
    local co = coroutine.create(f)
    local ok, why = coroutine.resume(co)
    if not ok then error(why, 0) end
  end
  new_harness(harness, function(body) scheduler:spawn(body) end)
  function harness.run(main)
    local task, body = new_task(main)
    scheduler:spawn(function()
      body()
      error("main() has ended", 0) -- what else waits is not waited for
    end)
    local _, why = pcall(scheduler.run, scheduler, 60)
    scheduler.tasks = {}
    if not task.results then error(why, 0) end
    return results(task)
  end
  return harness
end

function start.cqueues()
  local cqueues = require "cqueues"
  local cq = cqueues.new()
  local harness = { driver = "cqueues", sleep = cqueues.sleep }
  function harness.abandon(f)
    local other = cqueues.new()
    other:wrap(f)
    assert(other:step(0))
    assert(other:step(0))
  end
  return new_harness(harness, function(body) cq:wrap(body) end, function()
    local ok, why = cq:step(1)
    if not ok then error(why, 0) end
  end)
end

function start.luv()
  local uv = require "luv"
  local harness = { driver = "luv" }
  local function resume(co)
    local ok, why = coroutine.resume(co)
    if not ok then error(debug.traceback(co, tostring(why)), 0) end
  end
  function harness.sleep(seconds)
    local me, timer = coroutine.running(), uv.new_timer()
    uv.update_time() -- or what we have done since the loop's last turn counts, too
    timer:start(math.ceil(seconds * 1000), 0, function()
      timer:close()
      resume(me)
    end)
    coroutine.yield()
  end
  if coroutine.close then
    function harness.abandon(f)
      local co = coroutine.create(f)
      resume(co)
      coroutine.close(co)
    end
  end
  -- luv before 1.45 crashes (its issue 599) where Lua ends while a handle is
  -- still closing.
  function harness.stop() uv.run("nowait") end
  return new_harness(harness, function(body) resume(coroutine.create(body)) end,
    function() uv.run("once") end)
end

--- Whether errors in copas's threads are ours to see: it prints them and goes on.
local function copas_thread(copas, failures, body)
  copas.addthread(function()
    if copas.setErrorHandler then
      copas.setErrorHandler(function(why) table.insert(failures, why) end)
    end
    body()
  end)
end

local function start_copas(copas, sleep)
  local failures = {}
  return new_harness({ driver = "copas", sleep = sleep },
    function(body) copas_thread(copas, failures, body) end,
    function()
      copas.step(1)
      if failures[1] then error(failures[1], 0) end
    end)
end

--- Debian's, which cannot sleep.
function start.copas()
  local copas = require "copas"
  return start_copas(copas, function(seconds)
    local timer = core.timer()
    timer:set(seconds)
    local asked = false
    copas.receive({
      getfd = function() return timer:fd() end,
      dirty = function() return false end,
      close = function() end,
      receive = function()
        if asked then return true end
        asked = true
        return nil, "timeout"
      end,
    })
    timer:close()
  end)
end

--- The driver, with another copas than the one that is installed.
start["copas 4"] = function()
  local saved = package.loaded.copas
  local copas = require "spec.support.copas4"
  package.loaded.copas = copas
  package.loaded["eventlog.driver.copas"] = nil
  require "eventlog.driver.copas"
  local harness = start_copas(copas, copas.pause)
  function harness.stop()
    package.loaded.copas = saved
    package.loaded["eventlog.driver.copas"] = nil
  end
  return harness
end

--- A harness. Fails where this Lua should have the scheduler, and has not.
function M.start(name)
  local harness = start[name]()
  harness.name = name
  harness.stop = harness.stop or function() end
  return harness
end

return M
