--- How long does a scheduler's ticker stand still while 200 followers wait, and
--- one add hangs on a server that is stopped? Run at the root of a checkout, with
--- LUA_PATH and LUA_CPATH as for the specs:
---   lua bench/ticker.lua [scheduler]...
--- Prints for each scheduler the longest gap between two ticks, in ms: alone;
--- while all wait, their requests' renewal every 5 s included; and while each
--- event wakes all 200.

local core = require "eventlog.core"
local drivers = require "spec.support.drivers"
local eventlog = require "eventlog"
local redis = require "spec.support.redis"

local FOLLOWERS = 200
local TICK = 0.002 -- seconds
local QUIET = 6.5 -- seconds: longer than a follower's request is left waiting
local EVENTS = 20

--- The longest time between two ticks, in ms, while f() runs.
local function longest_gap(harness, f)
  local stop, longest = false, 0
  local ticker = harness.spawn(function()
    local last = core.now()
    while not stop do
      harness.sleep(TICK)
      local now = core.now()
      longest = math.max(longest, now - last)
      last = now
    end
  end)
  f()
  stop = true
  harness.join(ticker)
  return longest * 1000
end

local function measure(harness, server, stalled)
  local client = eventlog.connect({ path = server.path, driver = harness.driver })
  local log = eventlog.new(client, "ticker")
  local slow_client = eventlog.connect({
    path = stalled.path, driver = harness.driver, timeout = 60,
  })
  local slow_log = eventlog.new(slow_client, "slow")
  assert(slow_log:add({ n = 1 }))

  local alone = longest_gap(harness, function() harness.sleep(1) end)

  local seen, tasks, followers = 0, {}, {}
  for i = 1, FOLLOWERS do
    followers[i] = log:tail_and_follow()
    tasks[i] = harness.spawn(function()
      local batch = followers[i]:next()
      while batch do
        seen = seen + #batch
        batch = followers[i]:next()
      end
    end)
  end
  stalled:signal("STOP")
  local done = false
  local adding = harness.spawn(function()
    assert(slow_log:add({ n = 2 }))
    done = true
  end)
  harness.sleep(0.5)

  local waiting = longest_gap(harness, function() harness.sleep(QUIET) end)
  local woken = longest_gap(harness, function()
    for n = 1, EVENTS do
      assert(log:add({ n = n }))
      while seen < n * FOLLOWERS do harness.sleep(TICK) end
    end
  end)

  assert(not done, "the add on the stopped server was answered")
  stalled:signal("CONT")
  harness.join(adding)
  for _, follower in ipairs(followers) do follower:close() end
  for _, task in ipairs(tasks) do harness.join(task) end
  client:close()
  slow_client:close()
  return alone, waiting, woken
end

local names = { ... }
if #names == 0 then
  for _, name in ipairs(drivers.names) do
    if name ~= "blocking" and name ~= "copas 4" then names[#names + 1] = name end
  end
end

print(string.format("%s, %d followers; longest gap between ticks of %g ms, in ms",
  _VERSION .. (rawget(_G, "jit") and " (LuaJIT)" or ""), FOLLOWERS, TICK * 1000))
print(string.format("%-10s %8s %8s %8s", "scheduler", "alone", "waiting", "woken"))
for _, name in ipairs(names) do
  local server, stalled = redis.start(), redis.start()
  local harness = drivers.start(name)
  local ok, why = pcall(function()
    local alone, waiting, woken
    harness.run(function() alone, waiting, woken = measure(harness, server, stalled) end)
    print(string.format("%-10s %8.1f %8.1f %8.1f", name, alone, waiting, woken))
  end)
  harness.stop()
  server:stop()
  stalled:stop()
  if not ok then error(why, 0) end
end
