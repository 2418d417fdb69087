--- Every driver, outside of nginx: what spec/support/contract.lua says holds in
--- each, and what is a driver's own.

local redis = require "spec.support.redis"
local contract = require "spec.support.contract"
local open_descriptors = require "spec.support.descriptors"
local drivers = require "spec.support.drivers"
local helper = require "spec.support.helper"
local core = require "eventlog.core"
local eventlog = require "eventlog"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

before_each(function() server:cli("FLUSHALL") end)
after_each(function() server:signal("CONT") end)

for _, name in ipairs(drivers.names) do
  describe("driver " .. name, function()
    local features = drivers.features(name)
    local harness, env

    setup(function()
      harness = drivers.start(name)
      env = {
        eventlog = eventlog,
        target = { path = server.path, driver = harness.driver },
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
      if contract.can_run(case, features) then
        it(case.name, function()
          harness.run(function() case.run(env) end)
        end)
      end
    end

    --- Runs f(client) again and again, in three stretches of so many rounds;
    --- what the stretch that left least behind it left: kilobytes, descriptors.
    --- A leak grows in each, while what a JIT keeps of code that it has
    --- compiled comes and goes.
    local function growth(rounds, f)
      return harness.run(function()
        local client = eventlog.connect(env.target)
        local function measure()
          harness.sleep(0.01)
          for _ = 1, 3 do collectgarbage() end
          return collectgarbage("count"), open_descriptors()
        end
        f(client)
        local least, least_descriptors = math.huge, math.huge
        for _ = 1, 3 do
          local memory, descriptors = measure()
          for _ = 1, rounds do f(client) end
          local memory_now, descriptors_now = measure()
          least = math.min(least, memory_now - memory)
          least_descriptors = math.min(least_descriptors, descriptors_now - descriptors)
        end
        client:close()
        return least, least_descriptors
      end)
    end

    it("keeps nothing of 6,000 adds and reads", function()
      local memory, descriptors = growth(2, function(client)
        local log = eventlog.new(client, "flat", { max_length = 10 })
        for n = 1, 500 do
          assert(log:add({ n = n }))
          assert(log:tail_n(1))
        end
      end)
      assert.is_true(memory < 48, memory .. " KB more")
      assert.is_true(descriptors <= 0, descriptors .. " descriptors more")
    end)

    it("keeps nothing of 2,100 followers opened and closed", function()
      local memory, descriptors = growth(14, function(client)
        local log = eventlog.new(client, "flat")
        local followers, tasks = {}, {}
        for i = 1, 50 do
          followers[i] = log:tail_and_follow()
          assert(followers[i]:next())
          -- Each is closed while it waits, where somebody else can do so.
          tasks[i] = harness.spawn and
            harness.spawn(function() return followers[i]:next() end)
        end
        harness.sleep(0.001)
        for i = 1, 50 do
          followers[i]:close()
          if tasks[i] then
            local batch, err = harness.join(tasks[i])
            assert.is_nil(batch)
            assert.equal("closed", err.kind)
          end
        end
      end)
      assert.is_true(memory < 48, memory .. " KB more")
      assert.is_true(descriptors <= 0, descriptors .. " descriptors more")
    end)

    if name ~= "blocking" and name ~= "function" and name ~= "cqueues" then
      it("raises outside of a coroutine, and next(0) needs none", function()
        local client = eventlog.connect(env.target)
        local log = eventlog.new(client, "outside")
        server:signal("STOP") -- so that the answer has to be waited for
        local ok, why = pcall(log.length, log)
        server:signal("CONT")
        assert.is_false(ok)
        assert.matches("waits in coroutines only", why, 1, true)
        local follower = log:tail_and_follow()
        local give_up = core.now() + 10
        local batch, err
        repeat batch, err = follower:next(0) until batch or core.now() > give_up
        assert.same({ caught_up = true }, batch, tostring(err))
        client:close()
      end)
    end

    if name == "luv" then
      --- What a program prints, and its status, that waits in its first coroutine,
      --- after this code.
      local function first_coroutine(before)
        return helper.spawn([[
          local eventlog = require "eventlog"
          local path = ...
          coroutine.wrap(function()
            ]] .. before .. [[
            local log = eventlog.new({ path = path, driver = "luv" }, "loaded")
            local follower = log:tail_and_follow()
            assert(follower:next())
            collectgarbage()
            collectgarbage()
            local batch, err = follower:next(0.05)
            print(batch, err.kind, #assert(log:add({ n = 1 })))
          end)()
          require "luv".run()]], server.path):finish()
      end

      it("wakes a coroutine that is the first to use luv", function()
        local output, status = first_coroutine("")
        assert.same({ "nil\ttimeout\t1\n", 0 }, { output, status })
      end)

      it("works, or is heard, if that coroutine itself has loaded luv", function()
        local output, status = first_coroutine('require "luv"\n')
        if status == 0 then
          assert.equal("nil\ttimeout\t1\n", output)
        else
          assert.matches('require "luv" in the main thread', output, 1, true)
        end
      end)

      it("reports a coroutine that is in no state to be woken", function()
        local output, status = helper.spawn([[
          local eventlog, uv = require "eventlog", require "luv"
          local path = ...
          local log = eventlog.new({ path = path, driver = "luv" }, "nested")
          local me = coroutine.create(function()
            local follower = log:tail_and_follow()
            assert(follower:next())
            for _ = 1, 2 do assert(not follower:next(0.05)) end
          end)
          assert(coroutine.resume(me))
          -- It is woken from within itself: by a loop that it runs.
          coroutine.yield = function()
            coroutine.wrap(function() uv.run() end)()
          end
          uv.run()]], server.path):finish()
        assert.is_true(status ~= 0, output)
        assert.matches("cannot wake a coroutine that is normal", output, 1, true)
      end)
    end

    if name == "cqueues" then
      it("blocks where no controller runs", function()
        local client = eventlog.connect(env.target)
        local log = eventlog.new(client, "outside")
        assert(log:add({ n = 1 }))
        local follower = log:tail_and_follow()
        assert.equal(1, #assert(follower:next()))
        local batch, err = follower:next(0.02)
        assert.is_nil(batch)
        assert.equal("timeout", err.kind)
        client:close()
      end)

      it("can drop a controller whose coroutines wait", function()
        local cqueues = require "cqueues"
        local client = eventlog.connect(env.target)
        local log = eventlog.new(client, "dropped")
        for _ = 1, 20 do
          local cq = cqueues.new()
          local waiting = 0
          for _ = 1, 10 do
            cq:wrap(function()
              local follower = log:tail_and_follow()
              assert(follower:next())
              waiting = waiting + 1
              follower:next()
            end)
          end
          while waiting < 10 do assert(cq:step(1)) end
          assert(log:add({ n = 1 }))
          cq = nil -- luacheck: ignore 311
          collectgarbage()
          collectgarbage()
        end
        assert.equal(20, log:length())
        client:close()
        assert.is_true(helper.eventually(function()
          return server:cli("INFO", "clients"):find("blocked_clients:0", 1, true) ~= nil
        end))
      end)
    end

    if name:find("copas", 1, true) then
      it("refuses descriptors that select() cannot see", function()
        local socket = require "socket"
        local saved = socket._SETSIZE
        socket._SETSIZE = open_descriptors() + 20
        package.loaded["eventlog.driver.copas"] = nil
        local files, ids, err = {}, nil, nil
        harness.run(function()
          local client = eventlog.connect(env.target)
          local log = eventlog.new(client, "many")
          assert(log:add({ n = 1 }))
          for i = 1, 40 do files[i] = assert(io.open("/dev/null")) end
          ids = log:add({ n = 2 }) -- on the connection from before
          local follower = log:tail_and_follow() -- and so is this one
          assert(follower:next())
          local batch
          batch, err = log:tail_and_follow():next()
          assert.is_nil(batch)
          client:close()
        end)
        for _, file in ipairs(files) do file:close() end
        socket._SETSIZE = saved
        package.loaded["eventlog.driver.copas"] = nil
        assert.equal("unsupported", err.kind)
        assert.matches("cannot see the descriptor", err.message, 1, true)
        assert.equal(1, #ids)
      end)
    end
  end)
end

describe("a for loop in a coroutine that must wait", function()
  it("does, or says what to write instead", function()
    local client = eventlog.connect { path = server.path, driver = function()
      coroutine.yield()
      return true
    end }
    local log = eventlog.new(client, "any")
    local batches = 0
    local thread = coroutine.create(function()
      for batch in log:tail_and_follow() do
        batches = batches + 1
        if batch.caught_up then break end
      end
    end)
    local line = debug.getinfo(1, "l").currentline - 5
    server:signal("STOP") -- so that it must
    local ok, err = coroutine.resume(thread)
    server:signal("CONT")
    while ok and coroutine.status(thread) ~= "dead" do ok, err = coroutine.resume(thread) end
    client:close()
    if helper.yields_anywhere then
      assert.same({ true, 1 }, { ok, batches })
    else
      assert.matches(("driver_spec.lua:%d: eventlog: Lua 5.1 cannot wait inside a for loop " ..
        "in a coroutine: call follower:next()"):format(line), err, 1, true)
    end
  end)
end)

describe("a scheduler that is not installed", function()
  for _, name in ipairs({ "cqueues", "copas", "luv" }) do
    it(name .. ": every connection says so", function()
      local driver = "eventlog.driver." .. name
      local saved = { package.loaded[name], package.loaded[driver],
        package.preload[name] }
      package.loaded[name], package.loaded[driver] = nil, nil
      package.preload[name] = function()
        error("module '" .. name .. "' not found:\n\tno such file", 0)
      end
      local client = eventlog.connect({ path = server.path, driver = name })
      package.loaded[name], package.loaded[driver], package.preload[name] =
        saved[1], saved[2], saved[3]
      local log = eventlog.new(client, "any")
      for _, call in ipairs({
        function() return log:add({ n = 1 }) end,
        function() return log:tail() end,
        function() return log:tail_and_follow():next() end,
      }) do
        local result, err = call()
        assert.is_nil(result)
        assert.equal("unsupported", err.kind)
        assert.matches(name, err.message, 1, true)
        assert.matches("module '" .. name .. "' not found: install it for " .. _VERSION,
          err.message, 1, true)
        assert.is_nil(err.message:find("\n", 1, true))
      end
      client:close()
    end)
  end
end)
