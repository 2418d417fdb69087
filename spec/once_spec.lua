--- Adds that land once, however often they are sent, and adds under a condition.

local eventlog = require "eventlog"
local once_writer = require "eventlog.once_writer"
local redis = require "spec.support.redis"

local server
local TOP = "18446744073709551615"

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

describe("an idempotent add", function()
  local log

  before_each(function()
    server:call("FLUSHALL")
    log = eventlog.new({ url = server.url, timeout = 0.3 }, "log",
      { idempotent = true, ttl = 100 })
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
      local ids = assert(log:add({ i = i }, { i = -i }))
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
    local key = once_writer.tokens_key("log")
    for i = 1, 200 do assert(log:add { i = i }) end
    assert(server:call("HLEN", key) <= 2)
    local ttl = server:call("PTTL", key)
    assert(ttl > 2 * 60000 and ttl <= 7 * 60000, ttl)
    -- Of a writer long gone:
    server:call("HSET", key, "gone:1", "1 1000 5-1")
    for i = 1, 64 do assert(log:add { i = i }) end
    assert.equal(0, server:call("HEXISTS", key, "gone:1"))
    assert.is_true(log:delete())
    assert.equal(0, server:call("EXISTS", key))
  end)

  it("keeps its tokens in the log's cluster slot", function()
    for name, key in pairs {
      log = "{log}:eventlog", ["a{b}c"] = "a{b}c:eventlog", ["a{b"] = "{a{b}:eventlog",
    } do
      assert.equal(key, once_writer.tokens_key(name))
    end
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
