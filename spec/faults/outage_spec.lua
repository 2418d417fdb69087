--- What a network does beside cutting: it is late, swallows answers, refuses,
--- breaks again and again, and is away for a while, with a hundred who want it
--- back.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local proxies = require "spec.faults.proxy"
local redis = require "spec.support.redis"
local schedulers = require "spec.support.scheduler"
local watch = require "spec.faults.watch"

local server, proxy

setup(function()
  server = redis.start()
  proxy = proxies.start(server.path)
end)

teardown(function()
  proxy:stop()
  server:stop()
end)

before_each(function()
  proxy:heal()
  server:call("FLUSHALL")
end)

local function new_client(settings)
  local target = { url = proxy.url, timeout = 0.3 }
  for key, value in pairs(settings or {}) do target[key] = value end
  return eventlog.connect(target)
end

--- Adds the numbers from `first` to `last` on the server itself.
local function add(first, last)
  server:call("EVAL", [[for i = ARGV[1], ARGV[2] do
    redis.call('XADD', KEYS[1], '*', 'i', i) end]], 1, "log", first, last)
end

describe("a network that", function()
  it("is late breaks nothing", function()
    proxy:delay { request = 20, reply = 30 }
    local log = eventlog.new(new_client(), "log", { ttl = 100, batch_size = 3 })
    local follower = log:tail_and_follow()
    for i = 1, 5 do assert(log:add { i = i }) end
    assert(log:add({ i = 6 }, { i = 7 }))
    assert.equal(7, #assert(log:tail()))
    assert.equal(watch.up_to(7), watch.follow_to(follower, 7))
  end)

  it("is later than `timeout` leaves nobody else's answer behind", function()
    local log = eventlog.new(new_client { timeout = 5 }, "log")
    for i = 1, 5 do
      assert.equal(0, log:length())
      proxy:delay { reply = 500 }
      log.client.settings.timeout = 0.25
      local ids, err = log:add { i = i }
      log.client.settings.timeout = 5 -- for what is in time, on a busy machine, too
      assert.is_nil(ids)
      assert.same({ "connection", "unknown" }, { err.kind, err.outcome })
      proxy:delay {}
      assert.equal(1, log:length())
      server:call("DEL", "log")
    end
  end)

  it("swallows answers is told from one that swallows requests by an idempotent add",
    function()
      local log = eventlog.new(new_client { timeout = 0.1 }, "log", { idempotent = true })
      for round, direction in ipairs { "request", "reply", "request", "reply" } do
        for _ = 1, 3 do
          proxy:cut { direction = direction, after = 0, how = "drop", connections = 1 }
        end
        proxy:kill_connections()
        assert(log:add({ i = round }, { i = -round }))
        assert.equal(2 * round, server:call("XLEN", "log"))
      end
    end)

  it("refuses is an error at once, and none to who waits", function()
    local log = eventlog.new(new_client(), "log")
    local follower = log:tail_and_follow()
    assert(follower:next())
    proxy:refuse()
    proxy:kill_connections()
    for _ = 1, 3 do
      local ids, err = log:add { i = 0 }
      assert.is_nil(ids)
      assert.same({ "connection", "none", true }, { err.kind, err.outcome, err.retriable })
      assert.equal("connection", select(2, log:tail()).kind)
      assert.equal("timeout", select(2, follower:next(0.1)).kind)
    end
    proxy:accept()
    assert(log:add { i = 1 })
    assert.equal("1", watch.follow_to(follower, 1))
  end)

  it("accepts and does not answer is an error, and none to who waits", function()
    local log = eventlog.new(new_client(), "log")
    local follower = log:tail_and_follow()
    assert(follower:next())
    for _, fault in ipairs { "black_hole", "turn_away" } do
      proxy[fault](proxy, "reset")
      proxy:kill_connections("reset")
      for _ = 1, 2 do
        local ids, err = log:add { i = 0 }
        assert.is_nil(ids)
        assert.equal("connection", err.kind)
        assert.equal("connection", select(2, log:tail()).kind)
        assert.equal("timeout", select(2, follower:next(0.1)).kind)
      end
      proxy:heal()
    end
    assert.equal(0, server:call("XLEN", "log"))
    assert(log:add { i = 1 })
    assert.equal("1", watch.follow_to(follower, 1))
  end)

  it("breaks again and again loses nothing, and repeats nothing", function()
    local COUNT = 300
    local s = schedulers.new()
    local client = new_client { driver = s.wait, timeout = 2 }
    local done, results = false, {}
    for i = 1, 3 do
      s:spawn(function()
        -- One follows by small pages, so that it is broken off amid them.
        local log = eventlog.new(client, "log", { batch_size = i == 1 and 2 or nil })
        results[i] = watch.follow_to(log:tail_and_follow(), COUNT)
      end)
    end
    s:spawn(function()
      local log = eventlog.new(client, "log", { idempotent = true })
      while not proxy.ready do s:sleep(0.01) end
      for i = 1, COUNT, 3 do assert(log:add({ i = i }, { i = i + 1 }, { i = i + 2 })) end
      done = true
    end)
    s:spawn(function()
      while proxy:counts().open < 3 do s:sleep(0.01) end
      s:sleep(0.1)
      proxy.ready = true
      local round = 0
      while not done do
        round = round + 1
        proxy:kill_connections(round % 2 == 0 and "close" or "reset")
        s:sleep(0.02)
      end
    end)
    s:run(90)
    for i = 1, 3 do assert.equal(watch.up_to(COUNT), results[i]) end
  end)
end)

describe("a server that is away for a while", function()
  it("is not stampeded by a hundred followers of one client, and all come back", function()
    local s = schedulers.new()
    local client = new_client { driver = s.wait, timeout = 5 }
    local attached, back = 0, 0
    for _ = 1, 100 do
      local follower = eventlog.new(client, "log"):tail_and_follow()
      s:spawn(function()
        assert(#assert(follower:next()) == 0)
        attached = attached + 1
        assert(watch.follow_to(follower, 1) == "1")
        back = back + 1
      end)
    end
    local seconds, attempts, took
    s:spawn(function()
      while attached < 100 do s:sleep(0.01) end
      -- A hundred followers do not keep an add waiting, either.
      assert(eventlog.new(client, "other"):add { i = 1 })
      server:kill()
      local before, since = proxy:counts().attempts, core.now()
      s:sleep(2.5)
      seconds = core.now() - since
      attempts = proxy:counts().attempts - before
      server:launch()
      since = core.now()
      add(1, 1)
      while back < 100 do s:sleep(0.01) end
      took = core.now() - since
    end)
    s:run(90)
    print(string.format("\n%d attempts in %.1f s; a hundred were back after %.2f s",
      attempts, seconds, took))
    assert(attempts >= 5, "hardly anybody tried: " .. attempts)
    assert(attempts <= 20 * seconds, attempts .. " in " .. seconds .. " s")
    assert.equal(100, back)
  end)
end)
