--- Nothing silent: gaps and resets, made by hand on a real server.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

describe("a follower", function()
  local log, follower

  local function new(options)
    server:call("FLUSHALL")
    log = eventlog.new(server.url, "log", options)
    return log
  end

  after_each(function() log.client:close() end)

  local function numbered(first, last)
    local entries = {}
    for i = first, last do entries[#entries + 1] = { i = i } end
    return assert(log:add_many(entries))
  end

  --- Adds many in one script, trimmed at once: nobody can read in between.
  local function burst(count, max_length)
    server:call("EVAL", [[for i = 1, ARGV[1] do
      redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'i', i) end]], 1, "log",
      count, max_length)
  end

  --- What the next batch tells: "entries caught_up gap reset".
  local function tells(timeout)
    local batch, err = follower:next(timeout or 20)
    if not batch then return err.kind end
    local gap = batch.gap
    return string.format("%d %s %s %s", #batch, tostring(batch.caught_up),
      gap and tostring(gap.missed or "some") or "-", batch.reset or "-"), batch
  end

  it("counts what one burst trimmed while it waited", function()
    new():add { i = 1 }
    follower = log:tail_and_follow()
    local _, batch = tells()
    local before = batch[1].id
    assert.equal("timeout", tells(0))
    burst(5000, 25)
    local said
    said, batch = tells()
    assert.equal("25 true 4975 -", said)
    assert.same({ after = before, before = batch[1].id, missed = 4975 }, batch.gap)
    numbered(1, 2)
    assert.equal("2 true - -", tells())
  end)

  it("counts what was trimmed before it read on", function()
    new { batch_size = 10 }
    numbered(1, 50)
    follower = log:tail_and_follow()
    assert.equal("10 nil - -", tells())
    assert.equal("10 nil - -", tells()) -- was asked for before
    server:call("XTRIM", "log", "MAXLEN", 5)
    local seen = {}
    repeat
      local said = tells(0.2)
      seen[#seen + 1] = said
    until said == "timeout"
    -- The page that was under way when it was trimmed may have come whole.
    local all = table.concat(seen, ", ")
    assert(all == "5 true 25 -, timeout" or all == "10 nil - -, 5 true 15 -, timeout", all)
  end)

  it("counts from an empty log on, and past one that was emptied", function()
    new()
    follower = log:tail_n_and_follow(0)
    assert.equal("0 true - -", tells())
    burst(100, 25)
    assert.equal("25 true 75 -", tells())
    burst(10, 0)
    numbered(1, 1)
    assert.equal("1 true 10 -", tells())
  end)

  it("takes what max_length hides at the start for no gap", function()
    new { max_length = 3, batch_size = 2 }
    numbered(1, 500)
    for _, start in ipairs { "tail_and_follow", "tail_n_and_follow" } do
      follower = log[start](log, 100)
      assert.equal("2 nil - -", tells())
      assert.equal("1 true - -", tells())
      follower:close()
    end
    follower = log:tail_after_and_follow("0-0")
    local _, batch = tells()
    assert.is_nil(batch.gap)
  end)

  it("sees no gap where each entry takes the place of the last one", function()
    new()
    burst(1, 1)
    follower = log:tail_and_follow()
    assert.equal("1 true - -", tells())
    for _ = 1, 5 do
      burst(1, 1)
      assert.equal("1 true - -", tells())
    end
  end)

  it("reports a resume token that was trimmed, without a count", function()
    new()
    local ids = numbered(1, 4)
    follower = log:tail_after_and_follow(ids[2])
    assert.equal("2 true - -", tells())
    server:call("XTRIM", "log", "MAXLEN", 1)
    follower = log:tail_after_and_follow(ids[1])
    local said, batch = tells()
    assert.equal("1 true some -", said)
    assert.same({ after = ids[1], before = ids[4] }, batch.gap)
  end)

  it("takes a deletion of entries for no gap", function()
    new()
    local ids = numbered(1, 3)
    follower = log:tail_and_follow()
    assert.equal("3 true - -", tells())
    server:call("XDEL", "log", ids[3])
    numbered(4, 5)
    assert.equal("2 true - -", tells())
  end)

  it("goes on from the beginning of a log that was made anew", function()
    new()
    numbered(1, 5)
    follower = log:tail_and_follow()
    assert.equal("5 true - -", tells())
    server:call("DEL", "log")
    redis.sh("sleep 0.01") -- in the same ms it would get the very ids again
    numbered(1, 2)
    assert.equal("2 true - recreated", tells())
    server:call("DEL", "log")
    server:call("XADD", "log", "5-1", "i", 1) -- ids far below
    assert.equal("1 true - recreated", tells())
    server:call("XADD", "log", "5-2", "i", 2)
    assert.equal("1 true - -", tells())
  end)

  it("reads all of a log that was made anew with ids on both sides", function()
    new()
    numbered(1, 5)
    follower = log:tail_and_follow()
    assert.equal("5 true - -", tells())
    server:call("EVAL", [[redis.call('DEL', KEYS[1])
      redis.call('XADD', KEYS[1], '5-1', 'i', 1)
      redis.call('XADD', KEYS[1], '*', 'i', 2)]], 1, "log")
    assert.equal("2 true - recreated", tells())
  end)

  it("goes on from the beginning of a log that was rolled back", function()
    new()
    numbered(1, 3)
    server:call("EVAL", "redis.call('SET', KEYS[2], redis.call('DUMP', KEYS[1]))", 2,
      "log", "copy")
    follower = log:tail_and_follow()
    assert.equal("3 true - -", tells())
    numbered(4, 5)
    assert.equal("2 true - -", tells())
    server:call("EVAL", [[redis.call('RESTORE', KEYS[1], 0, redis.call('GET', KEYS[2]),
      'REPLACE')]], 2, "log", "copy")
    assert.equal("3 true - rewound", tells())
  end)

  --- Puts an older copy of the log in its place, and adds to that at once.
  local function keep_copy()
    server:call("EVAL", "redis.call('SET', KEYS[2], redis.call('DUMP', KEYS[1]))", 2,
      "log", "copy")
  end
  local function roll_back(count)
    redis.sh("sleep 0.01") -- so that no id comes again
    server:call("EVAL", [[redis.call('RESTORE', KEYS[1], 0, redis.call('GET', KEYS[2]),
      'REPLACE')
      for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'i', 1000 + i) end]], 2,
      "log", "copy", count)
  end

  --- Reads to the log's end; what the batches tell, and the numbers they have.
  local function to_end()
    local said, seen = {}, {}
    repeat
      local text, batch = tells()
      said[#said + 1] = text:match("%S+ %S+$")
      for _, entry in ipairs(batch) do seen[#seen + 1] = entry.fields.i end
    until batch.caught_up
    return table.concat(said, ", "), seen
  end

  -- Found by script/soak 60 11.
  it("goes on from the beginning of a log that was rolled back and added to", function()
    for _, added in ipairs { 3, 15, 60 } do
      for _, start in ipairs { "tail_and_follow", "tail_n_and_follow" } do
        new { batch_size = 10 }
        numbered(1, 20)
        keep_copy()
        numbered(21, 30)
        follower = log[start](log, 0)
        to_end()
        roll_back(added)
        local said, seen = to_end()
        assert.equal("- rewound", said:match("^[^,]*"))
        assert.equal("1", seen[1])
        assert.equal(20 + added, #seen)
        assert.equal(tostring(1000 + added), seen[#seen])
        numbered(7, 7)
        assert.equal("1 true - -", tells())
        follower:close()
      end
    end
  end)

  it("goes on from the beginning of a longer log that took its name", function()
    for _, older in ipairs { 3, 100 } do
      new { batch_size = 10 }
      numbered(1, 30)
      follower = log:tail_and_follow()
      to_end()
      redis.sh("sleep 0.01")
      server:call("EVAL", [[
        for i = 1, ARGV[1] do redis.call('XADD', KEYS[2], '5-' .. i, 'i', i) end
        for i = 1, 3 do redis.call('XADD', KEYS[2], '*', 'i', 1000 + i) end
        redis.call('RENAME', KEYS[2], KEYS[1])]], 2, "log", "other", older)
      local said, seen = to_end()
      assert.equal("- recreated", said:match("^[^,]*"))
      assert.equal(older + 3, #seen)
    end
  end)

  it("stays where it was on a log that was rolled back to behind it", function()
    new()
    numbered(1, 3)
    follower = log:tail_and_follow()
    assert.equal("3 true - -", tells())
    keep_copy()
    roll_back(2)
    assert.equal("2 true - -", tells())
  end)

  it("sees that a log was made anew after entries of it were deleted", function()
    new()
    local ids = numbered(1, 5)
    server:call("XDEL", "log", ids[3])
    follower = log:tail_and_follow()
    assert.equal("4 true - -", tells())
    server:call("DEL", "log")
    redis.sh("sleep 0.01")
    numbered(6, 6)
    assert.equal("1 true - recreated", tells())
  end)

  it("gives no count that deletions make wrong", function()
    new()
    numbered(1, 5)
    follower = log:tail_and_follow()
    assert.equal("5 true - -", tells())
    server:call("EVAL", [[redis.call('XADD', KEYS[1], '*', 'i', 6)
      local id = redis.call('XADD', KEYS[1], '*', 'i', 7)
      redis.call('XADD', KEYS[1], '*', 'i', 8)
      redis.call('XDEL', KEYS[1], id)]], 1, "log")
    assert.equal("2 true - -", tells())
    redis.sh("sleep 0.01") -- so that there is room for an entry between 8 and 9
    server:call("EVAL", [[redis.call('XADD', KEYS[1], '*', 'i', 9)
      redis.call('XTRIM', KEYS[1], 'MAXLEN', 1)]], 1, "log")
    assert.equal("1 true some -", tells())
    burst(10, 2) -- and from there on it counts again
    assert.equal("2 true 8 -", tells())
  end)

  it("says on its first batch that the id to begin at is beyond the end", function()
    new()
    for _, entries in ipairs { 0, 2 } do
      if entries > 0 then numbered(1, entries) end
      for _, start in ipairs { "tail_after_and_follow", "tail_from_and_follow" } do
        follower = log[start](log, "99999999999999-0")
        assert.equal(entries == 0 and "0 true - recreated" or "0 true - rewound", tells())
        follower:close()
      end
    end
    follower = log:tail_after_and_follow("99999999999999-0")
    tells()
    numbered(3, 3)
    assert.equal("1 true - -", tells())
  end)

  it("ends on both where the log says so, and tells on_event", function()
    server:call("FLUSHALL")
    local events = {}
    local client = eventlog.connect { url = server.url, on_event = function(event)
      events[#events + 1] = event.kind
    end }
    log = eventlog.new(client, "log", { on_gap = "error" })
    for _, case in ipairs {
      { "gap", function() burst(100, 5) end },
      { "reset", function() server:call("DEL", "log") numbered(1, 1) end },
    } do
      numbered(1, 3)
      follower = log:tail_and_follow()
      assert(follower:next())
      case[2]()
      local batch, err = follower:next(20)
      assert.is_nil(batch)
      assert.equal("gap", err.kind)
      assert.equal(err, select(2, follower:next()))
      local told = {}
      for _, kind in ipairs(events) do told[kind] = true end
      assert.is_true(told[case[1]])
    end
  end)

  it("goes on where the server has forgotten its scripts", function()
    new()
    numbered(1, 1)
    follower = log:tail_and_follow()
    assert.equal("1 true - -", tells())
    for i = 2, 4 do
      server:call("SCRIPT", "FLUSH")
      numbered(i, i)
      assert.equal("1 true - -", tells())
    end
  end)
end)
