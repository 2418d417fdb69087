--- How a connection comes about: addresses of which some are dead, a backlog that is
--- full, descriptors of any number. In every driver outside of nginx.

local core = require "eventlog.core"
local drivers = require "spec.support.drivers"
local eventlog = require "eventlog"
local peers = require "spec.support.peer"
local redis = require "spec.support.redis"
local system = require "eventlog.base.system"

--- Has the system's look-up answer so, while f runs.
local function with_addresses(addresses, f)
  local look_up = system.addresses
  system.addresses = function() return addresses end
  local ok, why = pcall(f)
  system.addresses = look_up
  if not ok then error(why, 0) end
end

for _, name in ipairs(drivers.names) do
  describe("driver " .. name, function()
    local harness, server, deaf

    setup(function()
      harness = drivers.start(name)
      deaf = peers.start({}, { tcp = true, deaf = true })
      -- One port: on 127.0.0.1 a peer that answers nothing, on 127.0.0.2 a server.
      server = redis.start {
        config = "--bind 127.0.0.2 --protected-mode no --port " .. deaf.port,
      }
    end)

    teardown(function()
      deaf:stop()
      server:stop()
      harness.stop()
    end)

    --- How long an add takes, and what comes of it.
    local function add(options)
      local began, ids, err, took = system.now(), nil, nil, nil
      harness.run(function()
        options.driver = harness.driver
        local client = eventlog.connect(options)
        ids, err = eventlog.new(client, "log"):add { n = 1 }
        took = system.now() - began
        client:close()
      end)
      return ids, err, took
    end

    it("connects to the first address that answers", function()
      for _, addresses in ipairs {
        { "127.0.0.2" }, { "127.0.0.3", "127.0.0.2" }, -- nobody listens on 127.0.0.3
        { "127.0.0.1", "127.0.0.2" }, -- nobody answers on 127.0.0.1
        { "127.0.0.1", "127.0.0.3", "127.0.0.1", "127.0.0.2" },
        { "127.0.0.2", "127.0.0.1" },
      } do
        with_addresses(addresses, function()
          local ids, err = add { host = "name", port = deaf.port, connect_timeout = 5 }
          assert(ids, tostring(err))
        end)
      end
    end)

    it("says of each address why it did not connect", function()
      with_addresses({ "127.0.0.3", "127.0.0.4" }, function()
        local ids, err = add { host = "name", port = deaf.port }
        assert.is_nil(ids)
        assert.same({ "connection", "none" }, { err.kind, err.outcome })
        assert.matches("127.0.0.3: Connection refused; 127.0.0.4: Connection refused",
          err.message, 1, true)
      end)
      with_addresses({ "127.0.0.1", "127.0.0.1" }, function()
        local ids, err, took = add { host = "name", port = deaf.port, connect_timeout = 0.6 }
        assert.is_nil(ids)
        assert.matches("within 0.6 s", err.message, 1, true)
        assert(took > 0.5 and took < 3, took)
      end)
    end)

    it("waits out a backlog that is full, without spinning", function()
      local unix = core.unix
      local busy = redis.start { config = "--tcp-backlog 2" }
      finally(function() busy:stop() end)
      busy:signal("STOP")
      local crowd = {}
      local function fill() -- the backlog
        local socket
        repeat
          socket = unix(busy.path)
          crowd[#crowd + 1] = socket or nil
        until not socket
      end
      fill()
      local tries = 0
      core.unix = function(...)
        tries = tries + 1
        return unix(...)
      end
      redis.sh("(sleep 0.7; kill -CONT %d) >/dev/null 2>&1 &", busy.pid)
      local ids, err = add { path = busy.path }
      local tried = tries
      busy:signal("STOP")
      fill()
      local none, why, took = add { path = busy.path, connect_timeout = 0.4 }
      core.unix = unix
      busy:signal("CONT")
      for _, socket in ipairs(crowd) do socket:close() end
      assert(ids, tostring(err))
      assert(tried > 2 and tried < 60, tried)
      assert.is_nil(none)
      assert.same({ "connection", "none" }, { why.kind, why.outcome })
      assert.matches("within 0.4 s", why.message, 1, true)
      assert(took > 0.3 and took < 2, took)
    end)
  end)
end

describe("a program whose standard input is closed", function()
  it("has a connection of descriptor 0, and closes it", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local script = server.dir .. "/script.lua"
    local file = assert(io.open(script, "w"))
    file:write(([[
      local core, eventlog = require "eventlog.core", require "eventlog"
      local client = eventlog.connect(%q)
      assert(eventlog.new(client, "log"):add { n = 1 })
      client:close()
      local socket = assert(core.silent())
      print(socket:fd())
    ]]):format(server.url))
    file:close()
    local lua = arg and arg[-1] or "lua"
    for i = -1, -10, -1 do if arg and arg[i] then lua = arg[i] end end
    assert.equal("0", redis.sh("%s %s <&-", lua, script))
  end)
end)
