--- The keys that the library keeps beside a log.

local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local redis = require "spec.support.redis"
local side_key = require "eventlog.log.side_key"

local NAMES = {
  "x", "{x}", "{{x}", "{{x}}", "{x}:eventlog", "{{x}:eventlog}", "{x}:eventlog:{x}",
  "x:eventlog", "weather", "{weather}", "{weather}:eventlog", "a}b", "}", "}{", "{}", "{}x",
  "x{}", "{}{x}", "a{b", "{", "a{b}c", "{b}:eventlog:a{b}c", "b", "log:{7}", "{7}", "7",
  "\0", "{\0}", "\n}", "\255}\254", (" "):rep(300), ("}"):rep(300), "{a}b", "{a}{b}", "{10}",
  "{123}:eventlog", "{123}:eventlog:a}b", "{7866}:eventlog:a}b",
}

describe("a log's side key", function()
  it("is named as README says", function()
    for name, key in pairs {
      log = "{log}:eventlog", ["a{b"] = "{a{b}:eventlog", ["{x}"] = "{x}:eventlog:{x}",
      ["a{b}c"] = "{b}:eventlog:a{b}c",
    } do
      assert.equal(key, side_key.of(name))
    end
  end)

  it("is one log's only", function()
    local of = {}
    for _, name in ipairs(NAMES) do
      local key = side_key.of(name)
      assert.is_nil(of[key], key)
      of[key] = name
    end
  end)

  it("lies in the log's slot, whatever its name", function()
    local server = redis.start { tcp = true,
      config = "--cluster-enabled yes --cluster-port " .. redis.free_port() }
    finally(function() server:stop() end)
    server:call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    assert(helper.eventually(function()
      return server:call("CLUSTER", "INFO"):find("cluster_state:ok", 1, true)
    end))
    local client = eventlog.connect(server.url)
    for _, name in ipairs(NAMES) do
      local key = side_key.of(name)
      assert.equal(server:call("CLUSTER", "KEYSLOT", name),
        server:call("CLUSTER", "KEYSLOT", key), name)
      local log = eventlog.new(client, name, { idempotent = true, ttl = 100 })
      assert(log:add({ a = 1 }, { a = 2 }))
      assert.equal("hash", server:call("TYPE", key))
      assert(log:add_if((log:last_id()), { a = 3 }))
      assert.is_true(log:delete())
      assert.equal(0, server:call("EXISTS", key))
    end
    client:close()
  end)

  describe("of another's making", function()
    local server, client

    setup(function() server = redis.start() end)
    teardown(function() server:stop() end)
    before_each(function()
      server:call("FLUSHALL")
      client = eventlog.connect(server.url)
    end)

    local function once(name)
      return eventlog.new(client, name, { idempotent = true })
    end

    it("is another log, with its own tokens", function()
      local x, tagged = once("x"), once("{x}")
      assert(x:add { a = 1 })
      local ids = assert(tagged:add { a = 1 })
      assert.is_true(x:delete())
      local lane = client.tokens.free[1] -- the answer to tagged's add was lost
      lane.number = lane.number - 1
      assert.same(ids, tagged:add { a = 1 })
    end)

    it("is neither written nor deleted", function()
      local log = once("weather")
      for _, make in ipairs {
        { "XADD", "5-1", "a", 1 }, { "HSET", "a", "1 2 3-4" }, { "HSET", "sweep", "0" },
        { "SET", "a" }, { "SADD", "a" }, { "RPUSH", "a" },
      } do
        server:call("FLUSHALL")
        local key = "{weather}:eventlog"
        server:call(make[1], key, (table.unpack or unpack)(make, 2))
        local before = server:call("DUMP", key)
        for _, add in ipairs {
          function() return log:add { a = 1 } end,
          function() return log:add({ a = 1 }, { a = 2 }) end,
          function() return log:add_if("0-0", { a = 1 }) end,
        } do
          local ids, err = add()
          assert.is_nil(ids)
          assert.same({ "server", "WRONGTYPE", "none", false },
            { err.kind, err.code, err.outcome, err.retriable })
          assert(err.message:find(key, 1, true), err.message)
        end
        assert.equal(0, server:call("EXISTS", "weather"))
        -- What needs no tokens does not mind.
        assert(eventlog.new(client, "weather"):add { a = 1 })
        assert.is_true(log:delete())
        assert.equal(0, server:call("EXISTS", "weather"))
        assert.equal(before, server:call("DUMP", key))
        assert.equal(-1, server:call("PTTL", key))
      end
    end)

    it("keeps a log out whose name it has", function()
      assert(once("weather"):add { a = 1 })
      local other = eventlog.new(client, "{weather}:eventlog")
      for _, what in ipairs { "add", "delete" } do
        local result, err = other[what](other, { a = 1 })
        assert.is_nil(result)
        assert.equal("WRONGTYPE", err.code)
      end
      assert.equal("hash", server:call("TYPE", "{weather}:eventlog"))
    end)
  end)
end)
