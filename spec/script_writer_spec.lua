--- Adds that land once, however often they are sent, and adds under a condition.

local Tokens = require "eventlog.log.tokens"
local core = require "eventlog.core"
local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local side_key = require "eventlog.log.side_key"
local redis = require "spec.support.redis"

local server
local TOP = "18446744073709551615"

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

describe("an idempotent add", function()
  local log

  before_each(function()
    server:call("FLUSHALL")
    log = eventlog.new(server.url, "log", { idempotent = true, ttl = 100 })
  end)

  it("adds, in order, with the TTL, any value and any number", function()
    local ids = assert(log:add({ a = 1 }, { { "b", 19.8 }, { "b", true } }, { c = "\0\r\n" }))
    local entries = log:tail()
    for i, id in ipairs(ids) do assert.equal(id, entries[i].id) end
    assert.same({ { a = "1" }, { b = "1" }, { c = "\0\r\n" } },
      { entries[1].fields, entries[2].fields, entries[3].fields })
    assert(server:call("PTTL", "log") > 99000)
    assert.same({}, log:add_many {})
    local many = {}
    for i = 1, 3000 do many[i] = { i = i, j = -i } end
    assert.equal(3000, #assert(log:add_many(many)))
    assert.equal(3003, log:length())
  end)

  it("lands once though the server stalls and the answer is lost", function()
    for i = 1, 3 do
      server:signal("STOP")
      redis.sh("(sleep 0.9; kill -CONT %d) >/dev/null 2>&1 &", server.pid)
      log.client.settings.timeout = 0.3 -- for the add only
      local ids = assert(log:add({ i = i }, { i = -i }))
      log.client.settings.timeout = 5
      assert.equal(2 * i, log:length())
      assert.equal(ids[2], log:last_id())
    end
  end)

  it("says after reconnect_timeout that it does not know", function()
    local short = eventlog.new({ url = server.url, timeout = 0.1, reconnect_timeout = 0.4 },
      "log", { idempotent = true })
    server:signal("STOP")
    local ids, err = short:add { i = 1 }
    server:signal("CONT")
    assert.is_nil(ids)
    assert.same({ "connection", "unknown" }, { err.kind, err.outcome })
  end)

  it("does not go on with what does not pass", function()
    server:call("SET", "log", "x")
    local ids, err = log:add { i = 1 }
    assert.is_nil(ids)
    assert.same({ "WRONGTYPE", "none" }, { err.code, err.outcome })
    assert.equal(-1, server:call("PTTL", "log"))
    local wide = {}
    for i = 1, 5000 do wide["f" .. i] = i end
    ids, err = log:add(wide)
    assert.is_nil(ids)
    assert.same({ "unsupported", "none" }, { err.kind, err.outcome })
  end)

  it("raises on a bad entry and sends nothing", function()
    local ok, why = pcall(log.add, log, { a = 1 }, { b = {} })
    assert.is_false(ok)
    assert(why:find("#2", 1, true) and why:find('"b"', 1, true), why)
    assert.equal(0, server:call("EXISTS", "log"))
  end)

  it("adds none where the ids run out", function()
    server:call("XADD", "log", TOP .. "-18446744073709551613", "i", 0)
    local ids, err = log:add({ i = 1 }, { i = 2 }, { i = 3 })
    assert.is_nil(ids)
    assert.same({ "server", "none" }, { err.kind, err.outcome })
    assert.equal(1, log:length())
    assert.equal(-1, server:call("PTTL", "log"))
  end)

  it("keeps few tokens, which expire, and go with the log", function()
    local key = side_key.of("log")
    for i = 1, 200 do assert(log:add { i = i }) end
    assert(server:call("HLEN", key) <= 2)
    local ttl = server:call("PTTL", key)
    assert(ttl > 2 * 60000 and ttl <= 7 * 60000, ttl)
    -- Of a writer long gone:
    server:call("HSET", key, "gone:1", "1 1000 5-1")
    assert(helper.eventually(function()
      assert(log:add { i = 1 })
      return server:call("HEXISTS", key, "gone:1") == 0
    end))
    assert.is_true(log:delete())
    assert.equal(0, server:call("EXISTS", key))
  end)

  --- Has the next add of the log be one of another writer.
  local function become_another() log.client.tokens = Tokens.new() end

  --- Sends the log's last add again, as after a lost answer.
  local function retry(one, ...)
    local lane = one.client.tokens.free[1]
    lane.number = lane.number - 1
    return one:add(...)
  end

  it("keeps no more tokens than there were writers within their time", function()
    local key = side_key.of("log")
    log.writer.keep_ms = 300
    for i = 1, 1000 do
      become_another()
      assert(log:add { i = i })
    end
    -- Beside one that goes on adding, all others go. The mark is a field, too.
    assert(helper.eventually(function()
      assert(log:add { i = 0 })
      return server:call("HLEN", key) == 2
    end))
    -- And if all writers come once, there are not many more than came lately.
    local at = {}
    for i = 1, 3000 do
      become_another()
      assert(log:add { i = i })
      at[i] = core.now()
    end
    local lately = 0
    for _, time in ipairs(at) do
      if time > core.now() - 1.5 then lately = lately + 1 end
    end
    assert(server:call("HLEN", key) <= lately + 300)
  end)

  it("keeps its tokens for its own time, whatever others add", function()
    local ids = assert(log:add({ a = 1 }, { a = 2 }))
    local hasty = eventlog.new({ url = server.url, reconnect_timeout = 0.1,
      connect_timeout = 0.1, timeout = 0.1 }, "log", { idempotent = true })
    hasty:add { b = 1 }
    local keep = log.writer.keep_ms
    assert(server:call("PTTL", side_key.of("log")) > keep)
    core.wait(-1, "r", 1.6) -- by then the others' time is over, twice
    for i = 1, 20 do hasty:add { b = i } end
    assert.same(ids, retry(log, { a = 1 }, { a = 2 }))
    -- The key's time is made longer in time.
    server:call("PEXPIRE", side_key.of("log"), keep - 1)
    assert(log:add { a = 3 })
    assert(server:call("PTTL", side_key.of("log")) > keep)
  end)

  it("keeps its tokens for ever, nearly, if it may retry so long", function()
    local patient = eventlog.new({ url = server.url, reconnect_timeout = 1e9,
      connect_timeout = 1e9, timeout = 1e9 }, "log",
      { idempotent = true })
    local ids = assert(patient:add { a = 1 })
    core.wait(-1, "r", 0.002)
    for i = 1, 3 do assert(log:add { b = i }) end
    assert.same(ids, retry(patient, { a = 1 }))
  end)

  it("returns the ids again, whatever they are", function()
    local function check(n)
      local entries = {}
      for i = 1, n do entries[i] = { i = i } end
      local ids = assert(log:add_many(entries))
      assert.same(ids, assert(retry(log, (table.unpack or unpack)(entries))))
      assert.equal(ids[n], log:last_id())
    end
    for _, n in ipairs { 1, 2, 3, 200 } do check(n) end
    -- A token does not grow with the unit, unless its ids leap.
    assert(server:call("HSTRLEN", side_key.of("log"), log.client.tokens.free[1].name) < 200)
    for _, last in ipairs { "9000000000000-9007199254740990",
      "9000000000001-18446744073709551600", "9000000000002-18446744073709551613",
      TOP .. "-5" } do
      server:call("XADD", "log", last, "i", 0)
      for _, n in ipairs { 1, 2, 3, 9 } do check(n) end
    end
  end)

  it("is an error, if anything, with no descriptor left", function()
    assert.equal("ids\nnil connection none\nnil connection none\n", helper.run([[
      local core = require "eventlog.core"
      local eventlog = require "eventlog"
      local url, open = ..., {}
      local connected = eventlog.new(url, "log", { idempotent = true })
      assert(connected:length())
      local new = eventlog.new({ url = url, reconnect_timeout = 0.3 }, "log",
        { idempotent = true })
      assert(os.execute("prlimit --nofile=64 --pid " .. core.pid()))
      repeat
        local file = io.open("/dev/null")
        open[#open + 1] = file
      until not file
      print(assert(connected:add { i = 1 }) and "ids")
      for _, log in ipairs { new, eventlog.new(new.client, "log") } do
        local ids, err = log:add { i = 2 }
        print(tostring(ids) .. " " .. err.kind .. " " .. err.outcome)
      end
    ]], server.url))
  end)

  it("tells that it waits", function()
    local events = {}
    local told = eventlog.new({ url = server.url, timeout = 0.2, on_event = function(event)
      events[#events + 1] = event
    end }, "log", { idempotent = true })
    assert(told:add { i = 1 })
    server:signal("STOP")
    redis.sh("(sleep 0.7; kill -CONT %d) >/dev/null 2>&1 &", server.pid)
    assert(told:add { i = 2 })
    assert.equal(2, log:length())
    local kinds = {}
    for _, event in ipairs(events) do
      kinds[event.kind] = true
      assert.equal("log", event.log)
      assert(#event.message > 0)
    end
    assert.is_true(kinds.reconnecting)
    assert.is_true(kinds.disconnected)
  end)
end)

describe("add_if", function()
  for _, idempotent in ipairs { false, true } do
    it("adds only while the last id is the expected one, idempotent " ..
      tostring(idempotent), function()
      server:call("FLUSHALL")
      local log = eventlog.new(server.url, "log", { idempotent = idempotent })
      local ids = assert(log:add_if("0-0", { i = 1 }, { i = 2 }))
      assert.equal(2, #ids)
      for _, wrong in ipairs { "0-0", ids[1], TOP } do
        local none, err = log:add_if(wrong, { i = 3 })
        assert.is_nil(none)
        assert.same({ "conflict", "none", ids[2], false },
          { err.kind, err.outcome, err.last_id, err.retriable })
      end
      assert(log:add_if(ids[2], { i = 3 }))
      assert.equal(3, log:length())
      server:call("XDEL", "log", (log:last_id()))
      assert(log:add_if((log:last_id()), { i = 4 }))
      assert.has_error(function() log:add_if("x", { i = 1 }) end)
      assert.has_error(function() log:add_if("0-0", { i = {} }) end)
    end)
  end
end)
