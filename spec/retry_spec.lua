--- Followers that go on when their connection does not.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local proxies = require "spec.faults.proxy"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"

describe("a follower", function()
  local server, log, events

  before_each(function()
    server = redis.start { config = "--appendonly yes --appendfsync always" }
    events = {}
    log = eventlog.new({
      url = server.url, timeout = 1,
      on_event = function(event) events[#events + 1] = event.kind end,
    }, "log")
  end)

  after_each(function() server:stop() end)

  --- Adds i on the server itself.
  local function add(i) server:call("XADD", "log", "*", "i", i) end

  --- The numbers of the next batch.
  local function numbers(follower)
    local batch = assert(follower:next(20))
    local list = {}
    for _, entry in ipairs(batch) do list[#list + 1] = entry.fields.i end
    return table.concat(list, " ")
  end

  local ways = {
    { "is killed by CLIENT KILL", function() server:call("CLIENT", "KILL", "TYPE", "normal") end },
    { "is woken by CLIENT UNBLOCK with an error", function()
      for id in server:call("CLIENT", "LIST"):gmatch("id=(%d+)[^\n]* cmd=xread") do
        server:call("CLIENT", "UNBLOCK", id, "ERROR")
      end
    end },
    { "dies with the server, which starts again", function()
      server:kill()
      server:launch()
    end },
    { "dies with the server, which loads for a while", function()
      server:kill()
      server:launch()
      server:call("CLIENT", "PAUSE", 300)
    end },
  }

  for _, way in ipairs(ways) do
    it("misses nothing and repeats nothing when its connection " .. way[1], function()
      add(1)
      local follower = log:tail_and_follow()
      assert.equal("1", numbers(follower))
      for i = 2, 4 do
        follower:next(0) -- an XREAD waits
        way[2]()
        add(i)
        assert.equal(tostring(i), numbers(follower))
      end
      local _, err = follower:next(0)
      assert.equal("timeout", err.kind)
      local told = {}
      for _, kind in ipairs(events) do told[kind] = true end
      assert.is_true(told.reconnecting and told.connected)
    end)
  end

  it("begins on another connection when a pooled one dies under its first request",
    function()
      local proxy = proxies.start(server.path)
      finally(function() proxy:stop() end)
      add(1)
      for _, start in ipairs { "tail_and_follow", "tail_n_and_follow" } do
        local pooled = eventlog.new({ url = proxy.url, reconnect_timeout = 5 }, "log")
        assert(pooled:length())
        proxy:cut { direction = "request", after = 0, present = true }
        assert.equal("1", numbers(pooled[start](pooled, 5)))
        pooled.client:close()
        proxy:heal()
      end
    end)

  it("gives up when its connection is answered, and breaks over the same request again",
    function()
      server:call("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
      local first = server:call("XADD", "log", "*", "i", 1)
      server:call("XADD", "log", "*", "large", ("x"):rep(3 * 1024 * 1024))
      for _, start in ipairs { "0-1", first } do
        events = {}
        log = eventlog.new({
          url = server.url, reconnect_timeout = 1.5,
          on_event = function(event) events[#events + 1] = event.kind end,
        }, "log")
        local follower = log:tail_after_and_follow(start)
        local began = core.now()
        local batch, err
        repeat batch, err = follower:next(20) until not batch
        assert.equal("connection", err.kind)
        assert.matches("client-output-buffer-limit", err.message, 1, true)
        assert.is_true(core.now() - began < 15)
        local tries = 0
        for _, kind in ipairs(events) do
          if kind == "reconnecting" then tries = tries + 1 end
        end
        assert.is_true(tries < 20, tries .. " tries")
        log.client:close()
      end
    end)

  describe("asks for fewer entries when a page is too large for", function()
    local SIZE = 300 * 1024
    local COUNT = 12

    local function add_large()
      for i = 1, COUNT do
        server:call("XADD", "log", "5-" .. i, "i", i, "large", ("x"):rep(SIZE))
      end
    end

    --- Follows in each way, by clients with these options; what it hands out, and
    --- that the last batch only is caught up.
    local function check(options)
      for _, start in ipairs {
        { "tail_and_follow", 1 }, { "tail_after_and_follow", 4, "5-3" },
        { "tail_n_and_follow", 3, COUNT - 2 }, { "tail_and_follow", 6, nil, 7 },
        { "tail_from_and_follow", 8, "5-8", 7 }, { "tail_n_and_follow", COUNT, 1 },
      } do
        options.url = server.url
        local large = eventlog.new(options, "log", { max_length = start[4] })
        local follower, at = large[start[1]](large, start[3]), start[2]
        repeat
          local batch = assert(follower:next(20))
          assert.is_nil(batch.gap or batch.reset)
          for _, entry in ipairs(batch) do
            assert.equal(tostring(at), entry.fields.i)
            at = at + 1
          end
          assert.equal(at > COUNT, batch.caught_up or false)
        until batch.caught_up
        -- And what comes then.
        server:call("XADD", "log", "6-1", "i", COUNT + 1)
        assert.equal(tostring(COUNT + 1), numbers(follower))
        server:call("XDEL", "log", "6-1")
        server:call("DEL", "log")
        add_large()
        large.client:close()
      end
    end

    for _, limit in ipairs { 1000, 500, 400 } do
      it("the server's output buffer of " .. limit .. " kB", function()
        add_large()
        server:call("CONFIG", "SET", "client-output-buffer-limit",
          "normal " .. limit .. "kb 0 0")
        check {}
      end)

      it("a max_reply of " .. limit .. " kB", function()
        add_large()
        check { max_reply = limit * 1024 }
      end)
    end

    it("and says what to change when one entry is too large", function()
      add_large()
      local batch, err = eventlog.new({ url = server.url, max_reply = 100000 }, "log")
        :tail_and_follow():next(20)
      assert.is_nil(batch)
      assert.equal("protocol", err.kind)
      assert.matches("max_reply", err.message, 1, true)
    end)
  end)

  it("lives on over links that are cut every few seconds while the log is quiet",
    function()
      local proxy = proxies.start(server.path)
      finally(function() proxy:stop() end)
      add(1)
      local follower = eventlog.new({ url = proxy.url, reconnect_timeout = 2 }, "log")
        :tail_and_follow()
      assert.equal("1", numbers(follower))
      for _ = 1, 4 do
        local _, err = follower:next(1.3)
        assert.equal("timeout", err.kind)
        proxy:kill_connections()
      end
      add(2)
      assert.equal("2", numbers(follower))
      -- While that is so because nothing answers, it is a failure.
      proxy:stall("reply")
      local give_up = core.now() + 15
      local err
      repeat
        err = select(2, follower:next(1.2))
        proxy:kill_connections()
      until err.kind ~= "timeout" or core.now() > give_up
      assert.equal("connection", err.kind)
    end)

  it("polls, and comes back, while the server is down", function()
    add(1)
    local follower = log:tail_and_follow()
    assert.equal("1", numbers(follower))
    server:kill()
    for _ = 1, 20 do
      local _, err = follower:next(0)
      assert.equal("timeout", err.kind)
    end
    server:launch()
    add(2)
    assert.equal("2", numbers(follower))
  end)

  it("goes on after a server that stalled", function()
    add(1)
    local follower = log:tail_and_follow()
    assert.equal("1", numbers(follower))
    server:signal("STOP")
    local _, err = follower:next(7) -- BLOCK and timeout, and it finds out
    assert.equal("timeout", err.kind)
    server:signal("CONT")
    add(2)
    assert.equal("2", numbers(follower))
  end)

  it("gives up after reconnect_timeout, and fails at once on what stays", function()
    local short = eventlog.new({ url = server.url, reconnect_timeout = 0.3 }, "log")
    add(1)
    local follower = short:tail_and_follow()
    assert.equal("1", numbers(follower))
    server:kill()
    local batch, err = follower:next()
    assert.is_nil(batch)
    assert.equal("connection", err.kind)
    assert.equal(err, select(2, follower:next()))
    server:launch()
    follower = log:tail_and_follow()
    assert.equal("1", numbers(follower))
    server:call("DEL", "log")
    server:call("SET", "log", "x")
    assert.equal("WRONGTYPE", select(2, follower:next()).code)
  end)

  it("is woken by close() while it waits to try again", function()
    add(1)
    local s = scheduler.new()
    log = eventlog.new({ url = server.url, driver = s.wait }, "log")
    local follower = log:tail_and_follow()
    local kinds = {}
    s:spawn(function()
      assert(follower:next())
      server:kill()
      local _, err = follower:next()
      kinds[#kinds + 1] = err.kind
    end)
    s:spawn(function()
      s:sleep(1)
      follower:close()
    end)
    s:run(30)
    assert.same({ "closed" }, kinds)
  end)

  it("comes back with a hundred others, and without a stampede", function()
    add(1)
    local attempts = 0
    local s = scheduler.new()
    local client = eventlog.connect {
      url = server.url, driver = s.wait,
      on_event = function(event)
        if event.kind == "reconnecting" then attempts = attempts + 1 end
      end,
    }
    local seen, attached = 0, 0
    for _ = 1, 100 do
      local follower = eventlog.new(client, "log"):tail_and_follow()
      s:spawn(function()
        assert(follower:next())
        attached = attached + 1
        local batch = assert(follower:next())
        seen = seen + #batch
      end)
    end
    s:spawn(function()
      while attached < 100 do s:sleep(0.01) end
      server:kill()
      s:sleep(1.5)
      -- Each lost its connection once; then all together try 20 times a second.
      assert(attempts <= 100 + 2 * 20, attempts)
      server:launch()
      add(2)
    end)
    s:run(60)
    assert.equal(100, seen)
  end)
end)
