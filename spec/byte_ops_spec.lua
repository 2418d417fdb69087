--- Nothing above the table of byte operations (csrc/io/byte_ops.h) knows what is
--- below it: what spec/support/contract.lua says holds in each driver over a second
--- table, which reads in order to write, writes in order to read, holds bytes back
--- that are decrypted already, and gets tickets that nobody asked for
--- (csrc/tests/fake_tls.h).

local contract = require "spec.support.contract"
local core = require "eventlog.core"
local drivers = require "spec.support.drivers"
local eventlog = require "eventlog"
local redis = require "spec.support.redis"

local sh = redis.sh

-- The driver that blocks and one that does not go through all of the contract, on one
-- Lua: what lies above the table is the same in the others.
local IN_FULL = { blocking = _VERSION == "Lua 5.4", ["function"] = _VERSION == "Lua 5.4" }

local NEEDS_PLAIN = {
  -- The server does not send a reply before the client, which only polls, has answered
  -- another record.
  ["next(0) hands out at once what was added a moment before, each time"] = true,
  -- Closes the client 0.05 s after an add began, which may still be in the handshake.
  ["client:close() wakes whoever waits, in an add, too"] = true,
}

local unix = core.unix
local dir, fake_tls, server, peer, path

--- Builds the table for this Lua, and its peer.
local function build()
  local lua = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("%d%.%d")
  sh("cc -std=gnu99 -O1 -Icsrc -Icsrc/include -o %s/peer csrc/tests/fake_tls_peer.c", dir)
  sh("cc -std=gnu99 -O1 -shared -fPIC -Icsrc -Icsrc/include $(pkg-config --cflags %s) " ..
    "-o %s/fake_tls.so csrc/tests/fake_tls.c csrc/tests/fake_tls_lua.c csrc/codec/*.c " ..
    "csrc/io/*.c -lhiredis -lm", lua, dir)
  return assert(package.loadlib(dir .. "/fake_tls.so", "luaopen_fake_tls"))()
end

local function start_peer()
  return tonumber((sh("%s/peer %s %s", dir, path, server.path)))
end

setup(function()
  dir = sh("mktemp -d")
  fake_tls = build()
  server = redis.start()
  path = dir .. "/tls"
  peer = start_peer()
  core.unix = function(where) -- luacheck: ignore
    local socket, kind, why = unix(where)
    if socket and where:sub(1, #path) == path then fake_tls.use(socket) end
    return socket, kind, why
  end
end)

teardown(function()
  core.unix = unix -- luacheck: ignore
  sh("kill -KILL -%d", peer)
  server:stop()
  sh("rm -rf %s", dir)
end)

before_each(function() server:cli("FLUSHALL") end)
after_each(function() server:signal("CONT") end)

for _, name in ipairs(drivers.names) do
  describe("over another table of byte operations, driver " .. name, function()
    local features = drivers.features(name)
    local harness, env

    setup(function()
      harness = drivers.start(name)
      env = {
        eventlog = eventlog,
        target = { path = path, driver = harness.driver },
        cli = function(...) return server:cli(...) end,
        signal = function(signal) server:signal(signal) end,
        sleep = harness.sleep,
        now = core.now,
        iterates = features.iterates,
        spawn = harness.spawn,
        join = harness.join,
        abandon = harness.abandon,
      }
    end)

    teardown(function() harness.stop() end)

    for _, case in ipairs(contract.cases) do
      if IN_FULL[name] and contract.can_run(case, features) and not NEEDS_PLAIN[case.name] then
        it(case.name, function()
          harness.run(function() case.run(env) end)
        end)
      end
    end

    it("waits for what the table says, and for nothing else", function()
      harness.run(function()
        local log = eventlog.new({ path = path, driver = harness.driver, spin = 0 }, "wants")
        assert(log:add { n = 0 })
        local before = fake_tls.counts()
        local entries = {}
        for n = 1, 300 do entries[n] = { n = n, text = ("x"):rep(1000) } end
        assert(log:add_many(entries))
        assert.equal(301, #assert(log:tail()))
        local after = fake_tls.counts()
        local function counted(what) return after[what] - before[what] end
        assert.is_true(counted("writes_that_want_read") > 10)
        assert.is_true(counted("reads_that_want_write") > 10)
        assert.is_true(counted("tickets") > 10)
        -- Not again and again: some 1,500, and 150,000 if the mode were the method's.
        assert.is_true(counted("waits") < 20000, counted("waits"))
        -- A ticket on an idle connection is no reason to leave it.
        assert.equal(0, counted("handshakes"))
        log.client:close()
      end)
    end)
  end)
end
