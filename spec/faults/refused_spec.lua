--- Servers that say no before they have read a request, and peers that speak before
--- they read on, or without end.

local Connection = require "eventlog.session.connection"
local core = require "eventlog.core"
local driver = require "eventlog.driver"
local eventlog = require "eventlog"
local options = require "eventlog.base.options"
local peers = require "spec.support.peer"
local redis = require "spec.support.redis"

local LARGE = ("x"):rep(4 * 1024 * 1024)

--- A host's function that waits for what it is asked.
local function wait(fd, mode, timeout)
  assert(mode == "r" or mode == "w")
  return core.wait(fd, mode, timeout)
end

local drivers = { { "that blocks", "blocking" }, { "with a wait function", wait } }

--- Adds of every kind, each of one large entry at least.
local ways = {
  { "one entry", {}, { { n = LARGE } } },
  { "one entry with a TTL", { ttl = 9 }, { { n = LARGE } } },
  { "several entries, the first one large", {}, { { n = LARGE }, { n = 1 } } },
  { "several entries, the last one large", {}, { { n = 1 }, { n = LARGE } } },
  { "an idempotent one", { idempotent = true }, { { n = LARGE } } },
}

for _, one in ipairs(drivers) do
  describe("a client " .. one[1] .. ", and a server that refuses", function()
    local server

    setup(function() server = redis.start { tcp = true } end)
    teardown(function() server:stop() end)

    --- What each way of adding is answered, over TCP and a Unix socket; a minute
    --- is what an idempotent add would go on for.
    local function each_refusal(check)
      for _, url in ipairs { server.url, "redis://127.0.0.1:" .. server.port } do
        for _, way in ipairs(ways) do
          local began = core.now()
          local client = eventlog.connect { url = url, driver = one[2] }
          local ids, err = eventlog.new(client, "log", way[2]):add_many(way[3])
          assert.is_nil(ids)
          assert.same({ "server", "none" }, { err.kind, err.outcome },
            way[1] .. ": " .. tostring(err))
          check(err)
          assert(core.now() - began < 20, way[1])
          client:close()
        end
      end
    end

    it("who has not logged in has its words", function()
      server:cli("CONFIG", "SET", "requirepass", "secret")
      each_refusal(function(err)
        assert.equal("NOAUTH", err.code)
        assert.is_false(err.retriable)
      end)
      redis.sh("redis-cli -s %s -a secret CONFIG SET requirepass '' 2>/dev/null", server.path)
    end)

    it("a value that is too long has its words", function()
      server:cli("CONFIG", "SET", "proto-max-bulk-len", 1048576)
      each_refusal(function(err) assert.matches("invalid bulk length", err.message) end)
      server:cli("CONFIG", "SET", "proto-max-bulk-len", 536870912)
    end)

    it("more clients has its words", function()
      local crowd = {}
      server:cli("CONFIG", "SET", "maxclients", 3)
      for i = 1, 3 do crowd[i] = assert(core.unix(server.path)) end
      core.wait(-1, "r", 0.05)
      for _, where in ipairs { server.url, "redis://127.0.0.1:" .. server.port } do
        for _, way in ipairs(ways) do
          if not way[2].idempotent then -- which waits until there is room
            local client = eventlog.connect { url = where, driver = one[2] }
            local ids, err = eventlog.new(client, "log", way[2]):add_many(way[3])
            assert.is_nil(ids)
            assert.same({ "server", "none", true }, { err.kind, err.outcome, err.retriable },
              way[1] .. ": " .. tostring(err))
            assert.matches("max number of clients", err.message)
          end
        end
      end
      for _, socket in ipairs(crowd) do socket:close() end
      redis.sh("until redis-cli -s %s CONFIG SET maxclients 100 | grep -q OK; do sleep 0.01; done",
        server.path)
    end)
  end)

  describe("a client " .. one[1], function()
    --- A connection to a peer.
    local function connect(peer)
      local settings = options.client({ url = peer.url, driver = one[2], timeout = 20 }, 1)
      local connection = Connection.new(driver.find(one[2]).open(settings), settings)
      assert(connection:establish())
      return connection
    end

    it("reads what a server says before it reads on", function()
      for _, tcp in ipairs { false, true } do
        local many = 2000000
        local peer = peers.start({ awaits = "ECHO", says = ":1\r\n+" .. ("x"):rep(100) .. "\r\n$" ..
          many .. "\r\n" .. ("y"):rep(many) .. "\r\n" }, { tcp = tcp })
        local connection, request = connect(peer), core.request()
        request:command("ECHO", ("x"):rep(16 * 1024 * 1024))
        local began = core.now()
        assert(connection:send(request, 3))
        for _, kind in ipairs { "integer", "status", "string" } do
          assert.equal(kind, (connection:reply()))
        end
        assert.equal(many, #connection.decoder:value())
        assert(core.now() - began < 15)
        connection:close()
        peer:stop()
      end
    end)

    it("says why the link broke, as the system does", function()
      local peer = peers.start({ awaits = "XADD", closes = true }, { tcp = true })
      local log = eventlog.new({ url = peer.url, driver = one[2] }, "log")
      local _, err = log:add { n = LARGE:rep(4) } -- more than all buffers take in
      assert.same({ "connection", "none" }, { err.kind, err.outcome })
      assert(err.message:lower():find("connection lost: connection reset by peer", 1, true) or
        err.message:lower():find("connection lost: broken pipe", 1, true), err.message)
      peer:stop()
    end)

    it("is held no longer than it asked for by bytes that never end", function()
      for _, settings in ipairs { {}, { tcp = true } } do
        local peer = peers.start({ awaits = "XREAD", pours = true,
          says = "*1\r\n*2\r\n$3\r\nlog\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n" ..
            "$1\r\nn\r\n$900000000\r\n" }, settings)
        local follower = eventlog.new({ url = peer.url, driver = one[2] }, "log")
          :tail_and_follow()
        for _, timeout in ipairs { 0, 0.2, 0, 0.2 } do
          local began = core.now()
          local batch, err = follower:next(timeout)
          local took = core.now() - began
          assert.is_nil(batch)
          assert.equal("timeout", err.kind)
          assert(took < timeout + 1.5, took)
        end
        follower:close()
        peer:stop()
      end
    end)

    it("reads no more than max_reply of what never ends", function()
      local peer = peers.start { awaits = "XADD", pours = true, says = "$900000000\r\n" }
      local _, err = eventlog.new({ url = peer.url, driver = one[2], max_reply = 1000000 }, "log")
        :add { n = 1 }
      assert.equal("protocol", err.kind, tostring(err))
      assert.matches("max_reply", err.message, 1, true)
      peer:stop()
    end)
  end)
end
