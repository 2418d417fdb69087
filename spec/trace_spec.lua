--- EVENTLOG_TRACE=1, in processes of their own: what they write, beside what the
--- program itself says.

local byte_transport = require "eventlog.transport.byte_transport"
local core = require "eventlog.core"
local nginx = require "spec.support.nginx"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local redis = require "spec.support.redis"

local ON = { env = "EVENTLOG_TRACE=1" }

-- Time of day, seconds since the line before, connection, mark, what happens.
local LINE = "^%d%d:%d%d:%d%d%.%d%d%d%d%d%d %+%d+%.%d%d%d%d%d%d ([f#]%S+) ([><.!]) (.+)$"

--- Runs a program; what it wrote itself, and the traced lines as { connection, mark,
--- what }.
local function run(options, program, ...)
  local said, traced = {}, {}
  for line in (process.start(program, options, ...):wait() .. "\n"):gmatch("(.-)\n") do
    local connection, mark, what = line:match(LINE)
    if mark then
      traced[#traced + 1] = { connection, mark, what }
    else
      said[#said + 1] = line
    end
  end
  return table.concat(said, "\n"), traced
end

--- The lines of a mark, as one text.
local function lines_of(traced, mark)
  local list = {}
  for _, line in ipairs(traced) do
    if line[2] == mark then list[#list + 1] = line[3] end
  end
  return table.concat(list, "\n")
end

describe("EVENTLOG_TRACE", function()
  local server

  setup(function() server = redis.start { config = "--requirepass s3cret" } end)
  teardown(function() server:stop() end)

  local function url(password)
    return (server.url:gsub("://", "://:" .. password .. "@"))
  end

  local PROGRAM = [[
    local eventlog = require "eventlog"
    local url, name = ...
    local wait = require "eventlog.core".wait
    local client = eventlog.connect { url = url, client_name = "me",
      driver = name == "function" and wait or nil }
    local log = eventlog.new(client, name)
    print("lone", log:add({ n = 1, text = ("x"):rep(5000) })[1])
    print("unit", #log:add({ n = 1 }, { n = 2 }, { n = 3 }, { n = 4 }))
    print("tail", #log:tail())
    local follower = log:tail_and_follow()
    print("batch", #follower:next(5), select(2, follower:next(0.05)).kind)
    follower:close()
    client:close()
    print(package.loaded["eventlog.transport.trace"] and "traced" or "not traced")
  ]]

  for _, name in ipairs { "blocking", "function" } do
    it("has each request, wait and reply with its time, driver " .. name, function()
      local said, traced = run(ON, PROGRAM, url "s3cret", name)
      local id = said:match("^lone\t(%d+%-%d)\nunit\t4\ntail\t5\nbatch\t5\ttimeout\ntraced$")
      assert(id, said)
      local sent, got = lines_of(traced, ">"), lines_of(traced, "<")
      local did, failed = lines_of(traced, "."), lines_of(traced, "!")
      local from = 1
      for _, command in ipairs { 'AUTH "***" (26 bytes)', 'CLIENT "SETNAME" "me"',
        'XADD "' .. name .. '" "*" "n" "1" "text" "xxx', "\nMULTI (15 bytes)\n",
        ' more XADD) (', "\nEXEC (14 bytes)\n",
        'XRANGE "' .. name .. '" "0-0" "+" "COUNT" "1000"', 'XREAD "COUNT"', '"BLOCK"' } do
        local _, to = sent:find(command, from, true)
        from = assert(to, command .. " is not in\n" .. sent)
      end
      for _, reply in ipairs { "OK", '"' .. id .. '" (15 bytes)', "statuses",
        "(5 entries, " .. id .. " to " } do
        assert.matches(reply, got, 1, true)
      end
      for _, step in ipairs { "connects to unix://" .. server.path, "connected",
        "waits for a reply, at most ", "nothing has come", "closes" } do
        assert.matches(step, did, 1, true)
      end
      assert.equal("", failed)
      assert.matches("^fd=%d+$", traced[2][1])
    end)
  end

  it("shows no password and little of what an entry holds", function()
    local said, traced = run(ON, PROGRAM, url "s3cret", "shown")
    for _, line in ipairs(traced) do
      said = said .. line[3]
      assert.is_true(#line[3] < 1000)
    end
    assert.is_nil(said:find("s3cret", 1, true))
    assert.is_nil(said:find(("x"):rep(100), 1, true))
  end)

  it("says nothing, and is not loaded, without the variable", function()
    for _, env in ipairs { "EVENTLOG_TRACE=", "EVENTLOG_TRACE=0" } do
      local said, traced = run({ env = env }, PROGRAM, url "s3cret", env)
      assert.matches("^lone.*\nnot traced$", said)
      assert.same({}, traced)
    end
  end)

  it("shows what the server refuses, within a unit, too", function()
    redis.sh("redis-cli -s %s -a s3cret set string x 2>/dev/null", server.path)
    local _, traced = run(ON, [[
      local log = require "eventlog".new((...), "string")
      log:add { n = 1 }
      log:add({ n = 1 }, { n = 2 })
    ]], url "s3cret")
    local got = lines_of(traced, "<")
    assert.matches("^OK\n%(error%) WRONGTYPE Operation", got)
    assert.matches("%(array of %d%) 1%) %(error%) WRONGTYPE Operation", got)
  end)

  it("shows no password that a server repeats, and what went wrong", function()
    local fake = peer.start { awaits = "AUTH", closes = true, says = "-ERR unknown command " ..
      "'AUTH', with args beginning with: 's3cret'\r\n" }
    finally(function() fake:stop() end)
    local _, traced = run(ON, [[
      local log = require "eventlog".new((...), "log")
      log:tail()
      require "eventlog".new("unix:///nowhere/at/all", "log"):tail()
    ]], (fake.url:gsub("://", "://:s3cret@")))
    assert.matches("(error) ERR unknown command 'AUTH'", lines_of(traced, "<"), 1, true)
    assert.is_nil(lines_of(traced, "<"):find("s3cret", 1, true))
    assert.matches("connection: cannot connect: No such file", lines_of(traced, "!"), 1, true)
  end)

  it("tells of a request that goes in pieces once, and what is left of it", function()
    local said, traced = run(ON, [[
      local log = require "eventlog".new({ url = ..., timeout = 60 }, "large")
      print(#log:add { n = ("x"):rep(2^25) })
    ]], url "s3cret")
    assert.equal("1", said)
    local sent = lines_of(traced, ">")
    local _, adds = sent:gsub("XADD", "")
    assert.equal(1, adds)
    assert.matches(("x"):rep(48) .. '"... (335544', sent, 1, true)
    assert.matches("sends on: %d+ bytes are left", lines_of(traced, "."))
  end)
end)

describe("a traced transport", function()
  local methods, trace = getmetatable(core.decoder()).__index, nil
  local next_reply, skip_statuses = methods.next, methods.skip_statuses

  setup(function() trace = require "eventlog.transport.trace" end)
  teardown(function() methods.next, methods.skip_statuses = next_reply, skip_statuses end)

  --- Calls f; what it wrote to standard error, lines of { connection, mark, what }.
  local function capture(f)
    local stderr, lines = io.stderr, {}
    io.stderr = { write = function(_, line) -- luacheck: ignore 122
      lines[#lines + 1] = { line:match("^(.*)\n$"):match(LINE) }
    end }
    local ok, why = pcall(f)
    io.stderr = stderr -- luacheck: ignore 122
    assert(ok, why)
    return lines
  end

  it("has what the driver's has, and no more", function()
    local inner = { keep = nil, is_anothers = nil, blocks = true }
    function inner.last_read_at(self) return self == inner and 7 end
    function inner.idle() return true end
    local traced = trace.transport(inner, { path = "/x" })
    assert.is_nil(traced.keep)
    assert.is_nil(traced.is_anothers)
    assert.is_true(traced.blocks)
    assert.equal(7, traced:last_read_at())
    assert.is_true(traced:idle())
  end)

  it("tells of each reply once, also of those that lie behind another", function()
    local pieces = { "+OK\r\n+QUEUED\r\n+QUEUED\r\n:1", "2\r\n*2\r\n$1\r\na\r\n-ERR b\r\n" }
    local stream = {
      connect = function() return true end,
      send = function() return true end,
      receive = function() return table.remove(pieces, 1) end,
      close = function() end,
    }
    local traced = trace.transport(byte_transport.new(stream), { host = "::1", port = 7 })
    local request, decoder = core.request(), core.decoder()
    request:command("HELLO", 3, "AUTH", "me", "s3cret", "SETNAME", "x")
    local lines = capture(function()
      local later = core.now() + 60
      assert.is_true(traced:connect(later, later))
      assert.is_true(traced:send(request, later, later))
      assert.equal("status", traced:reply(decoder, later))
      assert.equal(2, decoder:skip_statuses(9))
      assert.is_false(decoder:next())
      assert.equal("integer", traced:reply(decoder, later))
      assert.equal("array", decoder:next())
      traced:close()
      traced:close()
    end)
    local texts = {}
    for i, line in ipairs(lines) do
      assert.matches("^#%d+$", line[1])
      texts[i] = line[2] .. " " .. line[3]:gsub("%d+%.%d+ s", "60 s")
    end
    assert.same({ ". connects to redis://[::1]:7", ". connected",
      '> HELLO "3" "AUTH" "me" "***" "SETNAME" "x" (72 bytes)',
      ". waits for a reply, at most 60 s", "< OK", "< 2 statuses",
      ". waits for a reply, at most 60 s", "< (integer) 12",
      '< (array of 2) 1) "a" 2) (error) ERR b', ". closes" }, texts)
  end)
end)

-- In nginx, whose Lua is LuaJIT.
if rawget(_G, "jit") then
  describe("EVENTLOG_TRACE in OpenResty", function()
    it("writes to the error log, of connections that nginx kept, too", function()
      local server = redis.start()
      -- A variable that nginx was started with is seen by init_by_lua alone.
      local web = nginx.start { http = [[ init_by_lua_block {
        local getenv = os.getenv
        function os.getenv(name) return name == "EVENTLOG_TRACE" and "1" or getenv(name) end
        require "eventlog"
      } ]] }
      finally(function()
        web:stop()
        server:stop()
      end)
      local id = web:run(string.format([[
        local log = require "eventlog".new(%q, "log")
        log:add { n = 1 }
        return log:add({ n = 2 })[1] ]], server.url))
      local traced, connections = {}, {}
      for line in (web:log() .. "\n"):gmatch("(.-)\n") do
        local connection, mark, what = line:match(LINE)
        if mark then
          traced[#traced + 1] = { connection, mark, what }
          connections[connection] = true
        end
      end
      assert.is_true(connections["#1"] and connections["#2"])
      assert.matches('XADD "log" "*" "n" "2" (44 bytes)', lines_of(traced, ">"), 1, true)
      assert.matches('"' .. id .. '" (15 bytes)', lines_of(traced, "<"), 1, true)
      for _, step in ipairs { "connects to unix://" .. server.path, "connected",
        "connected before: the host kept it", "is left to the host, which keeps it for 60 s" } do
        assert.matches("\n" .. step .. "\n", "\n" .. lines_of(traced, ".") .. "\n", 1, true)
      end
    end)
  end)
end
