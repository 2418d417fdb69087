--- The option ttl: the whole log goes when nothing was added for that long.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local peer = require "spec.support.peer"
local redis = require "spec.support.redis"
local scripts = require "eventlog.command.scripts"

local unpack = table.unpack or unpack

describe("an add with a TTL", function()
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

  it("sets it to the millisecond, rounded up, on each add", function()
    local day = 86400
    for _, case in ipairs {
      { day, 86400000 }, { day + 0.5, 86400500 }, { day + 0.001, 86400001 },
      { day + 0.0001, 86400001 }, { day + 0.0019, 86400002 }, { day * 365.25, 31557600000 },
    } do
      for _, n in ipairs { 1, 3 } do
        local log = new("log", { ttl = case[1] })
        assert(log:add(unpack(numbered(n))))
        local left = server:call("PTTL", "log")
        assert(left <= case[2] and left > case[2] - 60000, left)
        server:call("PEXPIRE", "log", 30000)
        assert(log:add(unpack(numbered(n))))
        assert(server:call("PTTL", "log") > case[2] - 60000)
        log:delete()
      end
    end
  end)

  it("sends it in whole milliseconds", function()
    local cases = {
      { 1e-9, 1 }, { 0.0001, 1 }, { 0.001, 1 }, { 0.0011, 2 }, { 0.029, 29 }, { 0.07, 70 },
      { 1.001, 1001 }, { 1.0000001, 1001 }, { 4.35, 4350 }, { 2 ^ 40, 1099511627776000 },
    }
    local fake = peer.start { awaits = "n\r\n$1\r\n1\r\n", says = "-ERR no\r\n" }
    finally(function() fake:stop() end)
    for i, case in ipairs(cases) do
      local ids, err = eventlog.new(fake.url, "log", { ttl = case[1] }):add { n = 1 }
      assert.same({ nil, "ERR", "none" }, { ids, err.code, err.outcome })
      local ms = string.format("%.0f", case[2])
      assert(fake:heard(i):find("\r\n$" .. #ms .. "\r\n" .. ms .. "\r\n", 1, true), ms)
    end
  end)

  it("lets the whole log go when that time is over", function()
    local log = new("log", { ttl = 0.001 })
    for _, n in ipairs { 1, 3 } do
      assert.equal(n, #assert(log:add(unpack(numbered(n)))))
      for _ = 1, 5000 do
        if server:call("EXISTS", "log") == 0 then break end
        core.wait(-1, "r", 0.002)
      end
      assert.same({}, log:tail())
    end
  end)

  it("is there if the log expires between its first entry and the last", function()
    local guard, guard_and_add = scripts.guard.body, scripts.guard_and_add.body
    finally(function() scripts.guard.body, scripts.guard_and_add.body = guard, guard_and_add end)
    local slow = "for _ = 1, 2e7 do end "
    scripts.guard.body = guard:gsub("return 'ok'$", slow .. "%0")
    scripts.guard_and_add.body = guard_and_add:gsub("return id end", slow .. "%0")
    for _, first in ipairs { "small", ("x"):rep(100000) } do
      for _, n in ipairs { 2, 5 } do
        local log = new("log", { ttl = 1000 })
        assert(log:add { n = 0 })
        server:call("PEXPIRE", "log", 60)
        local entries = numbered(n)
        entries[1] = { n = first }
        local ids = assert(log:add_many(entries))
        local all = assert(log:tail())
        assert(#all >= n) -- but what was before may be there still
        for i = 1, n do assert.equal(ids[i], all[#all - n + i].id) end
        assert(server:call("PTTL", "log") > 900000)
        server:call("DEL", "log")
      end
    end
  end)

  it("is told from one without, which leaves the TTL of the log alone", function()
    for _, n in ipairs { 1, 3 } do
      for _, ttl in ipairs { false, 0 } do
        assert(new("log", { ttl = 1000 }):add { n = 0 })
        server:call("PEXPIREAT", "log", 4102444800123)
        assert(new("log", { ttl = ttl or nil }):add(unpack(numbered(n))))
        assert.equal(4102444800123, server:call("PEXPIRETIME", "log"))
      end
    end
  end)

  it("adds nothing if the user may not set it", function()
    server:call("ACL", "SETUSER", "limited", "on", ">p", "~*", "+@all", "-pexpire")
    finally(function() server:call("ACL", "DELUSER", "limited") end)
    local limited = eventlog.connect { path = server.path, username = "limited", password = "p" }
    for _, n in ipairs { 1, 3 } do
      local ids, err = eventlog.new(limited, "log", { ttl = 10 }):add(unpack(numbered(n)))
      assert.is_nil(ids)
      assert.equal("server", err.kind)
      assert.equal(0, server:call("XLEN", "log"))
      assert.equal(-1, math.max(-1, server:call("PTTL", "log")))
    end
    assert(eventlog.new(limited, "log"):add { n = 1 })
    limited:close()
  end)
end)
