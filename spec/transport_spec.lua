--- The two kinds of transport: a descriptor that somebody waits on, and a
--- stream of bytes that somebody else moves. Logs and followers know neither.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local played_server = require "spec.support.played"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"
local byte_transport = require "eventlog.transport.byte_transport"

local names = 0

local function new_name()
  names = names + 1
  return "transport_" .. names
end

local function fails(kind, result, err)
  assert.is_nil(result)
  assert.equal(kind, type(err) == "table" and err.kind or err)
  return err
end

--- A client whose connections are streams: open() makes one.
local function stream_client(settings, open)
  local client = eventlog.connect(settings)
  played_server.drive(client, {
    open = function() return byte_transport.new(open()) end,
    slice = 0.02, -- seconds between two looks whether it was closed
  })
  return client
end

--- A stream to a real Redis on a port of this machine. Bash moves the bytes:
--- those to the server through a pipe, those from it through a file, so that
--- nothing here needs a socket library.
---
--- pause(): waits a moment. single: brings one byte at a time. hesitant: says
--- "timeout" before each piece, however long it might have waited. patience: how
--- long it might have waited last.
local Bridge = {}
Bridge.__index = Bridge

local function bridge(server, pause, how)
  return setmetatable({
    server = server, pause = pause, single = how.single,
    hesitant = how.hesitant, pieces = "", sends = 0,
  }, Bridge)
end

function Bridge:connect()
  local name = self.server.dir .. "/" .. new_name()
  assert(io.open(name, "w")):close()
  self.pipe = assert(io.popen("bash -c " .. redis.quote(string.format([[
    exec 3<>/dev/tcp/127.0.0.1/%d
    ( trap 'kill $cat' TERM; cat <&3 >%s & cat=$!; wait $!; : >%s.end ) &
    cat >&3
    cat >/dev/null
    kill $! 2>/dev/null]], self.server.port, name, name)), "w"))
  self.file = assert(io.open(name, "rb"))
  self.end_mark = name .. ".end"
  return true
end

function Bridge:send(bytes)
  self.sends = self.sends + 1
  self.pipe:write(bytes)
  self.pipe:flush()
  return true
end

local function exists(name)
  local file = io.open(name)
  return file and file:close()
end

function Bridge:receive(timeout)
  local give_up = core.now() + timeout
  self.patience = timeout
  self.waited = self.hesitant and not self.waited
  if self.waited then return nil, "timeout" end
  while self.pieces == "" do
    local at_end = exists(self.end_mark)
    self.pieces = self.file:read(65536) or ""
    if self.pieces == "" then
      if at_end then return nil, "closed" end
      if core.now() >= give_up then return nil, "timeout" end
      self.pause()
    end
  end
  local piece = self.single and self.pieces:sub(1, 1) or self.pieces
  self.pieces = self.pieces:sub(#piece + 1)
  return piece
end

function Bridge:close()
  self.pipe:close()
  self.file:close()
end

--- A stream that plays a server of which we know what it says: `says`, in
--- pieces, and then nothing. Where a piece is "timeout" or "closed", that comes
--- instead. says.connect: why it does not connect; says.send: why not send.
local function played(says)
  local stream = { sent = {}, closed = false }
  local at = 0
  local function silence(timeout)
    core.wait(-1, "r", timeout)
    return nil, "timeout"
  end
  function stream.connect(_, timeout)
    if says.connect == "timeout" then return silence(timeout) end
    return not says.connect, says.connect
  end
  function stream.send(_, bytes)
    if says.send then return nil, says.send end
    stream.sent[#stream.sent + 1] = bytes
    return true
  end
  function stream.receive(_, timeout)
    local piece = #stream.sent > 0 and says[at + 1]
    if not piece then return silence(timeout) end
    at = at + 1
    if piece == "timeout" or piece == "closed" then return nil, piece end
    return piece
  end
  function stream.sleep() end
  function stream.close() stream.closed = true end
  return stream
end

--- A log on played streams, and a list of them.
local function played_log(says, settings)
  local streams = {}
  settings = settings or {}
  settings.timeout = settings.timeout or 0.05
  local client = stream_client(settings, function()
    streams[#streams + 1] = played(says)
    return streams[#streams]
  end)
  return eventlog.new(client, "played"), streams
end

--- RESP: bulk strings, integers and arrays of them; raw text stays.
local function resp(value)
  if type(value) == "string" then
    return string.format("$%d\r\n%s\r\n", #value, value)
  end
  if type(value) == "number" then return string.format(":%d\r\n", value) end
  local all = { string.format("*%d\r\n", #value) }
  for i, item in ipairs(value) do all[i + 1] = resp(item) end
  return table.concat(all)
end

describe("a log works over", function()
  local server

  setup(function() server = redis.start { tcp = true } end)
  teardown(function() server:stop() end)

  local function sleep() core.wait(-1, "r", 0.001) end

  local function with_wait(wait)
    return function(body)
      body(eventlog.connect { url = server.url, driver = wait })
    end
  end

  local function with_stream(how)
    return function(body)
      body(stream_client(server.url, function()
        return bridge(server, sleep, how)
      end))
    end
  end

  --- Each a name, and a function that runs body(client).
  local kinds = {
    { "a descriptor, with poll()", with_wait(nil) },
    { "a descriptor, with a wait function", with_wait(core.wait) },
    { "a wait function that returns early, and nothing", with_wait(
      function(fd, mode) core.wait(fd, mode, 0.0002) end) },
    { "a wait function that never waits, and says ready", with_wait(
      function() return true end) },
    { "a wait function that suspends", function(body)
      local s = scheduler.new()
      s:spawn(body, eventlog.connect { url = server.url, driver = s.wait })
      s:run(60)
    end },
    { "a stream of bytes", with_stream {} },
    { "a stream of single bytes", with_stream { single = true } },
    { "a stream that times out before each byte",
      with_stream { single = true, hesitant = true } },
    { "a stream that suspends", function(body)
      local s = scheduler.new()
      local client = stream_client(server.url, function()
        return bridge(server, function() s:sleep(0.001) end, {})
      end)
      s:spawn(body, client)
      s:run(60)
    end },
  }

  --- A bit of everything, on one coroutine.
  local function work(client)
    local log = eventlog.new(client, new_name(), { batch_size = 2 })
    local lasting = eventlog.new(client, new_name(), { ttl = 100 })
    local big = ("\0\r\n$9"):rep(1000)
    local ids = {}
    for i, add in ipairs {
      function() return log:add { i = 1 } end,
      function() return log:add({ i = 2 }, { i = 3, big = big }) end,
      function() return log:add_many { { i = 4 }, { i = 5 } } end,
      function() return lasting:add { i = "l" } end,
      function() return lasting:add({ i = "m" }, { i = "n" }) end,
    } do
      for _, id in ipairs(assert(add())) do
        if i <= 3 then ids[#ids + 1] = id end
      end
    end
    assert.equal(3, #assert(lasting:tail()))
    assert.equal(ids[5], assert(log:last_id()))
    assert.equal(5, assert(log:length()))
    local tail = assert(log:tail())
    for i, entry in ipairs(tail) do
      assert.equal(ids[i], entry.id)
      assert.same({ i = tostring(i), big = i == 3 and big or nil }, entry.fields)
    end
    assert.equal(5, #tail)
    assert.same({ tail[4], tail[5] }, log:tail_n(2))
    assert.same({ tail[3], tail[4], tail[5] }, log:tail_from(ids[3]))
    assert.same({ tail[5] }, log:tail_after(ids[4]))

    local follower = log:tail_n_and_follow(3)
    assert.same({ tail[3], tail[4] }, assert(follower:next(20)))
    assert.same({ tail[5], caught_up = true }, assert(follower:next(20)))
    fails("timeout", follower:next(0))
    fails("timeout", follower:next(0.01))
    local six = assert(log:add { i = 6 })
    local batch = assert(follower:next(20))
    assert.same({ { id = six[1], fields = { i = "6" } }, caught_up = true }, batch)
    follower:close()
    fails("closed", follower:next())

    assert(log:delete())
    server:call("SET", log.name, "a string")
    assert.equal("WRONGTYPE", fails("server", log:add { i = 1 }).code)
    assert.equal("WRONGTYPE", fails("server", log:add({ i = 1 }, { i = 2 })).code)
    assert.equal("WRONGTYPE", fails("server", log:tail()).code)
    fails("server", log:tail_and_follow():next())
    assert(lasting:delete())
    client:close()
    fails("closed", log:add { i = 1 })
  end

  for _, kind in ipairs(kinds) do
    it(kind[1], function()
      local done = false
      kind[2](function(client)
        work(client)
        done = true
      end)
      assert.is_true(done)
    end)
  end

  it("a stream, many coroutines at a time", function()
    local s = scheduler.new()
    local client = stream_client(server.url, function()
      return bridge(server, function() s:sleep(0.001) end, {})
    end)
    local log = eventlog.new(client, new_name(), { batch_size = 3 })
    local followers = {}
    for i = 1, 4 do
      followers[i] = s:spawn(function()
        local follower, seen = log:tail_and_follow(), {}
        repeat
          for _, entry in ipairs(assert(follower:next(20))) do
            seen[#seen + 1] = entry.id
          end
        until #seen >= 20
        follower:close()
        return seen
      end)
    end
    for _ = 1, 4 do
      s:spawn(function()
        for n = 1, 5 do assert(log:add { n = n }) end
      end)
    end
    s:run(60)
    local expected = {}
    local reader = eventlog.new(server.url, log.name)
    for i, entry in ipairs(reader:tail()) do expected[i] = entry.id end
    for _, task in ipairs(followers) do assert.same(expected, task.results[1]) end
    client:close()
  end)

  it("a stream whose follower another coroutine closes", function()
    local s = scheduler.new()
    for _, who in ipairs { "follower", "client" } do
      local pauses, first, stream = 0, nil, nil
      local client = stream_client(server.url, function()
        stream = bridge(server, function()
          pauses = pauses + 1
          s:sleep(0.001)
        end, {})
        return stream
      end)
      local follower = eventlog.new(client, new_name()):tail_and_follow()
      local waiter = s:spawn(function()
        first = assert(follower:next(20))
        pauses = 0
        return follower:next()
      end)
      s:spawn(function()
        repeat s:sleep(0.002) until first and pauses > 2
        if who == "follower" then follower:close() else client:close() end
      end)
      s:run(30)
      fails("closed", waiter.results[1], waiter.results[2])
      assert.is_true(stream.patience <= client.driver.slice) -- it looks around
      client:close()
    end
  end)
end)

describe("a stream", function()
  local id = "5-0"
  local entry = { id, { "i", "1" } }

  it("may pause while it logs in, and at each byte of a reply", function()
    local says, all = {}, table.concat {
      "+OK\r\n", "+OK\r\n", -- AUTH, SELECT
      -- Where the log stands.
      resp { "6-0", "5-0", "6-0", "2", "2", "0-0", "0" },
      -- Each page, and the probe behind it.
      resp { { "played", { entry, { "6-0", { "i", "2" } } } } },
      resp { "6-0", "5-0", "6-0", "2", "2", "0-0", "0" },
      resp { { "played", { { "7-0", { "i", "3", "i", "4" } } } } },
      resp { "7-0", "5-0", "7-0", "3", "3", "0-0", "0" },
    }
    for byte in all:gmatch(".") do
      says[#says + 1] = "timeout"
      says[#says + 1] = byte
    end
    local log = played_log(says, { password = "p", db = 2, timeout = 60 })
    local follower, timeouts, seen = log:tail_and_follow(), 0, {}
    while #seen < 3 do
      local batch, err = follower:next(0)
      if batch then
        for _, e in ipairs(batch) do seen[#seen + 1] = e.id .. e.fields.i end
      else
        fails("timeout", batch, err)
        timeouts = timeouts + 1
      end
    end
    assert.same({ "5-01", "6-02", "7-04" }, seen)
    assert.equal(#all, timeouts)
  end)

  it("sends an add in one piece", function()
    local log, streams = played_log { resp(id), "+OK\r\n+QUEUED\r\n", "+QUEUED\r\n",
      "+QUEUED\r\n", resp { "6-0", "7-0", "ok" } }
    log.client.topology.abilities.has_multi = true -- it has met it
    assert.same({ id }, log:add { i = 1 })
    assert.same({ "6-0", "7-0" }, log:add({ i = 2 }, { i = 3 }))
    assert.equal(1, #streams)
    assert.equal(2, #streams[1].sent)
    assert.equal("*5\r\n$4\r\nXADD\r\n$6\r\nplayed\r\n$1\r\n*\r\n$1\r\ni\r\n$1\r\n1\r\n",
      streams[1].sent[1])
  end)

  --- What it says, and what a call on the log makes of it.
  local cases = {
    { "is refused", { connect = "refused" }, "connection", outcome = "none" },
    { "does not connect", { connect = "timeout" }, "connection", outcome = "none" },
    { "cannot send", { send = "broken" }, "connection", outcome = "none" },
    { "is silent", {}, "connection", outcome = "unknown" },
    { "closes", { "closed" }, "connection", outcome = "unknown" },
    { "closes in a reply", { "$3\r\n5-", "closed" }, "connection",
      outcome = "unknown" },
    { "stalls in a reply", { "$3\r\n5-" }, "connection", outcome = "unknown" },
    { "speaks no Redis", { "HTTP/1.1 400 Bad Request\r\n" }, "protocol",
      outcome = "unknown" },
    { "answers something else", { ":1\r\n" }, "protocol", outcome = "unknown" },
    { "answers an error", { "-OOM no memory\r\n" }, "server", outcome = "none" },
  }
  for _, case in ipairs(cases) do
    it("that " .. case[1] .. " gives an error of kind " .. case[3], function()
      local settings = { connect_timeout = 0.05 }
      local log, streams = played_log(case[2], settings)
      local err = fails(case[3], log:add { i = 1 })
      assert.equal(case.outcome, err.outcome)
      assert.not_matches("\n", tostring(err))
      assert.equal(case[3] ~= "server", streams[1].closed) -- pooled, or not
      log.client:close()
      assert.is_true(streams[1].closed)

      log = played_log(case[2], settings)
      fails(case[3], log:tail())
      log, streams = played_log(case[2], settings)
      local follower = log:tail_and_follow()
      err = fails(case[3], follower:next())
      assert.equal(err, select(2, follower:next(0)))
      log.client:close()
      assert.is_true(streams[1].closed)
    end)
  end

  it("is not pooled with bytes that nobody asked for", function()
    local log, streams = played_log { resp(id) .. resp("6-0") }
    assert.same({ id }, log:add { i = 1 })
    assert.is_true(streams[1].closed)
    assert.same({ id }, log:add { i = 1 })
    assert.equal(2, #streams)
  end)
end)

describe("a wait function", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)

  --- How many connections of this name the server has, once they are so many.
  local function connections_are(count, name)
    return helper.eventually(function()
      local _, found = server:call("CLIENT", "LIST"):gsub(" name=" .. name .. " ", "")
      return found == count
    end)
  end

  it("is asked for a descriptor, a mode and seconds", function()
    local modes = {}
    local log
    log = eventlog.new({ url = server.url, timeout = 7, driver =
      function(fd, mode, timeout)
        assert(fd % 1 == 0 and fd > 2)
        assert(mode == "r" or mode == "w")
        assert(type(timeout) == "number" and timeout > 0 and timeout <= 7 + 5)
        if mode == "w" and not modes.w then server:signal("CONT") end
        modes[mode] = true
        return core.wait(fd, mode, timeout)
      end }, new_name())
    assert(log:add { i = 1 })
    server:signal("STOP") -- so that it takes in less than we send
    assert(log:add { i = ("x"):rep(2 ^ 24) })
    local follower = log:tail_and_follow()
    assert(follower:next(20))
    fails("timeout", follower:next(0.01))
    assert.same({ r = true, w = true }, modes)
    log.client:close()
  end)

  it("is not called by next(0)", function()
    local waits = 0
    local log = eventlog.new({ url = server.url, driver = function(...)
      waits = waits + 1
      return core.wait(...)
    end }, new_name())
    local follower = log:tail_and_follow()
    repeat until follower:next(0)
    fails("timeout", follower:next(0))
    assert.equal(0, waits)
    log.client:close()
  end)

  it("that never says ready gets an error of kind connection in the end", function()
    local stopped = redis.start()
    finally(function() stopped:stop() end)
    local log = eventlog.new({ url = stopped.url, timeout = 0.05, driver =
      function() return false end }, "stalled")
    stopped:signal("STOP")
    assert.equal("unknown", fails("connection", log:add { i = 1 }).outcome)
    fails("connection", log:tail())
    fails("connection", log:tail_and_follow():next())
  end)

  describe("that raises", function()
    local log, raising, broken

    before_each(function()
      broken = setmetatable({}, { __tostring = function() return "broken" end })
      raising = false
      local name = new_name()
      log = eventlog.new({
        url = server.url, client_name = name,
        driver = function(fd, mode, timeout)
          if raising then error(broken, 0) end
          return core.wait(fd, mode, timeout)
        end,
      }, name)
    end)

    after_each(function() log.client:close() end)

    --- Calls f with the server paused, so that it has to wait, and raises.
    local function raises(f, ...)
      raising = true
      server:signal("STOP")
      local ok, why = pcall(f, ...)
      server:signal("CONT")
      raising = false
      assert.is_false(ok)
      assert.equal(broken, why)
    end

    it("breaks calls off; their connections are not used again", function()
      assert(log:length()) -- so that it is connected
      local wrong = {}
      for _, call in ipairs {
        function() log:add { i = "lone" } end,
        function() log:add({ i = "unit" }, { i = "unit" }) end,
        function() log:tail() end,
        function() log:last_id() end,
      } do
        raises(call)
        local length, err = log:length()
        if type(length) ~= "number" then wrong[#wrong + 1] = tostring(err) end
      end
      assert.same({}, wrong)
      local seen = {}
      for i, entry in ipairs(log:tail()) do seen[i] = entry.fields.i end
      assert.same({ "lone", "unit", "unit" }, seen) -- the server had them
      collectgarbage()
      collectgarbage()
      assert.is_true(connections_are(1, log.name))
    end)

    it("breaks next() off; the follower goes on, nothing lost or twice", function()
      assert(log:add({ i = 1 }, { i = 2 }, { i = 3 }))
      local follower = eventlog.new(log.client, log.name, { batch_size = 2 })
        :tail_and_follow()
      local seen = {}
      local function read()
        for _, entry in ipairs(assert(follower:next(20))) do
          seen[#seen + 1] = entry.fields.i
        end
      end
      raises(follower.next, follower)
      read()
      read()
      raises(follower.next, follower)
      assert(log:add({ i = 4 }, { i = 5 }))
      read()
      assert.equal("1 2 3 4 5", table.concat(seen, " "))
      fails("timeout", follower:next(0.01))
    end)

    it("breaks next() off; another coroutine goes on where that one died", function()
      local follower = log:tail_and_follow()
      local died = coroutine.create(function() follower:next(20) end)
      raises(function()
        local ok, why = coroutine.resume(died)
        if not ok then error(why, 0) end
      end)
      assert(log:add { i = 1 })
      assert.equal("1", assert(follower:next(20))[1].fields.i)
    end)
  end)

  it("may close what it waits for", function()
    for _, who in ipairs { "follower", "client" } do
      local log, follower
      local waits = 0
      log = eventlog.new({ url = server.url, driver = function(fd, mode, timeout)
        waits = waits + 1
        if follower and follower.client then
          if who == "follower" then follower:close() else log.client:close() end
          return true
        end
        return core.wait(fd, mode, timeout)
      end }, new_name())
      assert(log:add { i = 1 })
      waits = 0
      follower = log:tail_n_and_follow(0)
      server:signal("STOP")
      fails("closed", follower:next())
      server:signal("CONT")
      fails("closed", follower:next(0))
      assert.is_true(waits > 0)
    end
  end)
end)
