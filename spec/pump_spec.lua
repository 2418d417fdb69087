--- The pump of a follower: what on_event may do while it is told of something, and what
--- goes over one and the same connection.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)
before_each(function() server:call("FLUSHALL") end)

local function add(first, last, size)
  for i = first, last do
    server:call("XADD", "log", i .. "-0", "i", i, "v", ("v"):rep(size or 1))
  end
end

--- A follower that was handed 1 and 2, and of which 3 and 4 are trimmed away unread; and
--- what its client tells.
local function with_gap(on_event)
  add(1, 2)
  local client = eventlog.connect { url = server.url, on_event = on_event }
  local follower = eventlog.new(client, "log"):tail_and_follow()
  assert.equal(2, #assert(follower:next(20)))
  add(3, 5)
  server:call("XTRIM", "log", "MAXLEN", 1)
  return follower
end

describe("on_event, told of a gap,", function()
  it("may raise an error: the batch is not delivered, and comes with the next call", function()
    local raises = 2
    local follower = with_gap(function(event)
      if event.kind ~= "gap" or raises == 0 then return end
      raises = raises - 1
      error("mine", 0)
    end)
    for _ = 1, 2 do
      local ok, why = pcall(follower.next, follower, 20)
      assert.same({ false, "mine", "2-0" }, { ok, why, follower.last_id })
    end
    local batch = assert(follower:next(20))
    assert.same({ "5-0", { after = "2-0", before = "5-0", missed = 2 } },
      { batch[1].id, batch.gap })
    assert.equal("5-0", follower.last_id)
    add(6, 6)
    batch = assert(follower:next(20))
    assert.same({ "6-0" }, { batch[1].id, batch.gap })
    follower:close()
  end)

  it("may close the follower: the batch is not delivered", function()
    local follower
    follower = with_gap(function(event)
      if event.kind == "gap" then follower:close() end
    end)
    for _ = 1, 2 do
      local batch, err = follower:next(20)
      assert.is_nil(batch)
      assert.equal("closed", err.kind)
    end
    assert.equal("2-0", follower.last_id)
  end)

  it("may call next() of another follower of the same client", function()
    local other, seen
    local follower = with_gap(function(event)
      if event.kind ~= "gap" then return end
      seen = #assert(other:next(20))
    end)
    other = eventlog.new(follower.client, "log"):tail_and_follow()
    assert.equal(1, #assert(follower:next(20)))
    assert.equal(1, seen)
    follower.client:close()
  end)
end)

describe("on_event, told of a connection,", function()
  for _, kind in ipairs { "connected", "disconnected", "reconnecting" } do
    it("may close the follower: " .. kind, function()
      local follower
      local client = eventlog.connect {
        url = server.url,
        on_event = function(event)
          if event.kind == kind then follower:close() end
        end,
      }
      follower = eventlog.new(client, "log"):tail_and_follow()
      local batch, err = follower:next(20)
      if kind ~= "connected" then
        assert.equal(0, #batch)
        server:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        batch, err = follower:next(20)
      end
      assert.is_nil(batch)
      assert.equal("closed", err.kind)
      client:close()
    end)
  end
end)

describe("a follower", function()
  local told

  local function follow(options)
    told = {}
    options.url = server.url
    options.on_event = function(event) told[#told + 1] = event.kind end
    local client = eventlog.connect(options)
    return eventlog.new(client, "log"):tail_and_follow()
  end

  it("keeps its connection if the server has forgotten the script", function()
    add(1, 2)
    local follower = follow {}
    assert.equal(2, #assert(follower:next(20)))
    for i = 3, 6 do
      server:call("SCRIPT", "FLUSH")
      add(i, i, 2000) -- too long for a probe without a script
      local batch = assert(follower:next(20))
      assert.same({ 1, i .. "-0" }, { #batch, batch[1].id })
      assert.is_nil(batch.gap or batch.reset)
    end
    assert.same({ "connected" }, told)
    follower:close()
  end)

  it("lets a wait go that is of no use, and connects again", function()
    add(1, 2)
    local follower = follow {}
    assert.equal(2, #assert(follower:next(20)))
    for _ = 1, 15 do -- it polls: one wait comes to stand behind another
      assert.is_nil((follower:next(0)))
      redis.sh("sleep 0.1")
    end
    server:call("EVAL", [[for i = 3, 5 do
        redis.call('XADD', KEYS[1], i .. '-0', 'i', i)
      end
      redis.call('XTRIM', KEYS[1], 'MAXLEN', 1)]], 1, "log")
    local batch, err
    repeat
      batch, err = follower:next(0)
      assert(batch or err.kind == "timeout")
    until batch
    assert.same({ "5-0", 2 }, { batch[1].id, batch.gap.missed })
    assert.same({ "connected", "connected", "gap" }, told)
    add(6, 6)
    assert.equal("6-0", assert(follower:next(20))[1].id)
    follower:close()
  end)

  it("asks on if all that is due was void, and the last of it still being sent", function()
    told = {}
    local name = ("x"):rep(8e6) -- which is sent in many pieces
    local follower = eventlog.new({ url = server.url, on_event = function(event)
      told[#told + 1] = event.kind
    end }, name):tail_and_follow()
    assert(follower:next(20))
    local link, polls = follower.pump.link, 0
    repeat -- until one wait stands behind another
      assert.is_nil((follower:next(0)))
      redis.sh("sleep 0.005")
      polls = polls + 1
    until polls == 2000 or link.oldest ~= link.newest and link.connection:is_sending()
    for i = 1, 2 do
      server:call("XADD", name, i .. "-0", "i", i)
      assert.equal(i .. "-0", assert(follower:next(4))[1].id)
    end
    assert.same({ "connected" }, told)
    follower:close()
  end)

  it("notices a log made anew with lower ids, though a later entry had been deleted", function()
    local follower = follow { max_reply = 150000 }
    for i, size in ipairs { 1, 1, 90000, 90000 } do add(10 * i, 10 * i, size) end
    server:call("XDEL", "log", "20-0")
    -- The page is too large, so it has one entry, and the next one is not asked for yet.
    local batch = assert(follower:next(20))
    assert.same({ 1, "10-0" }, { #batch, batch[1].id })
    server:call("DEL", "log")
    add(3, 4)
    add(40, 41)
    batch = assert(follower:next(20))
    assert.same({ 4, "3-0", "recreated" }, { #batch, batch[1].id, batch.reset })
    follower:close()
  end)
end)
