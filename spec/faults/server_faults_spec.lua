--- A real server in each state in which it does not serve: what passes is waited
--- for by followers and idempotent adds, and told to all others.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local watch = require "spec.faults.watch"

local tells, waits = watch.tells, watch.waits

local server

local function start(config)
  server = redis.start { config = config }
  finally(function() server:stop() end)
end

--- Adds numbers on the server itself.
local function add(...)
  for _, i in ipairs { ... } do server:call("XADD", "log", "*", "i", i) end
end

--- A follower that has seen the log, and does not wait yet.
local function attached(log)
  add(1)
  local follower = log:tail_and_follow()
  assert.equal("1", tells(follower))
  return follower
end

--- That a call was answered nil and one of these errors.
local function is_refused(codes, result, err)
  assert.is_nil(result)
  assert.same({ "server", true }, { err.kind, err.retriable }, err.message)
  assert((" " .. codes .. " "):find(" " .. err.code .. " ", 1, true), err.message)
end

local function become_replica() server:call("REPLICAOF", "127.0.0.1", 1) end

--- States that pass: how the server gets into it, and out of it; how adds and
--- reads are refused (nil: they are not); whether somebody must do something about
--- it.
local states = {
  {
    adds = "READONLY",
    enter = become_replica, leave = { "REPLICAOF", "NO", "ONE" },
  },
  {
    config = "--replica-serve-stale-data no",
    adds = "MASTERDOWN READONLY", reads = "MASTERDOWN",
    enter = become_replica, leave = { "REPLICAOF", "NO", "ONE" },
  },
  {
    config = "--lua-time-limit 1",
    adds = "BUSY", reads = "BUSY",
    enter = function()
      redis.sh("redis-cli -s %s eval 'while true do end' 0 >/dev/null 2>&1 &", server.path)
      repeat until not pcall(server.call, server, "PING")
    end,
    leave = { "SCRIPT", "KILL" },
  },
  {
    adds = "OOM",
    enter = function() server:call("CONFIG", "SET", "maxmemory", 1) end,
    leave = { "CONFIG", "SET", "maxmemory", 0 },
    lasts = true,
  },
  {
    adds = "NOREPLICAS",
    enter = function() server:call("CONFIG", "SET", "min-replicas-to-write", 1) end,
    leave = { "CONFIG", "SET", "min-replicas-to-write", 0 },
    lasts = true,
  },
}

for _, state in ipairs(states) do
  describe("a server that answers " .. state.adds:match("%S+"), function()
    it("adds nothing, and says that it may pass; followers go on", function()
      start(state.config)
      local log = eventlog.new({ url = server.url }, "log", { ttl = 1000 })
      local waiting, asking = attached(log), log:tail_and_follow()
      assert.equal("1", tells(asking))
      waits(waiting)
      local last_id = assert(log:last_id())
      state.enter()
      for _ = 1, 2 do
        for _, call in ipairs {
          function() return log:add { i = 0 } end,
          function() return log:add({ i = 0 }, { i = 0 }) end,
          function() return log:add_if(last_id, { i = 0 }) end,
        } do
          local result, err = call()
          is_refused(state.adds, result, err)
          assert.equal("none", err.outcome)
        end
        if state.reads then
          is_refused(state.reads, log:tail())
          is_refused(state.reads, log:length())
          -- A new follower is not answered: it ends at once.
          is_refused(state.reads, log:tail_and_follow():next(20))
        else
          assert.equal(1, #assert(log:tail()))
        end
        waits(asking)
        waits(waiting)
      end
      server:call((table.unpack or unpack)(state.leave))
      repeat until pcall(server.call, server, "PING") -- a script ends a little later
      add(2)
      assert.equal("2", tells(asking))
      assert.equal("2", tells(waiting))
      assert.equal(2, log:length())
    end)

    it("is waited for by an idempotent add, as far as it passes by itself", function()
      start(state.config)
      local log = eventlog.new({ url = server.url, reconnect_timeout = state.lasts and 1 },
        "log", { idempotent = true })
      state.enter()
      if state.lasts then
        local ids, err = log:add { i = 1 }
        is_refused(state.adds, ids, err)
        assert.equal("none", err.outcome)
      else
        redis.sh("(sleep 0.3; redis-cli -s %s %s) >/dev/null 2>&1 &", server.path,
          table.concat(state.leave, " "))
        local ids = assert(log:add({ i = 1 }, { i = 2 }))
        assert.equal(2, server:call("XLEN", "log"))
        assert.equal(ids[2], log:last_id())
      end
    end)
  end)
end

describe("a server that loads its data", function()
  it("adds nothing, says LOADING, and is waited for", function()
    start("--loading-process-events-interval-bytes 1024 --key-load-delay 0")
    local log = eventlog.new({ url = server.url }, "log")
    local once = eventlog.new(log.client, "log", { idempotent = true })
    local follower = attached(log)
    server:call("EVAL", [[for i = 1, 3000 do
      redis.call('SET', 'key' .. i, string.rep('x', 1000)) end]], 0)
    for round = 1, 2 do
      waits(follower)
      server:call("SAVE")
      server:kill()
      server.config = server.config:gsub("delay %d+", "delay 300") -- us a key
      server:launch()
      local ids, err = log:add { i = 0 }
      is_refused("LOADING", ids, err)
      assert.equal("none", err.outcome)
      is_refused("LOADING", log:tail())
      if round == 1 then
        assert(once:add { i = 2 })
      else
        repeat until pcall(server.call, server, "PING")
        add(3)
      end
      assert.equal(tostring(round + 1), tells(follower))
    end
    assert.equal(3, log:length())
  end)
end)

describe("a server that takes no more clients", function()
  it("adds nothing; followers wait until there is room", function()
    start()
    local log = eventlog.new({ url = server.url, pool_size = 0 }, "log")
    local once = eventlog.new(log.client, "log", { idempotent = true })
    local follower = attached(log)
    waits(follower)
    server:call("CONFIG", "SET", "maxclients", 3)
    server:call("CLIENT", "KILL", "TYPE", "normal")
    local crowd = {}
    for i = 1, 2 do crowd[i] = assert(core.unix(server.path)) end
    for _ = 1, 3 do
      local ids, err = log:add { i = 0 }
      assert.is_nil(ids)
      assert.same({ "none", true }, { err.outcome, err.retriable })
      assert.is_nil((log:tail()))
      waits(follower)
    end
    server:call("CONFIG", "SET", "maxclients", 100)
    assert(once:add { i = 2 })
    assert.equal("2", tells(follower))
    for _, socket in ipairs(crowd) do socket:close() end
  end)
end)

describe("a follower of a server that", function()
  it("is demoted while it waits goes on, there and after its promotion", function()
    start()
    local log = eventlog.new(server.url, "log")
    local follower = attached(log)
    for i = 2, 3 do
      waits(follower)
      server:call("REPLICAOF", "127.0.0.1", 1) -- says UNBLOCKED, and closes
      waits(follower)
      server:call("REPLICAOF", "NO", "ONE")
      add(i)
      assert.equal(tostring(i), tells(follower))
    end
  end)

  it("becomes another one's replica reads what that one has", function()
    start()
    local log = eventlog.new(server.url, "log")
    local follower = attached(log)
    waits(follower)
    local master = redis.start { tcp = true, config = "--repl-diskless-sync-delay 0" }
    finally(function()
      master:stop()
      server:stop()
    end)
    master:call("XADD", "log", "5-1", "i", 7)
    server:call("REPLICAOF", "127.0.0.1", master.port)
    assert.equal("7 recreated", tells(follower))
    master:call("XADD", "log", "5-2", "i", 8)
    assert.equal("8", tells(follower))
  end)

  it("shuts down, or is killed, and has kept nothing, begins anew", function()
    start()
    local log = eventlog.new(server.url, "log")
    local follower = attached(log)
    for i = 2, 3 do
      waits(follower)
      if i == 2 then
        pcall(server.call, server, "SHUTDOWN", "NOSAVE")
      end
      server:kill()
      waits(follower)
      server:launch()
      add(i)
      assert.equal(i .. " recreated", tells(follower))
    end
  end)

  it("comes back with what it had saved begins anew, and says that it was rolled back",
    function()
      start()
      local log = eventlog.new(server.url, "log")
      local follower = attached(log)
      server:call("SAVE")
      add(2)
      assert.equal("2", tells(follower))
      waits(follower)
      server:kill()
      server:launch()
      assert.equal("1 rewound", tells(follower))
      add(3)
      assert.equal("3", tells(follower))
    end)
end)
