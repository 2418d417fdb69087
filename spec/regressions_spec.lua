--- One test for each bug that was found by reading rather than by a spec.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"

describe("regression", function()
  local server

  local function start(config)
    server = redis.start { config = config }
    finally(function() server:stop() end)
    return server
  end

  it("1: an add whose user lacks a right adds none, or says that it does not know", function()
    start()
    local right = { ttl = 100 }
    local cases = {
      { "-pexpire", right, 1, "none", 0 }, { "-pexpire", right, 2, "none", 0 },
      { "-pexpire -xdel", right, 1, "unknown", 1 }, { "-pexpire -xdel", right, 2, "unknown", 2 },
      { "-pexpire", { ttl = 100, idempotent = true }, 2, "none", 0 },
      { "-hset", { idempotent = true }, 1, "none", 0 },
    }
    for _, case in ipairs(cases) do
      server:call("FLUSHALL")
      local rules = { "reset", "on", ">p", "~*", "+@all" }
      for rule in case[1]:gmatch("%S+") do rules[#rules + 1] = rule end
      server:call("ACL", "SETUSER", "u", (table.unpack or unpack)(rules))
      local log = eventlog.new("unix://u:p@" .. server.path, "log", case[2])
      local entries = {}
      for i = 1, case[3] do entries[i] = { i = i } end
      local ids, err = log:add_many(entries)
      assert.is_nil(ids)
      assert.same({ "server", case[4] }, { err.kind, err.outcome })
      assert.equal(case[5], server:call("XLEN", "log"))
      log.client:close()
    end
  end)

  it("2: closing a follower in on_event ends it, and nothing else happens", function()
    start()
    local follower
    local log = eventlog.new({ url = server.url, on_event = function(event)
      if event.kind == "connected" then follower:close() end
    end }, "log")
    follower = log:tail_and_follow()
    local batch, err = follower:next()
    assert.is_nil(batch)
    assert.equal("closed", err.kind)
  end)

  it("3: tail_from_and_follow sees no gap before the very entry it was given", function()
    start()
    local log = eventlog.new(server.url, "log", { on_gap = "error" })
    local entries = {}
    for i = 1, 10 do entries[i] = { i = i } end
    local ids = assert(log:add_many(entries))
    server:call("XTRIM", "log", "MAXLEN", 5)
    local batch = assert(log:tail_from_and_follow(ids[6]):next())
    assert.equal(ids[6], batch[1].id)
    assert.is_nil(batch.gap)
    local _, err = log:tail_from_and_follow(ids[5]):next()
    assert.equal("gap", err.kind)
  end)

  it("4: a server that repeats AUTH's arguments does not bring the password out", function()
    start("--rename-command AUTH ''")
    local log = eventlog.new("unix://:hunter-2%25@" .. server.path, "log")
    local ids, err = log:add { i = 1 }
    assert.is_nil(ids)
    assert.equal("server", err.kind)
    assert(not tostring(err):find("hunter", 1, true), tostring(err))
  end)

  it("5: a follower whose coroutine died in next() can be closed", function()
    start()
    local dying = false
    local log = eventlog.new({ url = server.url, driver = function(fd, mode, timeout)
      if dying then error("no more") end
      return require("eventlog.core").wait(fd, mode, timeout)
    end }, "log")
    local follower = log:tail_and_follow()
    assert(follower:next())
    dying = true
    assert.is_false(coroutine.resume(coroutine.create(function() follower:next() end)))
    follower:close()
    local left = 0
    for _ = 1, 100 do
      left = select(2, server:call("CLIENT", "LIST"):gsub("cmd=xread", ""))
      if left == 0 then break end
      redis.sh("sleep 0.05")
    end
    assert.equal(0, left)
  end)

  it("6: a loop that leaves at the first caught_up ends, whatever is deleted", function()
    start()
    local log = eventlog.new(server.url, "log", { batch_size = 2 })
    local entries = {}
    for i = 1, 6 do entries[i] = { i = i } end
    local ids = assert(log:add_many(entries))
    local follower, sizes = log:tail_and_follow(), {}
    repeat
      local batch = assert(follower:next(20))
      sizes[#sizes + 1] = #batch
      if #sizes == 2 then -- its page was read with one more behind it
        server:call("XDEL", "log", ids[5], ids[6])
      end
    until batch.caught_up
    -- The third page may have been under way already.
    assert(table.concat(sizes, " ") == "2 2 0" or table.concat(sizes, " ") == "2 2 2")
    assert(log:add { i = 7 })
    assert.equal("7", assert(follower:next(20))[1].fields.i)
  end)

  it("7: a unit whose user may neither begin one nor add says that it added none", function()
    start()
    -- A user who is found to have no MULTI adds nothing; one who loses it later may.
    for _, case in ipairs { { "-multi -xadd", "none", 0 }, { "-multi", "none", 0 },
      { "-multi -xadd", "none", 0, true }, { "-multi", "unknown", 2, true } } do
      server:call("FLUSHALL")
      local rules = { "reset", "on", ">p", "~*", "+@all" }
      for rule in case[1]:gmatch("%S+") do rules[#rules + 1] = rule end
      server:call("ACL", "SETUSER", "u", (table.unpack or unpack)(rules))
      local log = eventlog.new("unix://u:p@" .. server.path, "log")
      log.client.topology.abilities.has_multi = case[4] -- it has met it
      local ids, err = log:add({ i = 1 }, { i = 2 })
      assert.is_nil(ids)
      assert.same({ "NOPERM", case[2] }, { err.code, err.outcome })
      assert.equal(case[3], server:call("XLEN", "log"))
      log.client:close()
    end
  end)

  it("8: who looks for an answer before he waits never waits beyond his deadline", function()
    start()
    local core = require "eventlog.core"
    local transport = require("eventlog.driver.blocking").open {
      path = server.path, spin = 2000,
    }
    assert.is_true(transport:connect(core.now() + 5))
    local decoder = core.decoder()
    for i = 1, 40 do
      assert.is_false(transport:reply(decoder, core.now() + i * 1e-4))
    end
    transport:close()
  end)

  it("9: a reset that was seen is reported though the connection was lost before", function()
    start()
    local log = eventlog.new({ url = server.url }, "log")
    local function add(first, last)
      for i = first, last do server:call("XADD", "log", "*", "i", i) end
    end
    add(1, 10)
    local follower = log:tail_and_follow()
    assert.equal(10, #assert(follower:next(20)))
    server:call("DEL", "log")
    repeat local _, err = follower:next(0.2) until follower.tailer.anew or err.kind ~= "timeout"
    server:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    redis.sh("sleep 0.01")
    add(11, 70)
    server:call("XTRIM", "log", "MAXLEN", 50)
    local batch = assert(follower:next(20))
    assert.equal("recreated", batch.reset)
    assert.equal("21", batch[1].fields.i)
  end)

  it("10: an id beyond the end of a log of several batches delivers only what is newer",
    function()
      start()
      local log = eventlog.new(server.url, "log", { max_length = 20, batch_size = 5 })
      for i = 1, 50 do server:call("XADD", "log", "*", "i", i) end
      local follower = log:tail_from_and_follow("9999999999999-0")
      local batch = assert(follower:next(20))
      assert.same({ 0, "rewound" }, { #batch, batch.reset })
      server:call("XADD", "log", "*", "i", 51)
      assert.equal("51", assert(follower:next(20))[1].fields.i)
    end)

  it("11: an entry that comes between a page and the probe behind it is no gap", function()
    start()
    local log = eventlog.new(server.url, "log")
    local value = ("v"):rep(2000) -- too long for a quick probe
    local function add(i) server:call("XADD", "log", "*", "i", i, "v", value) end
    add(1)
    add(2)
    local follower = log:tail_and_follow()
    assert.equal(2, #assert(follower:next(20)))
    follower:next(0) -- it waits
    local continuity = require "eventlog.follow.continuity"
    local log_state = require "eventlog.command.log_state"
    -- What the probe says once 3 is trimmed away and 4 has come.
    local known = follower.tailer.part.known
    local verdict = continuity.judge(known, "2-0", { { id = "3-0" } }, false,
      log_state.parse { "4-0", "4-0", "4-0", "1", "4", "0-0", "1" })
    assert.is_nil(verdict.gap)
    assert.equal(3, verdict.known.index)
    verdict = continuity.judge(verdict.known, "3-0", { { id = "4-0" } }, false,
      log_state.parse { "4-0", "4-0", "4-0", "1", "4", "0-0", "1" })
    assert.is_nil(verdict.gap)
  end)

  -- Since issue 9 what may have been trimmed before a log's first entry is a gap: only
  -- a follower that claims nothing of what was there misses nothing.
  it("12: before Redis 7 the first entry of a log is no gap to who begins there", function()
    local continuity = require "eventlog.follow.continuity"
    local log_state = require "eventlog.command.log_state"
    local state = log_state.parse { "1-0", "1-0", "1-0", "1", "", "", "1", "" }
    local known = { beginning = true }
    assert.is_nil(continuity.judge(known, "0-0", { { id = "1-0" } }, false, state).gap)
    known = require("eventlog.follow.known").at_end(
      log_state.parse { "0-0", "", "", "0", "0", "", "1" })
    assert.same({ after = "0-0", before = "1-0" },
      continuity.judge(known, "0-0", { { id = "1-0" } }, false, state).gap)
  end)

  it("13: a read is exact though its pages' border was deleted, and then trimmed", function()
    local stepped = require "spec.support.stepped"
    start()
    local deletes, trims
    local client, reset = stepped.client(server, { before = function(step)
      if step == deletes then server:call("XDEL", "log", "2-0") end
      if step == trims then server:call("XTRIM", "log", "MINID", "3-0") end
    end })
    local log = eventlog.new(client, "log", { batch_size = 2 })
    for first = 1, 6 do
      for second = first, 6 do
        server:call("DEL", "log")
        for i = 1, 4 do server:call("XADD", "log", i .. "-0", "n", i) end
        reset()
        deletes, trims = first, second
        local numbers = {}
        for i, entry in ipairs(assert(log:tail())) do numbers[i] = entry.fields.n end
        local seen = table.concat(numbers, " ")
        assert(seen == "1 2 3 4" or seen == "1 3 4" or seen == "3 4", seen)
      end
    end
  end)

  it("14: a connection that was closed with the last answer is replaced, however soon", function()
    local fake = require("spec.support.peer").start(
      { awaits = "XADD", says = "$3\r\n1-1\r\n", closes = true }, { tcp = true })
    finally(function() fake:stop() end)
    for _, spin in ipairs { 0, 10000 } do
      local log = eventlog.new({ url = fake.url, spin = spin }, "log")
      local entry, failed = { n = 1 }, 0
      for _ = 1, 200 do failed = failed + (log:add(entry) and 0 or 1) end
      assert.equal(0, failed)
      log.client:close()
    end
  end)
end)
