--- Links that take in nothing, or go silent in the middle of something.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local proxies = require "spec.faults.proxy"
local redis = require "spec.support.redis"
local schedulers = require "spec.support.scheduler"
local watch = require "spec.faults.watch"

-- More than all buffers between client and server can take in.
local HUGE = ("x"):rep(16 * 1024 * 1024)

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

-- Seconds for what answers, which a busy machine may need.
local ENOUGH = 5

local function new_log(options, settings)
  local target = { url = proxy.url, timeout = 0.2 }
  for key, value in pairs(settings or {}) do target[key] = value end
  return eventlog.new(target, "log", options)
end

--- The numbers that the log holds, as text.
local function held()
  return server:call("EVAL", [[local list = {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
      list[#list + 1] = entry[2][2]
    end
    return table.concat(list, ' ')]], 1, "log")
end

describe("an add whose last byte never left", function()
  local ways = {
    { "one entry", 1 }, { "one entry with a TTL", 1, { ttl = 100 } }, { "two entries", 2 },
    { "one entry under a condition", 1, {}, true },
  }

  -- What happens to it: nobody reads, or the link breaks, on a new connection.
  local faults = {
    { "nobody reads", function() proxy:stall("request") end },
    { "a black hole swallows", function() proxy:black_hole(true) end },
    { "the link breaks under", function()
      proxy:cut { direction = "request", after = 100000, how = "reset", connections = 1 }
    end },
    { "the link ends under", function()
      proxy:cut { direction = "request", after = 100000, connections = 1 }
    end },
  }

  for _, fault in ipairs(faults) do
    it("has added nothing, and knows it, where " .. fault[1] .. " it", function()
      for _, way in ipairs(ways) do
        local log = new_log(way[3])
        fault[2]()
        local entries = { { i = HUGE }, way[2] == 2 and { i = 2 } or nil }
        local ids, err
        if way[4] then
          ids, err = log:add_if("0-0", entries[1])
        else
          ids, err = log:add_many(entries)
        end
        assert.is_nil(ids)
        assert.same({ "connection", "none" }, { err.kind, err.outcome }, way[1])
        proxy:heal()
        proxy:settle()
        assert.equal(0, server:call("EXISTS", "log"), way[1])
        log.client.settings.timeout = ENOUGH
        assert(log:add { i = 3 })
        assert.equal("3", held())
        server:call("DEL", "log")
        log.client:close()
      end
    end)
  end

  it("is sent again where the pooled connection had died of it", function()
    local log = new_log(nil, { timeout = 5 })
    assert(log:length())
    proxy:cut { direction = "request", after = 100000, how = "reset", present = true }
    local ids = assert(log:add { i = HUGE })
    assert.equal(1, server:call("XLEN", "log"))
    assert.equal(ids[1], log:last_id())
  end)

  it("lands once where it is idempotent", function()
    local log = new_log({ idempotent = true }, { timeout = 2 })
    proxy:cut { direction = "request", after = 100000, how = "reset", connections = 1 }
    proxy:cut { direction = "request", after = 200000, how = "stall", connections = 1 }
    proxy:cut { direction = "reply", after = 0, connections = 1 }
    assert(log:add({ i = HUGE }, { i = 2 }))
    proxy:kill_connections() -- the stalled one
    proxy:settle()
    assert.equal(2, server:call("XLEN", "log"))
  end)
end)

describe("a link that goes silent", function()
  it("in the middle of an answer leaves it to nobody else", function()
    for after = 0, 20, 4 do
      local log = new_log({ batch_size = 2 }, { timeout = ENOUGH })
      for round, call in ipairs {
        function() return log:add { i = after } end,
        function() return log:add({ i = after }, { i = after }) end,
        function() return log:tail() end,
        function() return log:length() end,
      } do
        server:call("DEL", "log")
        server:call("XADD", "log", "5-1", "i", 7)
        assert.equal(1, (log:length()))
        proxy:cut { direction = "reply", after = after, how = "stall", present = true }
        log.client.settings.timeout = 0.25
        local result, err = call()
        log.client.settings.timeout = ENOUGH
        if round < 3 then
          -- A read may ask again elsewhere.
          assert(result == nil or after > 15, "nothing was held back")
        end
        if result == nil then
          assert.equal("connection", err.kind)
          assert.equal(round < 3 and "unknown" or nil, err.outcome)
        end
        proxy:resume() -- and what was held back comes
        local entries = assert(log:tail())
        assert.equal(1 + (round < 3 and round or 0), #entries)
        assert.equal("7", entries[1].fields.i)
        assert.equal(#entries, (log:length()))
        assert.equal(entries[#entries].id, (log:last_id()))
        proxy:heal()
      end
      log.client:close()
    end
  end)

  it("is noticed by followers within 15 seconds, whatever they were at", function()
    local s = schedulers.new()
    -- In which direction; after how many bytes of the answers with which it reads
    -- (nil: when it waits); the client's timeout. Each has a link of its own.
    local cases = {
      { "both", nil, 1 }, { "request", nil, 1 }, { "reply", nil, 1 },
      { "both", nil, 5 }, { "reply", 10, 1 }, { "reply", 200, 5 },
    }
    -- Who would wait longer must not: this takes all of them, so one Lua does it.
    if _VERSION == "Lua 5.4" then
      cases[#cases + 1] = { "both", nil, 30 }
      cases[#cases + 1] = { "reply", 10, 30 }
      cases[#cases + 1] = { "reply", 200, 30 }
    end
    local noticed = 0
    for number, case in ipairs(cases) do
      local name, direction, after = "log" .. number, case[1], case[2]
      local function add(i) server:call("XADD", name, "5-" .. i, "i", i) end
      local own = proxies.start(server.path)
      finally(function() own:stop() end)
      s:spawn(function()
        for i = 1, 20 do add(i) end
        local log = eventlog.new({ url = own.url, driver = s.wait, timeout = case[3] }, name,
          { batch_size = 2 })
        local follower, seen = log:tail_and_follow(), {}
        local function take(seconds)
          for _, entry in ipairs(follower:next(seconds) or {}) do
            seen[#seen + 1] = entry.fields.i
          end
        end
        if after then
          take(20)
          own:cut { direction = direction, after = after, how = "stall", present = true }
          add(21)
          add(22)
        else
          while #seen < 20 do take(20) end
          take(0) -- it waits
          for _, one in ipairs { "request", "reply" } do
            if one == direction or direction == "both" then
              own:cut { direction = one, after = 0, how = "stall", present = true }
            end
          end
          add(21)
          take(1) -- what it asks for next is not answered
          add(22)
        end
        local give_up = core.now() + 15
        repeat
          take(math.max(0, give_up - core.now()))
        until #seen >= 22 or core.now() >= give_up
        assert.equal(watch.up_to(22), table.concat(seen, " "), name)
        assert.equal(2, own:counts().connections, name)
        follower:close()
        noticed = noticed + 1
      end)
    end
    s:run(60)
    assert.equal(#cases, noticed)
  end)
end)
