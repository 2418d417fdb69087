--- Garbage collection at every moment: a full one every few instructions, in
--- coroutines of every driver, too; and at the end, when a state is closed with
--- everything still under way. What lifecycle_spec.lua collects is the plain
--- operations; here are those that retry, count and come back.

local drivers = require "spec.support.drivers"
local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

-- What each program begins with: collected(f), which does f() with a full
-- collection every so many instructions, and says of what failed in __gc.
local COLLECTED = [[
  local eventlog = require "eventlog"
  local core = require "eventlog.core"
  if jit then jit.off() end -- a trace calls no hook
  if warn then warn "@on" end
  local collections = 0
  local function collected(every, f)
    debug.sethook(function()
      collections = collections + 1
      collectgarbage()
    end, "", every)
    f()
    debug.sethook()
  end
  local function command(path, ...) -- on a connection of its own
    local socket, request, decoder = assert(core.unix(path)), core.request(), core.decoder()
    request:command(...)
    assert(socket:send(request))
    local kind
    repeat
      core.wait(socket:fd(), "r")
      kind = socket:reply(decoder)
      assert(kind ~= nil)
    until type(kind) == "string"
    socket:close()
  end
]]

describe("a full collection every few instructions", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:call("FLUSHALL") end)

  -- Different ones meet different moments.
  for _, every in ipairs { 5, 7, 11, 13 } do
    it("leaves adds that are retried, conditional or lasting right, " .. every, function()
      local output = helper.run(COLLECTED .. [[
        local url, every = ...
        local client = eventlog.connect { url = url }
        local once = eventlog.new(client, "once", { idempotent = true, ttl = 100 })
        local lasting = eventlog.new(client, "lasting", { ttl = 100, max_length = 50 })
        local killer = eventlog.new(url, "killer")
        collected(tonumber(every), function()
          local last = assert(once:last_id())
          for i = 1, 6 do
            local ids = assert(once:add({ i = i }, { { "i", i + 0.5 } }))
            local none, err = once:add_if(last, { i = "never" })
            assert(none == nil and err.kind == "conflict" and err.last_id == ids[2])
            last = assert(once:add_if(ids[2], { i = i + 0.75 }))[1]
            assert(#assert(lasting:add({ i = i }, { i = ("x"):rep(i) })) == 2)
            assert(lasting:add { i = i })
            assert(killer:length() == 0)
          end
        end)
        assert(collections > 500, collections)
        local seen = {}
        for i, entry in ipairs(assert(once:tail())) do seen[i] = entry.fields.i end
        print(table.concat(seen, " "), assert(lasting:length())) ]], server.url, every)
      local expected = {}
      for i = 1, 6 do expected[i] = string.format("%d %d.5 %d.75", i, i, i) end
      assert.equal(table.concat(expected, " ") .. "\t18\n", output)
    end)

    it("leaves a follower right over gaps, resets and lost connections, " .. every, function()
      local output = helper.run(COLLECTED .. [[
        local url, path, every = ...
        local log = eventlog.new(url, "log", { batch_size = 3 })
        local seen = {}
        local follower
        local function read(count)
          local got = 0
          while got < count do
            local batch = assert(follower:next(60))
            if batch.gap then seen[#seen + 1] = "gap" end
            if batch.reset then seen[#seen + 1] = batch.reset end
            for _, entry in ipairs(batch) do
              got = got + 1
              seen[#seen + 1] = entry.fields.i
            end
          end
        end
        collected(tonumber(every), function()
          follower = log:tail_and_follow()
          assert(log:add({ i = 1 }, { i = 2 }, { i = 3 }, { i = 4 }))
          read(4)
          command(path, "CLIENT", "KILL", "TYPE", "normal") -- all but the one that asks
          assert(log:add { i = 5 })
          read(1)
          assert(log:add({ i = 6 }, { i = 7 }, { i = 8 }))
          command(path, "XTRIM", "log", "MAXLEN", "1")
          read(1)
          command(path, "DEL", "log")
          assert(log:add { i = 9 })
          read(1)
          assert(select(2, follower:next(0)).kind == "timeout")
          follower:close()
          for batch in log:tail_n_and_follow(1) do
            seen[#seen + 1] = batch[1].fields.i
            break
          end
        end)
        assert(collections > 500, collections)
        print(table.concat(seen, " ")) ]], server.url, server.path, every)
      assert.equal("1 2 3 4 5 gap 8 recreated 9 9\n", output)
    end)
  end

  for _, name in ipairs(drivers.names) do
    it("leaves coroutines right that add and follow with the driver " .. name, function()
      local output = helper.run(COLLECTED .. [[
        local drivers = require "spec.support.drivers"
        local url, name = ...
        local harness = drivers.start(name)
        local concurrent = harness.concurrent
        local log = eventlog.new({ url = url, driver = harness.driver }, "log",
          { batch_size = 4 })
        local EVERY, ADDS = 31, 6

        local function add(writer)
          for i = 1, ADDS do assert(log:add { i = writer .. "." .. i }) end
        end

        local function follow()
          local follower, seen = log:tail_and_follow(), {}
          while #seen < 3 * ADDS do
            for _, entry in ipairs(assert(follower:next(60))) do
              seen[#seen + 1] = entry.fields.i
            end
          end
          follower:close()
          return table.concat(seen, " ")
        end

        local function stressed(f)
          return function(...)
            local argument, result = ..., nil
            collected(EVERY, function() result = f(argument) end)
            return result
          end
        end

        harness.run(function()
          local readers, writers, followed = {}, {}, {}
          if concurrent then
            for i = 1, 3 do readers[i] = harness.spawn(stressed(follow)) end
            for i = 1, 3 do writers[i] = harness.spawn(stressed(add), i) end
            for _, task in ipairs(writers) do harness.join(task) end
            for i, task in ipairs(readers) do followed[i] = harness.join(task) end
          else
            for i = 1, 3 do stressed(add)(i) end
            for i = 1, 3 do followed[i] = stressed(follow)() end
          end
          local held = {}
          for i, entry in ipairs(assert(log:tail())) do held[i] = entry.fields.i end
          held = table.concat(held, " ")
          for i = 1, 3 do assert(followed[i] == held, followed[i]) end
          assert(collections > 100, collections)
          print(select(2, held:gsub("%S+", "")))
        end)
        log.client:close()
        harness.stop() ]], server.url, name)
      assert.equal("18\n", output)
    end)
  end
end)

describe("a state that is closed", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)

  -- Lua 5.4 tells of what fails in __gc; others only crash. The objects are held,
  -- so that all go at once, and are made in one order and in the other.
  it("closes all that is under way, without a word", function()
    for _, order in ipairs { "first", "last" } do
      local output = helper.run(COLLECTED .. [[
        local url, order = ...
        held = {}
        local function hold(...)
          for i = 1, select("#", ...) do held[#held + 1] = (select(i, ...)) end
        end
        local client = eventlog.connect { url = url, driver = function(fd, mode, timeout)
          if coroutine.isyieldable and not coroutine.isyieldable() then
            return core.wait(fd, mode, timeout)
          end
          local _, is_main = coroutine.running()
          if is_main or coroutine.running() == nil then return core.wait(fd, mode, timeout) end
          return coroutine.yield(fd, mode, timeout)
        end }
        local log = eventlog.new(client, "log", { idempotent = true })
        if order == "first" then hold(client, log) end
        hold(core.timer(), core.silent(), core.request(), core.decoder())
        assert(log:add { i = 1 })
        local waiting = log:tail_and_follow()
        assert(waiting:next(60))
        assert(select(2, waiting:next(0)).kind == "timeout") -- and an XREAD under way
        local new = log:tail_and_follow()
        local ended = log:tail_and_follow()
        ended:close()
        for _, work in ipairs {
          function() log:tail_and_follow():next() end, function() log:tail() end,
          function() log:add { i = 2 } end, function() log:last_id() end,
        } do
          local co = coroutine.create(work)
          assert(coroutine.resume(co))
          hold(co)
        end
        hold(waiting, new, ended)
        if order == "last" then hold(log, client) end
        print(#held) ]], server.url, order)
      assert.equal("13\n", output)
    end
  end)
end)
