--- Followers of a host that polls with next(0), and servers that do not do what is
--- pipelined.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local played = require "spec.support.played"
local redis = require "spec.support.redis"
local system = require "eventlog.base.system"

local bulk, array, entry = played.bulk, played.array, played.entry

local function sleep(seconds) core.wait(-1, "r", seconds) end

--- Polls until there is a batch; at most 10 s.
local function poll(follower)
  local give_up = core.now() + 10
  local batch, err
  repeat
    batch, err = follower:next(0)
    if not batch then assert.equal("timeout", err.kind) end
  until batch or core.now() > give_up
  return batch
end

describe("next(0)", function()
  local server, client

  setup(function()
    server = redis.start()
    client = eventlog.connect(server.url)
  end)

  teardown(function()
    client:close()
    server:stop()
  end)

  it("hands out what came while the host was away for seconds, whenever that was",
    function()
      if _VERSION ~= "Lua 5.4" then return end -- it takes long: one Lua does it
      -- What is added so many seconds after the poll comes with the next poll, 7 s
      -- after the one before. false: nothing is added. Each of the followers goes
      -- through two of these rounds, at the same time.
      local AFTER = { 6, false, 3, 0.1, 6.8 }
      local followers = {}
      for i in ipairs(AFTER) do
        followers[i] = eventlog.new(client, "away " .. i):tail_and_follow()
        assert(poll(followers[i]))
      end
      local began = core.now()
      local function sleep_until(seconds) sleep(math.max(0, began + seconds - core.now())) end
      for round = 0, 1 do
        local adds, due = {}, {}
        for i = 1, #AFTER do
          local after = AFTER[(i + round - 1) % #AFTER + 1]
          due[i] = after and string.format("%d in round %d", i, round)
          if after then adds[#adds + 1] = { at = 7 * round + after, log = i } end
        end
        table.sort(adds, function(a, b) return a.at < b.at end)
        for _, add in ipairs(adds) do
          sleep_until(add.at)
          server:call("XADD", "away " .. add.log, "*", "i", due[add.log])
        end
        sleep_until(7 * (round + 1))
        for i, follower in ipairs(followers) do
          local batch = follower:next(0)
          assert.equal(due[i], batch and batch[1].fields.i or false)
        end
      end
      for _, follower in ipairs(followers) do follower:close() end
    end)

  it("hands out each entry once, although more than one wait is asked for", function()
    local follower = eventlog.new(client, "twice"):tail_and_follow()
    assert(poll(follower))
    local seen, added = {}, 0
    for round = 1, 6 do
      for _ = 1, 12 do -- quiet for over a second: another wait is asked for
        local batch, err = follower:next(0)
        assert.is_nil(batch)
        assert.equal("timeout", err.kind)
        sleep(0.1)
      end
      for _ = 1, round do
        added = added + 1
        server:call("XADD", "twice", "*", "i", added)
      end
      while #seen < added do
        -- By turns it waits.
        local batch = round % 2 == 0 and assert(follower:next(5)) or poll(follower)
        assert.is_nil(batch.gap or batch.reset)
        for _, one in ipairs(batch) do seen[#seen + 1] = one.fields.i end
      end
    end
    for i = 1, added do assert.equal(tostring(i), seen[i]) end
    assert.equal(added, #seen)
    follower:close()
  end)

  it("notices a dead link within 15 seconds, whatever waits are asked for and the timeout",
    function()
      if _VERSION ~= "Lua 5.4" then return end -- the clock is the same for every Lua
      local now, ahead, lost = system.now, 0, nil
      local own = eventlog.connect {
        url = server.url, timeout = 60, reconnect_timeout = 1,
        driver = function(fd, mode) core.wait(fd, mode, 0.01) end,
        on_event = function(event) lost = lost or event.kind == "disconnected" end,
      }
      local follower = eventlog.new(own, "dead"):tail_and_follow()
      assert(poll(follower))
      assert.is_nil((follower:next(0)))
      server:signal("STOP")
      system.now = function() return now() + ahead end
      while not lost and ahead < 60 do
        ahead = ahead + 0.25
        follower:next(0)
      end
      system.now = now
      server:signal("CONT")
      assert.is_true(ahead >= 9 and ahead <= 15.5, ahead)
      follower:close()
      own:close()
    end)

  it("notices that the log was made anew, although more than one wait is asked for",
    function()
      server:call("XADD", "anew", "5000-1", "i", 1)
      local follower = eventlog.new(client, "anew"):tail_and_follow()
      assert.equal("1", poll(follower)[1].fields.i)
      for _ = 1, 12 do
        follower:next(0)
        sleep(0.1)
      end
      server:call("DEL", "anew")
      server:call("XADD", "anew", "6000-1", "i", 2)
      local batch = poll(follower)
      assert.same({ "2", "recreated" }, { batch[1].fields.i, batch.reset })
      follower:close()
    end)
end)

describe("a server that holds back what is pipelined behind a wait", function()
  -- What it answers to the probe behind a page.
  local STATE = array(bulk "5-1", bulk "5-1", bulk "5-1", bulk "1", bulk "1", bulk "0-0",
    bulk "0")
  local EMPTY = "*-1\r\n"

  local function looked(id, i) return array(entry(id, "i", i)) end

  local function page(id, i) return array(array(bulk "log", looked(id, i))) end

  --- A client whose server answers so, and how often on_event said "degraded".
  local function meet(pieces)
    local told = { degraded = 0 }
    local client, streams = played.client({ on_event = function(event)
      if event.kind == "degraded" then told.degraded = told.degraded + 1 end
    end }, pieces)
    return client, streams, told
  end

  it("is sent something else when the probe is missed, and is then probed separately",
    function()
      -- Each with how many requests it needs to have been sent.
      local client, streams, told = meet {
        { 1, STATE }, { 2, EMPTY }, { 2, STATE }, -- the first batch, empty
        { 3, page("6-1", "1") }, { 4, bulk "2" }, { 4, ":2\r\n" },
        { 5, page("7-1", "2") }, { 6, looked("6-1", "1") }, { 6, ":3\r\n" },
        { 7, page("8-1", "3") }, { 8, looked("7-1", "2") }, { 8, ":4\r\n" },
      }
      local follower = eventlog.new(client, "log"):tail_after_and_follow("5-1")
      assert.equal(0, #assert(follower:next(20)))
      for i = 1, 3 do
        assert.equal(tostring(i), assert(follower:next(20))[1].fields.i)
      end
      assert.equal(1, told.degraded)
      assert.equal(1, #streams)
      follower:close()
    end)
end)
