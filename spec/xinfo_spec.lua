--- What reads and last_id ask where a log stands: who may ask it, and what else
--- the log may have.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local stepped = require "spec.support.stepped"

describe("where a log stands", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:call("FLUSHALL") end)

  local function fill(name, n)
    for i = 1, n do server:call("XADD", name, i .. "-0", "n", i) end
  end

  --- A client of a user with these rules.
  local function user(...)
    server:call("ACL", "SETUSER", "u", "reset", "on", ">p", ...)
    finally(function() server:call("ACL", "DELUSER", "u") end)
    return eventlog.connect { path = server.path, username = "u", password = "p" }
  end

  --- Every read of "log:a", which has 40 entries, the last of them deleted, goes
  --- well in pages of 7.
  local function check_reads(client)
    for _, max_length in ipairs { 0, 20 } do
      local log = eventlog.new(client, "log:a", { batch_size = 7, max_length = max_length })
      assert.equal(max_length == 0 and 39 or 20, #assert(log:tail()))
      assert.equal(max_length == 0 and 30 or 20, #assert(log:tail_n(30)))
      assert.equal(10, #assert(log:tail_from("30")))
      assert.equal(20, #assert(log:tail_after("19-0")))
    end
  end

  it("is what a user may know who may only read", function()
    fill("log:a", 40)
    server:call("XDEL", "log:a", "40-0")
    for _, rules in ipairs {
      { "%R~log:*", "+@read" }, { "~log:*", "+@read" },
      { "%R~log:*", "+xrange", "+xrevrange", "+xlen", "+xinfo|stream" },
    } do
      local client = user((table.unpack or unpack)(rules))
      local log = eventlog.new(client, "log:a")
      assert.equal("40-0", log:last_id())
      assert.equal("0-0", eventlog.new(client, "log:none"):last_id())
      check_reads(client)
      assert.equal("40-0", log:last_id())
      client:close()
    end
  end)

  it("is not needed for reads, but for last_id", function()
    fill("log:a", 40)
    server:call("XDEL", "log:a", "40-0")
    local client = user("%R~log:*", "+xrange", "+xrevrange", "+xlen")
    local log = eventlog.new(client, "log:a")
    for _ = 1, 2 do
      local id, err = log:last_id()
      assert.is_nil(id)
      assert.equal("NOPERM", err.code)
      check_reads(client)
    end
    server:call("ACL", "SETUSER", "u", "+xinfo")
    assert.equal("40-0", log:last_id())
    check_reads(client)
    client:close()
  end)

  it("is asked in another way of a server that does not know the first one", function()
    fill("log:a", 40)
    server:call("XDEL", "log:a", "40-0")
    local asked = 0
    for _, refusal in ipairs {
      "ERR Unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
      "ERR syntax error",
    } do
      local client = stepped.client(server, {
        before = function() end,
        refuses = function(words)
          if words[4] ~= "FULL" then return nil end
          asked = asked + 1
          return refusal
        end,
      })
      local log = eventlog.new(client, "log:a")
      for _ = 1, 3 do assert.equal("40-0", log:last_id()) end
      assert.equal("0-0", eventlog.new(client, "none"):last_id())
      check_reads(client)
    end
    assert.equal(2, asked)
  end)

  it("names the command that a server does not have", function()
    local other = redis.start { config = "--rename-command XINFO ''" }
    other:call("XADD", "log", "1-0", "n", 1)
    local client = eventlog.connect(other.url)
    local id, err = eventlog.new(client, "log"):last_id()
    client:close()
    other:stop()
    assert.is_nil(id)
    assert.equal("unsupported", err.kind)
    assert.is_truthy(err.message:find("XINFO", 1, true), err.message)
    assert.is_truthy(err.message:find("last_id", 1, true), err.message)
  end)

  it("is told beside consumer groups, their consumers and what is pending", function()
    fill("log:a", 40)
    for group = 1, 3 do
      server:call("XGROUP", "CREATE", "log:a", "group " .. group, "0")
      for consumer = 1, 3 do
        server:call("XREADGROUP", "GROUP", "group " .. group, "consumer " .. consumer, "COUNT", 3,
          "STREAMS", "log:a", ">")
      end
    end
    server:call("XDEL", "log:a", "40-0")
    local client = eventlog.connect(server.url)
    assert.equal("40-0", eventlog.new(client, "log:a"):last_id())
    check_reads(client)
    client:close()
  end)

  it("is told whatever the first and the last entry have, and max_reply is", function()
    local big = ("x"):rep(300000)
    for _, values in ipairs { { big, 1, 2 }, { 1, 2, big }, { big, 1, big }, { big } } do
      for _, rules in ipairs {
        { "~log:*", "+@all" }, { "~log:*", "+@all", "-@scripting" },
        { "%R~log:*", "+@read" }, { "~log:*", "+@all", "-eval_ro", "-evalsha_ro" },
      } do
        server:call("FLUSHALL")
        for i, value in ipairs(values) do server:call("XADD", "log:a", i .. "-0", "n", value) end
        server:call("XADD", "log:a", "7-3", "n", 1)
        server:call("XDEL", "log:a", "7-3")
        user((table.unpack or unpack)(rules))
        for _, max_reply in ipairs { 20000, 1000, 400 } do
          local client = eventlog.connect { path = server.path, username = "u", password = "p",
            max_reply = max_reply, reconnect_timeout = 1 }
          local log = eventlog.new(client, "log:a")
          for _ = 1, 2 do
            assert.equal("7-3", log:last_id())
            assert.equal(#values, log:length())
          end
          client:close()
        end
      end
    end
  end)

  it("is told to reads without scripts if the first entry is beyond max_reply", function()
    server:call("XADD", "log:a", "1-0", "n", ("x"):rep(300000))
    for i = 2, 40 do server:call("XADD", "log:a", i .. "-0", "n", i) end
    user("%R~log:*", "+@read")
    local client = eventlog.connect { path = server.path, username = "u", password = "p",
      max_reply = 20000, reconnect_timeout = 1 }
    local log = eventlog.new(client, "log:a", { batch_size = 7 })
    assert.equal(30, #assert(log:tail_n(30)))
    assert.equal(20, #assert(log:tail_after("20-0")))
    client:close()
  end)

  it("is told of a log that is empty, and of one that is none", function()
    local client = eventlog.connect(server.url)
    local log = eventlog.new(client, "log")
    assert.equal("0-0", log:last_id())
    server:call("XADD", "log", "7-3", "n", 1)
    server:call("XTRIM", "log", "MAXLEN", 0)
    assert.equal("7-3", log:last_id())
    server:call("SET", "log", "text")
    local id, err = log:last_id()
    assert.is_nil(id)
    assert.equal("WRONGTYPE", err.code)
    client:close()
  end)

  it("changes nothing, and goes to no replica", function()
    fill("log:a", 40)
    server:call("XDEL", "log:a", "40-0")
    local client = eventlog.connect(server.url)
    local dirty = server:call("INFO", "persistence"):match("rdb_changes_since_last_save:(%d+)")
    assert.equal("40-0", eventlog.new(client, "log:a"):last_id())
    check_reads(client)
    assert.equal(dirty,
      server:call("INFO", "persistence"):match("rdb_changes_since_last_save:(%d+)"))
    client:close()
  end)
end)
