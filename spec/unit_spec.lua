--- Several entries in one add: what it costs, what became of it, and servers that
--- lack what it needs.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local peer = require "spec.support.peer"
local played = require "spec.support.played"
local redis = require "spec.support.redis"

local unpack = table.unpack or unpack
local bulk, array = played.bulk, played.array
local TOP = "18446744073709551615"
local GROUP = "eventlog:guard"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)
before_each(function() server:call("FLUSHALL") end)

--- n entries of one field.
local function numbered(n)
  local entries = {}
  for i = 1, n do entries[i] = { n = i } end
  return entries
end

--- Which commands the server runs during f, those of scripts too: name -> calls.
local function commands_of(f)
  server:call("CONFIG", "RESETSTAT")
  f()
  local counts = {}
  for name, calls in server:call("INFO", "commandstats")
    :gmatch("cmdstat_([^:]+):calls=(%d+)") do
    counts[name] = tonumber(calls)
  end
  return counts
end

--- All that the server knows of the log, but for most entries.
local function info()
  return server:call("EVAL", [[
    local info = redis.call('XINFO', 'STREAM', KEYS[1], 'FULL', 'COUNT', 1)
    return cjson.encode(info) .. redis.call('PEXPIRETIME', KEYS[1])]], 1, "log")
end

describe("an add", function()
  it("copies no entry of others, and not its own", function()
    server:call("XADD", "log", "*", "n", ("x"):rep(1e6))
    for _, ttl in ipairs { 0, 1000 } do
      for _, n in ipairs { 1, 3 } do
        for _, idempotent in ipairs { false, true } do
          local log = eventlog.new(server.url, "log", { ttl = ttl, idempotent = idempotent })
          for _ = 1, 2 do
            local counts = commands_of(function()
              assert(log:add(unpack(numbered(n))))
              assert(log:add_if(server:call("EVAL", [[
                return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1] ]], 1,
                "log"), { n = 0 }))
            end)
            assert.is_nil(counts["xinfo|stream"])
            assert.is_nil(counts.xrange)
            assert.equal(1, counts.xrevrange) -- the spec's own
          end
        end
      end
    end
    assert.equal(0, server:call("EVAL", "return #redis.call('XINFO', 'GROUPS', KEYS[1])", 1,
      "log"))
  end)

  it("asks nothing about the groups that the log has", function()
    for _, length in ipairs { 0, 1 } do
      for _, ttl in ipairs { 0, 1000 } do
        for _, idempotent in ipairs { false, true } do
          server:call("FLUSHALL")
          server:call("XGROUP", "CREATE", "log", "other", "0", "MKSTREAM")
          for _ = 1, length do server:call("XADD", "log", "*", "n", 0) end
          local log = eventlog.new(server.url, "log",
            { ttl = ttl, idempotent = idempotent, max_length = 100 })
          for n = 2, 4 do
            local counts = commands_of(function() assert(log:add(unpack(numbered(n)))) end)
            assert.equal(n, counts.xadd)
            for name in pairs(counts) do
              assert.is_nil(name:find("xinfo", 1, true), name)
              assert.is_nil(name:find("xgroup|create", 1, true), name)
            end
          end
          assert.equal(length + 9, log:length())
          assert.equal("other", server:call("EVAL",
            "local g = redis.call('XINFO', 'GROUPS', KEYS[1]) return #g == 1 and g[1][2]", 1,
            "log"))
        end
      end
    end
  end)

  it("is one if its log is ahead of the server's clock", function()
    for _, last in ipairs { "99999999999999-5", "99999999999999-18446744073709551615" } do
      for _, idempotent in ipairs { false, true } do
        server:call("DEL", "log")
        server:call("XADD", "log", last, "n", 0)
        local log = eventlog.new(server.url, "log", { idempotent = idempotent })
        local expected = {}
        for i = 1, 3 do
          expected[i] = #last > 20 and "100000000000000-" .. i - 1 or "99999999999999-" .. 5 + i
        end
        assert.same(expected, log:add(unpack(numbered(3))))
      end
    end
  end)

  it("is one if its first entry has many fields or many bytes", function()
    local many = {}
    for i = 1, 5000 do many["field" .. i] = i end
    for _, first in ipairs { many, { text = ("x"):rep(100000) } } do
      for _, ttl in ipairs { 0, 1000 } do
        server:call("FLUSHALL")
        local log = eventlog.new(server.url, "log", { ttl = ttl })
        for _ = 1, 2 do
          assert.equal(2, #assert(log:add(first, { n = 1 })))
          assert.equal(2, #assert(log:add({ n = 1 }, first)))
        end
        local all = assert(log:tail())
        assert.equal(8, #all)
        for name, value in pairs(first) do
          assert.equal(tostring(value), all[1].fields[name])
          assert.equal(tostring(value), all[4].fields[name])
        end
        -- And all or nothing.
        server:call("DEL", "log")
        server:call("XADD", "log", TOP .. "-18446744073709551614", "n", 0)
        local before = info()
        local ids, err = log:add(first, { n = 1 })
        assert.is_nil(ids)
        assert.same({ "server", "none" }, { err.kind, err.outcome })
        assert.equal(before, info())
      end
    end
  end)

  it("is one by a user without XGROUP, too", function()
    server:call("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-xgroup")
    finally(function() server:call("ACL", "DELUSER", "u") end)
    local client = eventlog.connect("unix://u:p@" .. server.path)
    for _, idempotent in ipairs { false, true } do
      server:call("DEL", "log")
      local log = eventlog.new(client, "log", { idempotent = idempotent })
      local ids = assert(log:add({ n = 1 }, { n = 2 }))
      assert(log:add_if(ids[2], { n = 3 }, { n = 4 }))
      assert.equal("conflict", select(2, log:add_if(ids[2], { n = 5 })).kind)
      assert.equal(4, log:length())
    end
    client:close()
  end)

  it("has its TTL if added by a user who only writes", function()
    server:call("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@write", "+@scripting",
      "+@transaction")
    finally(function() server:call("ACL", "DELUSER", "u") end)
    local log = eventlog.new("unix://u:p@" .. server.path, "log", { ttl = 1000 })
    for n = 1, 3 do
      server:call("DEL", "log")
      assert.equal(n, #assert(log:add(unpack(numbered(n)))))
      assert(server:call("PTTL", "log") > 990000)
    end
    server:call("DEL", "log")
    server:call("RPUSH", "log", "x")
    local ids, err = log:add({ n = 1 }, { n = 2 })
    assert.is_nil(ids)
    assert.same({ "WRONGTYPE", "none" }, { err.code, err.outcome })
    assert.equal(-1, server:call("PTTL", "log")) -- another program's key
    server:call("DEL", "log")
    log.client:close()
  end)

  it("adds all or nothing where one id is left, and changes no group of others", function()
    for _, case in ipairs {
      { { "XADD", "log", TOP .. "-18446744073709551614", "n", 0 } },
      { { "XADD", "log", "5-1", "n", 0 }, { "XSETID", "log", TOP .. "-18446744073709551614" } },
      { { "XADD", "log", TOP .. "-18446744073709551614", "n", 0 },
        { "XDEL", "log", TOP .. "-18446744073709551614" } },
    } do
      for _, ttl in ipairs { 0, 1000 } do
        for _, idempotent in ipairs { false, true } do
          server:call("FLUSHALL")
          for _, command in ipairs(case) do server:call(unpack(command)) end
          server:call("XGROUP", "CREATE", "log", GROUP, "5-1")
          local before = info()
          local log = eventlog.new(server.url, "log", { ttl = ttl, idempotent = idempotent })
          for _, n in ipairs { 2, 3 } do
            local ids, err = log:add(unpack(numbered(n)))
            assert.is_nil(ids)
            assert.same({ "server", "none" }, { err.kind, err.outcome })
            assert.equal(before, info())
          end
          assert.same({ TOP .. "-" .. TOP }, log:add { n = 1 })
          before = info()
          local ids, err = log:add({ n = 1 }, { n = 2 })
          assert.is_nil(ids)
          assert.same({ "server", "none" }, { err.kind, err.outcome })
          assert.equal(before, info())
        end
      end
    end
  end)

  it("is one by a user without XREAD, too", function()
    server:call("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-xread")
    finally(function() server:call("ACL", "DELUSER", "u") end)
    for _, ttl in ipairs { 0, 1000 } do
      local log = eventlog.new("unix://u:p@" .. server.path, "log", { ttl = ttl })
      for n = 2, 4 do assert.equal(n, #assert(log:add(unpack(numbered(n))))) end
      assert.equal(9, log:length())
      assert(log:delete())
      -- And with what else may be wrong.
      server:call("SET", "log", "x")
      log.client.topology.abilities.has_multi = false
      local ids, err = log:add({ n = 1 }, { n = 2 })
      assert.is_nil(ids)
      assert.same({ "WRONGTYPE", "none" }, { err.code, err.outcome })
      server:call("DEL", "log")
      log.client:close()
    end
  end)

  it("waits for nobody, and leaves nothing waiting, if there is no MULTI", function()
    local other = redis.start { config = "--rename-command MULTI hidden" }
    finally(function() other:stop() end)
    other:call("XADD", "log", "5-1", "n", 0)
    local log = eventlog.new({ url = other.url, timeout = 1 }, "log")
    for _ = 1, 3 do
      local ids, err = log:add({ n = 1 }, { n = 2 })
      assert.is_nil(ids)
      assert.same({ "unsupported", "none" }, { err.kind, err.outcome })
      assert(log:add { n = 3 })
    end
    assert.equal(4, log:length())
    assert(helper.eventually(function()
      return other:call("INFO", "clients"):find("blocked_clients:0", 1, true)
    end))
  end)

  it("may be there if neither MULTI nor XREAD is known, and the answer comes in parts", function()
    for _, pause in ipairs { 0, 0.5 } do
      local client, streams = played.client({}, { "-NOPERM no multi\r\n" })
      local log = eventlog.new(client, "log")
      local heard = { "-NOPERM no multi\r\n", "-NOPERM no xread\r\n" .. bulk "5-1" ..
        bulk "5-2" .. bulk "ok" .. "-ERR EXEC without MULTI\r\n" }
      local open = client.driver.open
      function client.driver.open(...)
        local transport, err = open(...)
        local stream = streams[#streams]
        function stream:receive(seconds)
          if self.at == 1 and pause > 0 then
            local wait = math.min(seconds, pause)
            core.wait(-1, "r", wait)
            pause = pause - wait
            return nil, "timeout"
          end
          self.at = self.at + 1
          return heard[self.at]
        end
        return transport, err
      end
      local ids, err = log:add({ n = 1 }, { n = 2 })
      assert.is_nil(ids)
      assert.same({ "server", "NOPERM", "unknown" }, { err.kind, err.code, err.outcome })
      assert.equal("NOPERM no multi", err.message)
      client:close()
    end
  end)

  it("goes beside a group of any name", function()
    server:call("XADD", "log", "5-1", "n", 0)
    for _, group in ipairs { GROUP, "eventlog:", "", "other" } do
      server:call("XGROUP", "CREATE", "log", group, "5-1")
    end
    local log = eventlog.new(server.url, "log", { ttl = 100 })
    assert.equal(3, #assert(log:add(unpack(numbered(3)))))
    assert.equal(4, log:length())
    assert.equal(4, server:call("EVAL", "return #redis.call('XINFO', 'GROUPS', KEYS[1])", 1,
      "log"))
  end)

  it("is the same on a replica and after the append-only file is loaded", function()
    local other = redis.start {
      config = "--appendonly yes --enable-debug-command yes",
    }
    finally(function() other:stop() end)
    for _, idempotent in ipairs { false, true } do
      local log = eventlog.new(other.url, "log " .. tostring(idempotent),
        { idempotent = idempotent, ttl = 1000 })
      for _, n in ipairs { 1, 2, 30 } do assert(log:add(unpack(numbered(n)))) end
    end
    other:call("XADD", "log", TOP .. "-18446744073709551614", "n", 0)
    assert.is_nil((eventlog.new(other.url, "log"):add({ n = 1 }, { n = 2 })))
    local function digest()
      local all = {}
      for _, name in ipairs { "log true", "log false", "log", "{log true}:eventlog" } do
        local kind = other:call("TYPE", name)
        all[#all + 1] = kind .. other:call("PEXPIRETIME", name) .. other:call("EVAL",
          kind == "stream" and
          "return cjson.encode(redis.call('XINFO', 'STREAM', KEYS[1], 'FULL'))" or
          "local t = redis.call('HGETALL', KEYS[1]) table.sort(t) return cjson.encode(t)",
          1, name):gsub('"radix%-tree%-nodes",%d+,', "")
      end
      return table.concat(all, "\n")
    end
    local before = digest()
    assert(before:find("eventlog:sweep", 1, true))
    other:call("DEBUG", "LOADAOF")
    assert.equal(before, digest())
  end)
end)

describe("what became of a unit", function()
  local MULTI, QUEUED = "+OK\r\n", "+QUEUED\r\n"
  local OK = bulk "ok"

  --- What an add of two entries brings, played this; then the length, and whether
  --- the connection was closed.
  local function play(settings, ...)
    local client, streams = played.client({}, { ... }, { ":7\r\n" })
    client.topology.abilities.has_multi = true
    local log = eventlog.new(client, "log", settings)
    local ids, err = log:add({ n = 1 }, { n = 2 })
    assert.is_nil(ids)
    local closed = streams[1].closed
    streams[1].pieces = { [streams[1].at + 1] = ":7\r\n" }
    assert.equal(7, log:length())
    return err, closed
  end

  it("is none only if nothing landed", function()
    local queued = MULTI .. QUEUED:rep(3)
    local no = "-ERR no\r\n"
    for _, case in ipairs {
      -- What EXEC answers, and the outcome.
      { array(no, no, OK), "none" },
      { array(bulk "5-1", no, OK), "unknown" },
      { array(no, bulk "5-1", OK), "unknown" },
      { array(no, no, no), "none" },
      { array(bulk "5-1", bulk "5-2", no), "unknown" },
      { array(bulk "5-1", bulk "5-2",
        "-ERR Error running script (call to f_1a): @user_script:9: x\r\n"), "unknown" },
      { array(bulk "5-1", bulk "5-2", "-TAKEN ERR no\r\n"), "none" },
      { "-EXECABORT Transaction discarded because of previous errors.\r\n", "none" },
    } do
      local err = play({ ttl = 5 }, queued .. case[1])
      assert.same({ "server", case[2] }, { err.kind, err.outcome }, case[1])
      assert.is_nil(err.message:find("TAKEN", 1, true))
    end
  end)

  it("is sent once more, and no more, if the log expired under it and took it along", function()
    local expired = array(bulk "5-1", bulk "5-2", "-TAKEN EXPIRED the log\r\n")
    for _, second in ipairs { expired, array(bulk "6-1", bulk "6-2", OK) } do
      local client, streams = played.client({}, { MULTI .. QUEUED:rep(3) .. expired,
        { 2, MULTI .. QUEUED:rep(3) .. second }, { 3, ":7\r\n" } })
      client.topology.abilities.has_multi = true
      local log = eventlog.new(client, "log", { ttl = 5 })
      local ids, err = log:add({ n = 1 }, { n = 2 })
      if second == expired then
        assert.same({ "server", "EXPIRED", "none", true },
          { err.kind, err.code, err.outcome, err.retriable })
      else
        assert.same({ "6-1", "6-2" }, ids)
      end
      assert.equal(7, log:length())
      assert.equal(3, #streams[1].sent)
      client:close()
    end
  end)

  it("is none if EXEC itself is an error, and the connection is closed", function()
    for _, text in ipairs { "BUSY Redis is busy running a script", "ERR no such EXEC",
      "LOADING Redis is loading the dataset in memory",
      "ERR unknown command 'EXEC', with args beginning with: ",
      "NOPERM this user has no permissions to run the 'exec' command" } do
      local err, closed = play({}, MULTI .. QUEUED:rep(3) .. "-" .. text .. "\r\n")
      assert.equal("none", err.outcome)
      assert.is_true(closed)
    end
  end)

  it("is the first error that came, though the connection is lost then", function()
    for _, case in ipairs {
      { "-ERR max number of clients reached\r\n", "ERR", "none" },
      { "-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
        "DENIED", "none" },
      { "-NOAUTH Authentication required.\r\n", "NOAUTH", "none" },
      { MULTI .. "-OOM command not allowed\r\n", "OOM", "none" },
      { MULTI .. QUEUED .. "-READONLY You can't write\r\n" .. QUEUED, "READONLY",
        "none" },
      { "-NOPERM no multi\r\n" .. bulk "5-1", "NOPERM", "unknown" },
      { "-NOPERM no multi\r\n", "NOPERM", "unknown" },
    } do
      local err = play({}, case[1])
      assert.same({ "server", case[2], case[3] }, { err.kind, err.code, err.outcome }, case[1])
    end
  end)

  it("is none, and asked for once, if the server refuses all but MULTI", function()
    for _, text in ipairs {
      "LOADING Redis is loading the dataset in memory",
      "BUSY Redis is busy running a script", "MOVED 15495 127.0.0.1:7001",
      "MASTERDOWN Link with MASTER is down", "CLUSTERDOWN The cluster is down",
      "NOPERM this user has no permissions", "ASK 15495 127.0.0.1:7001",
    } do
      for n = 2, 3 do
        local client, streams = played.client({},
          { "+OK\r\n" .. ("-" .. text .. "\r\n"):rep(n + 2) .. "-EXECABORT no\r\n" }, {})
        local ids, err = eventlog.new(client, "log"):add(unpack(numbered(n)))
        assert.is_nil(ids)
        local code = text:match("%u+")
        assert.same({ "none", code ~= "MOVED" and code ~= "ASK" and code or nil },
          { err.outcome, err.code })
        assert.equal(1, #streams)
        assert.equal(1, #streams[1].sent)
        client:close()
      end
    end
  end)

  it("is what another command than XREAD was refused with", function()
    server:call("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@all", "-xread", "-xadd")
    finally(function() server:call("ACL", "DELUSER", "u") end)
    local log = eventlog.new("unix://u:p@" .. server.path, "log")
    local counts = commands_of(function()
      local ids, err = log:add({ n = 1 }, { n = 2 })
      assert.is_nil(ids)
      assert.same({ "NOPERM", "none" }, { err.code, err.outcome })
      assert(err.message:find("xadd", 1, true), err.message)
    end)
    assert.equal(1, counts.multi)
    log.client:close()
  end)

  it("is told by a server that refuses the connection", function()
    local small = redis.start { config = "--maxclients 1" }
    local fake = peer.start { awaits = "*", closes = true,
      says = "-DENIED Redis is running in protected mode\r\n" }
    finally(function()
      small:stop()
      fake:stop()
    end)
    assert.equal("PONG", small:call("PING")) -- which takes the one connection
    for _, case in ipairs { { small.url, "ERR", true }, { fake.url, "DENIED", false } } do
      for _, n in ipairs { 1, 2 } do
        for _, met in ipairs { false, true } do
          local log = eventlog.new(case[1], "log", { ttl = n })
          log.client.topology.abilities.has_multi = met
          local ids, err = log:add(unpack(numbered(n)))
          assert.is_nil(ids)
          assert.same({ "server", case[2], "none", case[3] },
            { err.kind, err.code, err.outcome, err.retriable })
        end
      end
    end
  end)
end)

describe("a server that has a command under another name", function()
  --- What is said without it: by each call, by name.
  local calls = {
    add = function(log) return log:add { n = "value" } end,
    unit = function(log) return log:add({ n = "value" }, { n = "value" }) end,
    ["add with a TTL"] = function(log)
      return eventlog.new(log.client, "log", { ttl = 5 }):add { n = "value" }
    end,
    ["idempotent add"] = function(log)
      return eventlog.new(log.client, "log", { idempotent = true }):add { n = "value" }
    end,
    add_if = function(log) return log:add_if("0-0", { n = "value" }) end,
    tail = function(log) return log:tail() end,
    length = function(log) return log:length() end,
    delete = function(log) return log:delete() end,
    follower = function(log)
      local follower = log:tail_and_follow()
      local batch, err = follower:next(5)
      follower:close()
      return batch, err
    end,
  }

  local ADDS = { "add", "unit", "add with a TTL", "idempotent add", "add_if" }

  for command, lacking in pairs {
    MULTI = { "unit" }, EXEC = { "unit" },
    EVAL = { "unit", "add with a TTL", "idempotent add", "add_if", "delete", "follower" },
    EVALSHA = { "add with a TTL", "idempotent add", "add_if", "delete", "follower" },
    XADD = ADDS, HSET = { "idempotent add" }, HGET = { "idempotent add" },
    TIME = { "idempotent add" }, PTTL = { "idempotent add" },
    PEXPIRE = { "add with a TTL", "idempotent add" }, XLEN = { "length", "delete" },
    XRANGE = { "tail", "follower" }, XINFO = { "add_if", "follower" },
    EXISTS = { "idempotent add", "follower" }, UNLINK = { "delete" },
  } do
    it("is unsupported, and told which, and nothing is added: " .. command, function()
      local other = redis.start { config = "--rename-command " .. command .. " hidden" }
      finally(function() other:stop() end)
      local function length()
        return other:call(command == "XLEN" and "hidden" or "XLEN", "log")
      end
      local lacks = {}
      for _, name in ipairs(lacking) do lacks[name] = true end
      for name, call in pairs(calls) do
        other:call("FLUSHALL")
        local is_add = name:find("add") or name == "unit"
        if not is_add then
          other:call(command == "XADD" and "hidden" or "XADD", "log", "5-1", "n", 1)
        end
        local before = length()
        local client = eventlog.connect(other.url)
        local log = eventlog.new(client, "log")
        for _ = 1, 2 do
          local result, err = call(log)
          if lacks[name] then
            assert.is_nil(result, name)
            assert.same({ "unsupported", false }, { err.kind, err.retriable }, name)
            assert(err.message:find("command " .. command .. ":", 1, true), err.message)
            assert(err.message:find("needed for", 1, true), err.message)
            assert(#err.message < 300, err.message)
            assert.is_nil(err.message:find("value", 1, true))
            assert.is_nil(err.message:find("redis.", 1, true))
            assert.equal(is_add and "none" or nil, err.outcome)
            assert.equal(before, length(), name)
          else
            assert(result ~= nil, name .. ": " .. tostring(err))
            if name == "add_if" then break end
          end
        end
        -- And the connections are as good as before.
        if command ~= "XRANGE" then assert(log:tail()) end
        client:close()
      end
    end)
  end
end)

describe("a Redis Cluster", function()
  it("is unsupported for a client that meets the wrong node, and nothing is added", function()
    local nodes, bus = {}, {}
    for i = 1, 2 do
      bus[i] = redis.free_port()
      nodes[i] = redis.start { tcp = true,
        config = "--cluster-enabled yes --cluster-port " .. bus[i] }
    end
    finally(function()
      for _, node in ipairs(nodes) do node:stop() end
    end)
    nodes[1]:call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    nodes[1]:call("CLUSTER", "MEET", "127.0.0.1", nodes[2].port, bus[2])
    for _, node in ipairs(nodes) do
      assert(helper.eventually(function()
        return node:call("CLUSTER", "INFO"):find("cluster_state:ok", 1, true)
      end))
    end
    local client = eventlog.connect(nodes[2].url)
    local plain, lasting = eventlog.new(client, "log"), eventlog.new(client, "log", { ttl = 9 })
    local once = eventlog.new(client, "log", { idempotent = true })
    for name, call in pairs {
      ["add"] = function() return plain:add { n = 1 } end,
      ["add of two"] = function() return plain:add({ n = 1 }, { n = 2 }) end,
      ["add with a TTL"] = function() return lasting:add { n = 1 } end,
      ["add of two with a TTL"] = function() return lasting:add({ n = 1 }, { n = 2 }) end,
      ["add, idempotent"] = function() return once:add { n = 1 } end,
      ["add_if"] = function() return plain:add_if("0-0", { n = 1 }) end,
      ["tail"] = function() return plain:tail() end,
      ["last_id"] = function() return plain:last_id() end,
      ["delete"] = function() return plain:delete() end,
      ["next"] = function() return plain:tail_and_follow():next(20) end,
    } do
      local result, err = call()
      assert.is_nil(result, name)
      assert.same({ "unsupported", false }, { err.kind, err.retriable }, name)
      assert(err.message:find("Redis Cluster", 1, true), err.message)
      assert(err.message:find("127.0.0.1:" .. nodes[1].port, 1, true), err.message)
      assert.equal(name:find("add") and "none" or nil, err.outcome, name)
    end
    client:close()
    -- The node that it names does it.
    local right = eventlog.new("redis://127.0.0.1:" .. nodes[1].port, "log")
    assert.equal(0, right:length())
    assert(right:add({ n = 1 }, { n = 2 }))
  end)
end)
