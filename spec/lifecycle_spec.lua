--- What a process and a library owe each other: signals, memory, descriptors,
--- garbage.

local drivers = require "spec.support.drivers"
local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"

local names = 0

local function new_name()
  names = names + 1
  return "lifecycle_" .. names
end

local function fails(kind, result, err)
  assert.is_nil(result)
  assert.equal(kind, type(err) == "table" and err.kind or err)
  return err
end

describe("a signal", function()
  local server

  before_each(function() server = redis.start() end)
  after_each(function() server:stop() end)

  --- Waits until a process waits.
  local function until_asleep(process)
    assert.is_true(helper.eventually(function()
      local status = io.open("/proc/" .. process.pid .. "/status")
      local state = status and status:read("*a"):match("State:%s*(%a)")
      if status then status:close() end
      return state == "S"
    end))
    redis.sh("sleep 0.1") -- so that it was no moment's sleep
  end

  --- What a program waits in, and whether the server is stopped meanwhile.
  local waits = {
    { "a follower's loop", "for _ in follower do end" },
    { "a follower's next()", "follower:next()" },
    { "a follower's next(timeout)", "follower:next(1000)" },
    { "an add", "log:add { i = 1 }", stopped = true },
    { "an add of much", "log:add { i = ('x'):rep(2 ^ 24) }", stopped = true },
    { "a read", "log:tail()", stopped = true },
  }

  for _, case in ipairs(waits) do
    it("of Ctrl-C ends a script that waits in " .. case[1], function()
      local process = helper.spawn(string.format([[
        local eventlog = require "eventlog"
        local url, pid = ...
        local log = eventlog.new({ url = url, timeout = 1000 }, "log")
        assert(log:add { i = 1 })
        local follower = log:tail_and_follow()
        assert(follower:next())
        if pid ~= "none" then os.execute("kill -STOP " .. pid) end
        print "go"
        %s
        print "it went on" ]], case[2]), server.url,
        case.stopped and server.pid or "none")
      assert.equal("go", process:line())
      until_asleep(process)
      process:signal("INT")
      local output, status = process:finish()
      assert.equal(1, status)
      assert.matches("interrupted!", output, 1, true)
      assert.not_matches("it went on", output, 1, true)
    end)
  end

  it("of Ctrl-C that is caught leaves log and follower as they were", function()
    local process = helper.spawn([[
      local eventlog = require "eventlog"
      local log = eventlog.new((...), "log", { batch_size = 2 })
      assert(log:add({ i = 1 }, { i = 2 }, { i = 3 }))
      local follower = log:tail_and_follow()
      local seen = {}
      local function take(batch)
        for _, entry in ipairs(assert(batch)) do seen[#seen + 1] = entry.fields.i end
      end
      take(follower:next())
      take(follower:next())
      print "go"
      print(pcall(follower.next, follower))
      assert(log:add({ i = 4 }, { i = 5 }, { i = 6 }))
      take(follower:next())
      take(follower:next())
      print(table.concat(seen, " ")) ]], server.url)
    assert.equal("go", process:line())
    until_asleep(process)
    process:signal("INT")
    local output, status = process:finish()
    assert.equal(0, status, output)
    assert.matches("^false%s.*interrupted!\n", output)
    assert.matches("\n1 2 3 4 5 6\n$", output)
  end)

  it("of a broken pipe kills nobody", function()
    local process = helper.spawn([[
      local eventlog = require "eventlog"
      local core = require "eventlog.core"
      local url, pid = ...
      local big = ("x"):rep(2 ^ 24)
      local asked
      local function wait(fd, mode, timeout)
        if asked and mode == "w" then
          os.execute("kill -KILL " .. pid) -- in the middle of a request
          asked = nil
        end
        return core.wait(fd, mode, timeout)
      end
      local log = eventlog.new({
        url = url, driver = wait, reconnect_timeout = 0.1,
      }, "log")
      assert(log:add { i = 1 })
      local follower = log:tail_and_follow()
      assert(follower:next())
      os.execute("kill -STOP " .. pid)
      asked = true
      local function show(result, err) print(result, err.kind, err.outcome) end
      show(log:add { i = big })
      show(log:add { i = 2 })
      show(log:tail())
      show(follower:next())
      show(log:add { i = 3 })
      log.client:close()
      show(log:add { i = 4 }) ]], server.url, server.pid)
    local output, status = process:finish()
    assert.equal(0, status, output)
    assert.equal(table.concat({
      "nil\tconnection\tnone", "nil\tconnection\tnone", "nil\tconnection\tnil",
      "nil\tconnection\tnil", "nil\tconnection\tnone", "nil\tclosed\tnone", "",
    }, "\n"), output)
  end)
end)

describe("an error out of a hook, as Ctrl-C raises it,", function()
  local server, client, log
  local entries = 7

  setup(function()
    server = redis.start()
    if rawget(_G, "jit") then jit.off() end -- a trace calls no hook
  end)

  teardown(function()
    if rawget(_G, "jit") then jit.on() end
    server:stop()
  end)

  before_each(function()
    client = eventlog.connect(server.url)
    log = eventlog.new(client, new_name(), { batch_size = 3 })
    for i = 1, entries do assert(log:add { i = i }) end
  end)

  after_each(function() client:close() end)

  --- Calls f(...) and raises in its nth step. Returns whether it did, or false
  --- and what f returned.
  local function break_off(n, f, ...)
    local broken, returned = {}, nil
    local ok, why = pcall(function(...)
      debug.sethook(function()
        debug.sethook()
        error(broken, 0)
      end, "", n)
      returned = { f(...) }
      debug.sethook()
    end, ...)
    if returned then return false, returned[1], returned[2] end
    assert.is_false(ok)
    assert.equal(broken, why)
    return true
  end

  it("may hit next() at any step: nothing is lost or comes twice", function()
    for _, method in ipairs { "tail_and_follow", "tail_n_and_follow" } do
      local n, is_broken = 0, true
      while is_broken do
        n = n + 1
        is_broken = false
        local follower = log[method](log, 5000)
        local last = 0
        while last < entries do
          local hit, batch, err = break_off(n, follower.next, follower, 20)
          if hit then
            is_broken = true
            -- In its very last steps it had handed the batch out.
            local known = follower.last_id and log:tail_from(follower.last_id)[1]
            local handed_out = known and tonumber(known.fields.i) or 0
            batch, err = follower:next(20)
            if batch and tonumber(batch[1].fields.i) > last + 1 then
              last = handed_out
            end
          end
          for _, entry in ipairs(assert(batch, tostring(err))) do
            assert.equal(last + 1, tonumber(entry.fields.i))
            last = last + 1
          end
          if hit and last == entries then fails("timeout", follower:next(0)) end
          if hit then break end -- the next n, on a follower of its own
        end
        follower:close()
      end
      assert.is_true(n > 100)
    end
  end)

  it("may hit any call at any step: the next one gets its own answer", function()
    local calls = {
      function() return log:length() end,
      function() return log:last_id() end,
      function() return log:tail_n(2) end,
      function() return log:add { i = "more" } end,
      function() return log:add({ i = "more" }, { i = "more" }) end,
    }
    for _, call in ipairs(calls) do
      local n, is_broken = 0, true
      while is_broken do
        n = n + 1
        is_broken = break_off(n, call)
        local length = assert(log:length())
        assert.equal(server:call("XLEN", log.name), length)
        local last = assert(log:tail_n(1))[1]
        assert.equal(last.id, assert(log:last_id()))
      end
      assert.is_true(n > 50)
    end
  end)
end)

describe("a process", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)

  it("follows a million entries in 16 MiB more than it had", function()
    server:call("EVAL", [[
      for i = 1, 1000000 do
        redis.call('XADD', KEYS[1], '*', 'humidity', '0123456789abcdef',
          'pressure', '0123456789abcdef', 'station', i,
          'temperature', '0123456789abcdef')
      end]], 1, "million")
    local output = helper.run([[
      local eventlog = require "eventlog"
      local function most() -- kB that were ever resident
        for line in io.lines("/proc/self/status") do
          local kb = line:match("^VmHWM:%s*(%d+)")
          if kb then return tonumber(kb) end
        end
      end
      collectgarbage()
      local before, count, sum = most(), 0, 0
      local follower = eventlog.new((...), "million"):tail_and_follow()
      repeat
        local batch = assert(follower:next())
        count = count + #batch
        for _, entry in ipairs(batch) do sum = sum + entry.fields.station end
      until batch.caught_up
      print(string.format("%d %.0f %d", count, sum, most() - before)) ]],
      server.url)
    server:call("UNLINK", "million")
    local count, sum, kb = output:match("(%d+) (%d+) (%d+)")
    assert.equal("1000000", count)
    assert.equal("500000500000", sum)
    assert.is_true(tonumber(kb) <= 16 * 1024, kb .. " kB")
  end)

  it("has no more descriptors after a thousand clients than before", function()
    local output = helper.run([[
      local eventlog = require "eventlog"
      local descriptors = require "spec.support.descriptors"
      local url, name = ...
      local function unused() end
      local uses = {
        unused,
        function(log) assert(log:add { i = 1 }) end,
        function(log) assert(log:tail_n(2)) end,
        function(log) assert(log:tail_and_follow():next()) end,
        function(log)
          local follower = log:tail_n_and_follow(0)
          assert(follower:next())
          follower:next(0)
          follower:close()
        end,
        function(log) -- broken off
          log.client.settings.timeout = 1e-9
          log:tail()
        end,
      }
      eventlog.new(url, name):length()
      collectgarbage()
      collectgarbage()
      local before = descriptors()
      for i = 1, 1000 do
        local log = eventlog.new(url, name)
        uses[i % #uses + 1](log)
        -- Some are closed, all others garbage.
        if i % 3 > 0 then log.client:close() end
        if i % 50 == 0 then collectgarbage() end
      end
      for _ = 1, 100 do -- who is refused
        assert(eventlog.new(url .. ".none", name):add { i = 1 } == nil)
        assert(eventlog.new(url .. ".none", name):tail_and_follow():next() == nil)
      end
      collectgarbage()
      collectgarbage()
      print(descriptors() - before) ]], server.url, new_name())
    assert.is_true(tonumber(output) <= 0, output .. " descriptors more")
  end)

  it("closes at once what a client holds, used or idle", function()
    local output = helper.run([[
      local eventlog = require "eventlog"
      local descriptors = require "spec.support.descriptors"
      local url, name = ...
      collectgarbage("stop")
      local before = descriptors()
      local clients = {}
      for i = 1, 20 do
        local log = eventlog.new(url, name)
        local follower = log:tail_and_follow()
        assert(follower:next())
        assert(log:add { i = i }) -- and leaves a connection idle
        clients[i] = log.client
      end
      local between = descriptors()
      for _, client in ipairs(clients) do client:close() end
      print(between - before, descriptors() - before) ]], server.url, new_name())
    local held, kept = output:match("(%-?%d+)\t(%-?%d+)")
    assert.is_true(tonumber(held) >= 40, held .. " descriptors held")
    assert.is_true(tonumber(kept) <= 0, kept .. " descriptors more")
  end)

  for _, name in ipairs(drivers.names) do
    it("without a descriptor left is told so by each call, with " .. name, function()
      local program = [[
        local url, name, first = ...
        local core = require "eventlog.core"
        local drivers = require "spec.support.drivers"
        local eventlog = require "eventlog"
        local harness = drivers.start(name)
        local target = { url = url, driver = harness.driver, pool_size = 0,
          reconnect_timeout = 0.1 }
        local calls = {
          function(log) return log:add { n = 1 } end,
          function(log) return log:add({ n = 1 }, { n = 2 }) end,
          function(log) return log:add_if("0-0", { n = 1 }) end,
          function(log) return log:tail() end,
          function(log) return log:tail_n(1) end,
          function(log) return log:length() end,
          function(log) return log:last_id() end,
          function(log) return log:delete() end,
          function(log) return log:tail_and_follow():next() end,
          function(log) return log:tail_and_follow():next(0) end,
        }
        harness.run(function()
          -- Made while there are descriptors, or none.
          local client = first == "client" and eventlog.connect(target)
          os.execute(string.format("prlimit --pid %d --nofile=100", core.pid()))
          local files = {}
          local file = io.open("/dev/null")
          while file do
            files[#files + 1] = file
            file = io.open("/dev/null")
          end
          client = client or eventlog.connect(target)
          local log = eventlog.new(client, "log")
          for i, call in ipairs(calls) do
            local result, err = call(log)
            if result ~= nil or err.kind ~= "connection" then
              error(i .. ": " .. tostring(err))
            end
          end
          for _, file in ipairs(files) do file:close() end
          assert(log:add { n = 1 })
          print "good"
        end) ]]
      for _, first in ipairs { "client", "files" } do
        assert.equal("good\n", helper.run(program, server.url, name, first))
      end
    end)
  end

  --- Each makes garbage collection meet every step.
  local collectors = {
    { "collects all the time", [[
      collectgarbage("setpause", 0)
      collectgarbage("setstepmul", 1000)]] },
    { "collects in full every few steps", [[
      if jit then jit.off() end -- a trace calls no hook
      debug.sethook(function() collectgarbage() end, "", 100)]] },
    { "collects while it waits", [[
      wait = function(...)
        collectgarbage()
        return core.wait(...)
      end]] },
    { "collects by generations", [[
      if _VERSION == "Lua 5.4" then collectgarbage("generational", 5, 10) end]] },
  }

  for _, collector in ipairs(collectors) do
    it("that " .. collector[1] .. " adds, reads and follows all the same", function()
      local output = helper.run([[
        local eventlog = require "eventlog"
        core = require "eventlog.core"
        local url, name = ...
        wait = nil
        ]] .. collector[2] .. [[

        local client = eventlog.connect { url = url, driver = wait }
        local log = eventlog.new(client, name, { batch_size = 4 })
        local lasting = eventlog.new(client, name .. "_lasting", { ttl = 100 })
        local n, seen = 0, {}
        local follower = log:tail_and_follow()
        local function add(count)
          local entries = {}
          for i = 1, count do
            n = n + 1
            entries[i] = { i = n, text = ("%d,"):format(n):rep(50) }
          end
          local ids = assert(log:add_many(entries))
          assert(#ids == count)
          assert(lasting:add { { "i", n }, { "i", n + 0.5 } })
        end
        local function check(entries, first)
          for i, entry in ipairs(entries) do
            local k = string.format("%d", first + i - 1)
            assert(entry.fields.i == k, k)
            assert(entry.fields.text == (k .. ","):rep(50))
          end
          return #entries
        end
        for round = 1, 12 do
          add(round)
          repeat
            local batch = assert(follower:next())
            seen[1] = (seen[1] or 0) + check(batch, (seen[1] or 0) + 1)
          until seen[1] == n
          assert(check(assert(log:tail()), 1) == n)
          local half = math.floor(n / 2)
          assert(check(assert(log:tail_n(half)), n - half + 1) == half)
          assert(log:last_id() == follower.last_id)
          -- Dropped in the middle.
          local dropped = log:tail_n_and_follow(n)
          assert(dropped:next())
          local co = coroutine.wrap(function()
            local other = eventlog.new({ url = url, driver = coroutine.yield }, name)
            while true do other:tail_and_follow():next() end
          end)
          co()
        end
        debug.sethook()
        print(n) ]], server.url, new_name())
      assert.equal("78\n", output)
    end)
  end
end)

describe("a client", function()
  local server

  before_each(function() server = redis.start() end)
  after_each(function() server:stop() end)

  --- Waits until so many connections of that name are open.
  local function connections_are(count, name)
    return helper.eventually(function()
      local _, found = server:call("CLIENT", "LIST"):gsub(" name=" .. name .. " ", "")
      return found == count
    end)
  end

  it("replaces, unseen, what the server closed meanwhile", function()
    local log = eventlog.new({ url = server.url, client_name = "pooled" }, "log")
    for _, call in ipairs {
      function() return log:add { i = 1 } end,
      function() return log:add({ i = 2 }, { i = 3 }) end,
      function() return log:tail() end,
      function() return log:last_id() end,
      function() return log:tail_and_follow():next(20) end,
    } do
      assert(log:length())
      server:call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      assert.is_true(connections_are(0, "pooled"))
      assert(call())
    end
    assert.equal(3, assert(log:length()))
    log.client:close()
  end)

  it("never pools what a dropped coroutine left half read", function()
    local s = scheduler.new()
    local log = eventlog.new({
      url = server.url, driver = s.wait, client_name = "dropped",
    }, "log")
    local function add(i) return assert(log:add { i = i }) end
    s:spawn(add, 1)
    s:run(20)
    server:signal("STOP")
    -- Each goes to the first coroutine's connection, or makes one, and waits.
    for _ = 1, 3 do
      local co = coroutine.create(add)
      assert(coroutine.resume(co, 2))
      assert.equal("suspended", coroutine.status(co))
    end
    server:signal("CONT")
    collectgarbage()
    collectgarbage()
    local found = s:spawn(function()
      local id = add(3)[1]
      return id, assert(log:last_id())
    end)
    s:run(20)
    assert.equal(found.results[1], found.results[2])
    assert.is_true(connections_are(1, "dropped"))
    log.client:close()
  end)

  it("tells on_event what it connected to, and what it lost", function()
    local events = {}
    local client = eventlog.connect {
      url = server.url, reconnect_timeout = 0.1, on_event = function(event)
        assert.equal("string", type(event.message))
        assert.not_matches("\n", event.message)
        events[#events + 1] = event.kind .. " " .. tostring(event.log)
      end,
    }
    local log = eventlog.new(client, "log")
    assert(log:add { i = 1 })
    assert(log:tail())
    assert.same({ "connected log" }, events)
    local follower = log:tail_and_follow()
    assert(follower:next(20))
    follower:close()
    assert(log:length())
    local losing = log:tail_and_follow()
    assert(losing:next(20))
    local connected = #events
    server:kill()
    fails("connection", losing:next())
    local kinds = {}
    for i = connected + 1, #events do kinds[events[i]] = true end
    assert.is_true(kinds["disconnected log"])
    fails("connection", log:add { i = 2 })
    client:close()
  end)
end)
