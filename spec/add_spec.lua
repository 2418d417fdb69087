local core = require "eventlog.core"
local eventlog = require "eventlog"
local misuse = require "spec.support.misuse"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local redis = require "spec.support.redis"

local unpack = table.unpack or unpack
local TOP = "18446744073709551615"

describe("add", function()
  local server, client

  setup(function()
    server = redis.start()
    client = eventlog.connect(server.url)
  end)
  teardown(function()
    client:close()
    server:stop()
  end)
  before_each(function() server:call("FLUSHALL") end)

  local function new(name, options) return eventlog.new(client, name, options) end

  --- n entries of one field.
  local function numbered(n)
    local entries = {}
    for i = 1, n do entries[i] = { n = i } end
    return entries
  end

  -- The ways an add can go: one entry or several, with a TTL or without.
  local function each_way(f)
    for _, ttl in ipairs { 0, 1000 } do
      for _, n in ipairs { 1, 3 } do f(ttl, n) end
    end
  end

  it("returns an id for each entry, rising, and both calls do the same", function()
    each_way(function(ttl, n)
      local log = new("log", { ttl = ttl })
      local ids = assert(log:add(unpack(numbered(n))))
      for _, id in ipairs(assert(log:add_many(numbered(n)))) do ids[#ids + 1] = id end
      assert.equal(2 * n, #ids)
      local stored = assert(log:tail())
      for i, id in ipairs(ids) do
        assert(id:find("^%d+%-%d+$"), id)
        assert(i == 1 or core.id_compare(ids[i - 1], id) < 0)
        assert.same({ id = id, fields = { n = tostring((i - 1) % n + 1) } }, stored[i])
      end
      assert.equal(#ids, #stored)
      log:delete()
    end)
  end)

  it("stores a map sorted by name, and a list of pairs as it is", function()
    local log = new("log")
    local function stored(entry)
      assert(log:add(entry))
      return (server:cli("XREVRANGE", "log", "+", "-", "COUNT", 1)
        :gsub("^.-\n", ""):gsub("\n", " "))
    end
    assert.equal("B 1 a 2 aa 3 b 4", stored { b = 4, aa = 3, a = 2, B = 1 })
    assert.equal("b 4 a 2 b 1", stored { { "b", 4 }, { "a", 2 }, { "b", true } })
    assert.same({ a = "2", b = "1" }, log:tail_n(1)[1].fields)
  end)

  it("does nothing, and no I/O, without entries", function()
    local nowhere = eventlog.new("unix:///nowhere/at/all", "log", { ttl = 1 })
    assert.same({}, nowhere:add())
    assert.same({}, nowhere:add_many {})
  end)

  -- --- misuse ---------------------------------------------------------------

  local function nothing() end

  -- What is no entry: as Lua would write it, and words that the message has.
  local bad = {
    { 5, "must be a table" }, { "text", "must be a table" }, { true, "must be a table" },
    { false, "must be a table" }, { nothing, "must be a table" },
    { {}, "no fields" },
    { { a = {} }, '"a"', "table" }, { { a = nothing }, '"a"', "function" },
    { { a = io.stdout }, '"a"', "userdata" },
    { { a = coroutine.create(nothing) }, '"a"', "thread" },
    { { ok = 1, [""] = {} }, '""', "table" },
    { { a = 1, [2] = "x" }, "name" }, { { [true] = "x" }, "name" },
    { { [1.5] = "x" }, "name" }, { { [{}] = "x" }, "name" },
    { { "a", "b" }, "#1", "pair" }, { { { "a", 1 }, "b" }, "#2", "pair" },
    { { { "a", 1 }, {} }, "#2", "name" }, { { { 1, "a" } }, "#1", "name" },
    { { { true, 1 } }, "#1", "name" }, { { { nil, 1 } }, "#1", "name" },
    { { { "a", 1 }, { "b" } }, '"b"', "nil" }, { { { "b", nil } }, '"b"', "nil" },
    { { { "a", {} } }, '"a"', "table" }, { { { "a", nothing } }, '"a"', "function" },
    { { { "a", 1, 2 } }, "#1", "pair" },
    { { { "a", 1 }, nil, { "b", 2 } }, "holes" }, { { { "a", 1 }, b = 2 }, "keys" },
    { { { "a", 1 }, b = {} }, "keys" }, { { "text", a = nothing, b = 1 }, "keys" },
  }

  it("refuses a bad entry, naming it and the field, and stores nothing", function()
    each_way(function(ttl, n)
      local log = new("log", { ttl = ttl })
      for i, case in ipairs(bad) do
        local at = (i - 1) % n + 1
        local entries = numbered(n)
        entries[at] = case[1]
        local function check(message)
          for _, word in ipairs { "entry #" .. at, unpack(case, 2) } do
            assert(message:find(word, 1, true), word .. " is not in: " .. message)
          end
        end
        check(misuse(log.add, log, unpack(entries, 1, n)))
        check(misuse(log.add_many, log, entries))
        assert.equal(0, server:call("EXISTS", "log"))
      end
      assert.equal(n, #log:add(unpack(numbered(n)))) -- and is none the worse for it
      log:delete()
    end)
  end)

  it("refuses an entry that no Redis takes, before anything is sent", function()
    -- The strings of an entry may be one and the same: that makes 1 GiB of 16 MiB.
    local part = ("x"):rep(2 ^ 24)
    local function large(bytes) -- so many names and values together
      local pairs = {}
      for i = 1, 64 do pairs[i] = { "", part } end
      pairs[64] = { "ab", part:sub(1, bytes - 63 * 2 ^ 24 - 2) }
      return pairs
    end
    local map, numbers = {}, large(2 ^ 30 - 2)
    for i = 1, 64 do map["name" .. i] = part end
    numbers[65], numbers[66] = { "", 7 }, { "", 0.5 }
    for _, options in ipairs { {}, { ttl = 9 }, { idempotent = true } } do
      local log = eventlog.new("unix:///nowhere/at/all", "log", options)
      for _, entry in ipairs { large(2 ^ 30), large(2 ^ 30 + 2 ^ 20), map, numbers } do
        local function check(message, at)
          for _, word in ipairs { "entry #" .. at, "1 GiB" } do
            assert(message:find(word, 1, true), word .. " is not in: " .. message)
          end
        end
        check(misuse(log.add, log, entry), 1)
        check(misuse(log.add, log, { a = 1 }, entry, { a = 1 }), 2)
        check(misuse(log.add_many, log, { { a = 1 }, { a = 1 }, entry }), 3)
        check(misuse(log.add_if, log, "0-0", entry), 1)
      end
    end
  end)

  it("refuses nil among the entries", function()
    each_way(function(ttl)
      local log = new("log", { ttl = ttl })
      assert(misuse(log.add, log, nil):find("entry #1", 1, true))
      assert(misuse(log.add, log, nil, nil):find("entry #1", 1, true))
      assert(misuse(log.add, log, { a = 1 }, nil):find("entry #2", 1, true))
      assert(misuse(log.add, log, { a = 1 }, nil, { a = 1 }):find("entry #2", 1, true))
    end)
    assert.equal(0, server:call("EXISTS", "log"))
  end)

  it("refuses what is no list of entries", function()
    local log = new("log")
    for _, entries in ipairs {
      5, "x", true, nothing, { a = 1 }, { { a = 1 }, b = 1 }, { { a = 1 }, nil, { a = 1 } },
      { [2] = { a = 1 } }, { [0] = { a = 1 }, { a = 1 } },
    } do
      assert(misuse(log.add_many, log, entries):find("entries", 1, true))
    end
    assert(misuse(log.add_many, log):find("entries", 1, true))
    assert.equal(0, server:call("EXISTS", "log"))
  end)

  -- --- units ----------------------------------------------------------------

  it("keeps a batch together while other processes add", function()
    local BATCHES, SIZE = 20, 500
    for _, ttl in ipairs { 0, 1000 } do
      local writers = {}
      for i = 1, 2 do
        writers[i] = process.start([[
          local url, writer, batches, size, ttl = ...
          local eventlog = require "eventlog"
          local log = eventlog.new(url, "log", { ttl = tonumber(ttl) })
          local ready, go = eventlog.new(url, "ready"), eventlog.new(url, "go")
          assert(ready:add { writer = writer })
          repeat until assert(go:length()) > 0
          for batch = 1, batches do
            local entries = {}
            for n = 1, size do
              entries[n] = { { "writer", writer }, { "batch", batch }, { "n", n } }
            end
            local ids = assert(log:add_many(entries))
            assert(#ids == tonumber(size))
            print(ids[1], ids[#ids])
          end
        ]], nil, server.url, i, BATCHES, SIZE, ttl)
      end
      local ready = new("ready")
      repeat core.wait(-1, "r", 0.002) until assert(ready:length()) == 2
      new("go"):add { go = true }
      local log, edges = new("log"), {}
      for i, writer in ipairs(writers) do
        edges[i] = {}
        for first, last in writer:wait():gmatch("(%S+)%s+(%S+)") do
          table.insert(edges[i], { first, last })
        end
      end
      local entries = assert(log:tail())
      assert.equal(2 * BATCHES * SIZE, #entries)
      local next_batch = { 1, 1 }
      for i = 1, #entries, SIZE do
        local writer = tonumber(entries[i].fields.writer)
        local batch = next_batch[writer]
        next_batch[writer] = batch + 1
        for n = 1, SIZE do
          local fields = entries[i + n - 1].fields
          if tonumber(fields.writer) ~= writer or tonumber(fields.batch) ~= batch or
            tonumber(fields.n) ~= n then
            error(string.format("batch %d of writer %d is torn", batch, writer))
          end
        end
        assert.same(edges[writer][batch], { entries[i].id, entries[i + SIZE - 1].id })
      end
      server:call("FLUSHALL")
    end
  end)

  it("adds nothing to a key of another type, and leaves it and its TTL", function()
    local makers = {
      string = { "SET", "log", "x" }, hash = { "HSET", "log", "x", "y" },
      list = { "RPUSH", "log", "x" }, set = { "SADD", "log", "x" },
      zset = { "ZADD", "log", "1", "x" },
    }
    each_way(function(ttl, n)
      for kind, maker in pairs(makers) do
        for _, expires in ipairs { -1, 4102444800123 } do
          server:call("FLUSHALL")
          server:call(unpack(maker))
          if expires > 0 then server:call("PEXPIREAT", "log", expires) end
          local before = server:call("DUMP", "log")
          local ids, err = new("log", { ttl = ttl, max_length = 5 }):add(unpack(numbered(n)))
          assert.is_nil(ids)
          assert.same({ "server", "WRONGTYPE", "none", false },
            { err.kind, err.code, err.outcome, err.retriable })
          assert.equal(kind, server:call("TYPE", "log"))
          assert.equal(before, server:call("DUMP", "log"))
          assert.equal(expires, server:call("PEXPIRETIME", "log"))
        end
      end
    end)
  end)

  it("adds nothing where the server refuses for now", function()
    finally(function()
      server:call("CONFIG", "SET", "maxmemory", 0)
      server:call("REPLICAOF", "NO", "ONE")
    end)
    each_way(function(ttl, n)
      local log = new("log", { ttl = ttl })
      for code, set in pairs {
        OOM = { { "CONFIG", "SET", "maxmemory", 1 }, { "CONFIG", "SET", "maxmemory", 0 } },
        READONLY = { { "REPLICAOF", "127.0.0.1", 1 }, { "REPLICAOF", "NO", "ONE" } },
      } do
        server:call(unpack(set[1]))
        local ids, err = log:add(unpack(numbered(n)))
        server:call(unpack(set[2]))
        assert.is_nil(ids)
        assert.same({ "server", code, "none", true },
          { err.kind, err.code, err.outcome, err.retriable })
        assert.equal(0, server:call("EXISTS", "log"))
        assert.equal(n, #log:add(unpack(numbered(n))))
        server:call("DEL", "log")
      end
    end)
  end)

  -- --- where ids run out ----------------------------------------------------

  --- All that the server knows of the log, but for most entries.
  local function info()
    return server:call("EVAL", [[
      local info = redis.call('XINFO', 'STREAM', KEYS[1], 'FULL', 'COUNT', 1)
      return cjson.encode(info) .. redis.call('PEXPIRETIME', KEYS[1])]], 1, "log")
  end

  -- Ways to get a log whose next ids are 18446744073709551615-…613, 614 and 615.
  local three_left = {
    { "its last entry is there", function()
      server:call("XADD", "log", TOP .. "-18446744073709551612", "n", 0)
    end },
    { "it has entries and groups", function()
      server:call("XADD", "log", "5-1", "n", 0)
      server:call("XADD", "log", TOP .. "-7", "n", 0)
      server:call("XGROUP", "CREATE", "log", "a group", "5-1")
      server:call("XADD", "log", TOP .. "-18446744073709551612", "n", 0)
    end },
    { "its last entry was deleted", function()
      server:call("XADD", "log", "5-1", "n", 0)
      server:call("XADD", "log", TOP .. "-18446744073709551612", "n", 0)
      server:call("XDEL", "log", TOP .. "-18446744073709551612")
    end },
    { "it is empty", function()
      server:call("XADD", "log", TOP .. "-18446744073709551612", "n", 0)
      server:call("XDEL", "log", TOP .. "-18446744073709551612")
    end },
    { "its last id was set", function()
      server:call("XADD", "log", "5-1", "n", 0)
      server:call("XSETID", "log", TOP .. "-18446744073709551612")
    end },
  }

  for _, case in ipairs(three_left) do
    it("adds all or nothing where three ids are left, and " .. case[1], function()
      for _, ttl in ipairs { 0, 1000 } do
        for _, expires in ipairs { -1, 4102444800123 } do
          server:call("FLUSHALL")
          case[2]()
          if expires > 0 then server:call("PEXPIREAT", "log", expires) end
          local log, before = new("log", { ttl = ttl }), info()
          for _, n in ipairs { 4, 5, 500 } do
            local ids, err = log:add(unpack(numbered(n)))
            assert.is_nil(ids)
            assert.equal("server", err.kind)
            assert.equal("none", err.outcome)
            assert.equal(before, info())
          end
          assert.same({ TOP .. "-18446744073709551613", TOP .. "-18446744073709551614",
            TOP .. "-" .. TOP }, log:add(unpack(numbered(3))))
          before = info()
          for n = 1, 2 do
            local ids, err = log:add(unpack(numbered(n)))
            assert.is_nil(ids)
            assert.same({ "server", "none" }, { err.kind, err.outcome })
          end
          assert.equal(before, info())
          assert.equal(TOP .. "-" .. TOP, log:last_id())
        end
      end
    end)
  end

  it("adds a batch where the ids of a millisecond run out", function()
    server:call("XADD", "log", "18446744073709551614-18446744073709551612", "n", 0)
    assert.same({ "18446744073709551614-18446744073709551613",
      "18446744073709551614-18446744073709551614", "18446744073709551614-" .. TOP,
      TOP .. "-0", TOP .. "-1" }, new("log"):add(unpack(numbered(5))))
  end)

  -- --- length ---------------------------------------------------------------

  it("trims the log to about its length, and to no less", function()
    for _, ttl in ipairs { 0, 1000 } do
      for _, batch in ipairs { 1, 50 } do
        local log = new("log", { max_length = 150, ttl = ttl })
        for i = 1, 450, batch do
          assert(log:add(unpack(numbered(batch))))
          assert(server:call("XLEN", "log") >= math.min(150, i + batch - 1))
        end
        assert(server:call("XLEN", "log") < 400)
        assert.equal(150, log:length())
        log:delete()
      end
    end
    local log = new("log", { max_length = 0 })
    assert(log:add(unpack(numbered(200))))
    assert(log:add(unpack(numbered(200))))
    assert.equal(400, server:call("XLEN", "log"))
  end)

  -- --- round trips ----------------------------------------------------------

  --- How many of which commands the server has run during f, as "xadd 2 ...".
  --- Those that a script runs count, too.
  local function commands_of(f)
    server:call("CONFIG", "RESETSTAT")
    f()
    local counts = {}
    for name, calls in server:call("INFO", "commandstats"):gmatch("cmdstat_([^:]+):calls=(%d+)") do
      if not name:find("^config") then counts[#counts + 1] = name .. " " .. calls end
    end
    table.sort(counts)
    return table.concat(counts, ", ")
  end

  it("is one command where it is one entry", function()
    local log, expiring = new("log"), new("expiring", { ttl = 1000 })
    assert(log:add { n = 1 })
    assert(expiring:add { n = 1 })
    assert.equal("xadd 1", commands_of(function() log:add { n = 1 } end))
    assert.equal("evalsha 1, pexpire 1, xadd 1",
      commands_of(function() expiring:add { n = 1 } end))
  end)

  --- A log whose client has met MULTI.
  local function met(log)
    log.client.topology.abilities.has_multi = true
    return log
  end

  it("is one round trip where it is a batch", function()
    -- A peer that answers nothing until it has all of it.
    local fake = peer.start {
      awaits = "\r\n$4\r\nEXEC\r\n",
      says = "+OK\r\n" .. ("+QUEUED\r\n"):rep(4) ..
        "*4\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n$3\r\n1-3\r\n$2\r\nok\r\n",
    }
    finally(function() fake:stop() end)
    for _, ttl in ipairs { 0, 1000 } do
      local log = met(eventlog.new(fake.url, "log", { ttl = ttl }))
      local ids, err = log:add(unpack(numbered(3)))
      assert.same({ "1-1", "1-2", "1-3" }, ids, tostring(err))
    end
    -- A client's first: what holds a unit back if there is no MULTI.
    local first = peer.start {
      awaits = "\r\n$4\r\nEXEC\r\n",
      says = "+OK\r\n" .. ("+QUEUED\r\n"):rep(5) ..
        "*5\r\n*-1\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n$3\r\n1-3\r\n$2\r\nok\r\n",
    }
    finally(function()
      fake:stop()
      first:stop()
    end)
    local ids, err = eventlog.new(first.url, "log"):add(unpack(numbered(3)))
    assert.same({ "1-1", "1-2", "1-3" }, ids, tostring(err))
    local log = eventlog.new(server.url, "log")
    for i = 1, 3 do
      local commands = commands_of(function() assert(log:add(unpack(numbered(3)))) end)
      assert(commands:find("exec 1,", 1, true) and commands:find("multi 1,", 1, true))
      assert.equal(i == 1, commands:find("xread 1", 1, true) ~= nil)
    end
  end)

  it("sends a script that the server has forgotten again, unseen", function()
    for _, n in ipairs { 1, 3 } do
      local log = new("log", { ttl = 1000 })
      for _ = 1, 2 do
        server:call("SCRIPT", "FLUSH")
        assert.equal(n, #assert(log:add(unpack(numbered(n)))))
        assert(server:call("PTTL", "log") > 0)
        server:call("SCRIPT", "FLUSH")
        assert(assert(log:last_id()) ~= "0-0")
      end
      assert.equal(2 * n, server:call("XLEN", "log"))
      server:call("SCRIPT", "FLUSH")
      assert.is_true(log:delete())
    end
  end)

  -- --- size -----------------------------------------------------------------

  it("takes 20,000 entries of 20 fields, with a TTL", function()
    local entries = {}
    for i = 1, 20000 do
      local entry = {}
      for field = 1, 20 do entry[field] = { "f" .. field, i * 20 + field } end
      entries[i] = entry
    end
    local log = new("log", { ttl = 1000 })
    local ids = assert(log:add_many(entries))
    assert.equal(20000, #ids)
    assert.equal(20000, server:call("XLEN", "log"))
    assert(server:call("PTTL", "log") > 0)
    for i = 2, #ids do assert(core.id_compare(ids[i - 1], ids[i]) < 0) end
    local stored = assert(log:tail_n(2))
    assert.same({ ids[19999], ids[20000] }, { stored[1].id, stored[2].id })
    for field = 1, 20 do
      assert.equal(tostring(400000 + field), stored[2].fields["f" .. field])
    end
    assert.equal(ids[1], log:tail_from("0")[1].id)
  end)

  it("takes entries of very many fields, with a TTL", function()
    for _, count in ipairs { 999, 1000, 1001, 3990, 5000, 20000 } do
      local entry, expected = {}, {}
      for i = 1, count do
        entry["field " .. i] = i
        expected["field " .. i] = tostring(i)
      end
      local log = new("log", { ttl = 1000, max_length = 10 })
      local ids = assert(log:add(entry))
      assert(server:call("PTTL", "log") > 0)
      local stored = assert(log:tail())
      assert.equal(1, #stored)
      assert.equal(ids[1], stored[1].id)
      local found = 0
      for name, value in pairs(stored[1].fields) do
        found = found + 1
        if expected[name] ~= value then error(name) end
      end
      assert.equal(count, found)
      log:delete()
    end
  end)

  -- --- what became of it ----------------------------------------------------

  it("tells whether it may have happened, and never sends twice", function()
    local cut = "*4\r\n$3\r\n1-1\r\n$3\r"
    local queued = "+OK\r\n" .. ("+QUEUED\r\n"):rep(4)
    local steps, expected = {}, {}
    -- What a peer answers to a lone add and to a batch, whether it then closes,
    -- and what the error's kind is.
    for _, case in ipairs {
      { "", "", true, "connection" },
      { "", "", false, "connection" },
      { "$15\r\n16000000000", queued:sub(1, -10), true, "connection" },
      { "$15\r\n16000000000", queued .. cut, false, "connection" },
      { "$15", queued .. cut, true, "connection" },
      { "HTTP/1.1 400\r\n", "HTTP/1.1 400\r\n", true, "protocol" },
      { ":1\r\n", queued .. ":1\r\n", false, "protocol" },
      { "*0\r\n", queued .. "*0\r\n", false, "protocol" },
      { "$-1\r\n", queued .. "*-1\r\n", false, "protocol" },
    } do
      each_way(function(ttl, n)
        steps[#steps + 1] = {
          awaits = n == 1 and "n\r\n$1\r\n1\r\n" or "\r\n$4\r\nEXEC\r\n",
          says = case[n == 1 and 1 or 2], closes = case[3],
        }
        expected[#expected + 1] = { kind = case[4], ttl = ttl, n = n }
      end)
    end
    steps[#steps + 1] = {}
    local fake = peer.start(steps)
    finally(function() fake:stop() end)
    for i, case in ipairs(expected) do
      local log = met(eventlog.new({ url = fake.url, timeout = 0.1 }, "log",
        { ttl = case.ttl }))
      local ids, err = log:add(unpack(numbered(case.n)))
      assert.is_nil(ids)
      assert.same({ case.kind, "unknown" }, { err.kind, err.outcome })
      local give_up, sent = core.now() + 5
      repeat -- the peer writes down what it has heard when it gets to that
        core.wait(-1, "r", 0.01)
        sent = select(2, fake:heard(i):gsub("n\r\n$1\r\n1\r\n", ""))
      until sent > 0 or core.now() > give_up
      assert.equal(1, sent)
    end
    assert.is_false(fake:has_met(#expected + 1))
  end)

  it("tells that it did not happen where nothing could be sent", function()
    for _, url in ipairs { "unix:///nowhere/at/all", server.url .. "?db=99",
      "unix://:wrong@" .. server.path } do
      each_way(function(ttl, n)
        local ids, err = eventlog.new(url, "log", { ttl = ttl }):add(unpack(numbered(n)))
        assert.is_nil(ids)
        assert.equal("none", err.outcome)
      end)
    end
    local closed = eventlog.connect(server.url)
    closed:close()
    each_way(function(ttl, n)
      local ids, err = eventlog.new(closed, "log", { ttl = ttl }):add(unpack(numbered(n)))
      assert.is_nil(ids)
      assert.same({ "closed", "none" }, { err.kind, err.outcome })
    end)
  end)
end)
