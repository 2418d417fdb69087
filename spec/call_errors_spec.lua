local core = require "eventlog.core"
local eventlog = require "eventlog"
local peer = require "spec.support.peer"
local process = require "spec.support.process"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"

-- Every call that talks to the server, by name.
local calls = {
  { "add", function(log) return log:add { n = 1 } end },
  { "add of several", function(log) return log:add({ n = 1 }, { n = 2 }) end },
  { "tail", function(log) return log:tail() end },
  { "tail_n", function(log) return log:tail_n(5) end },
  { "tail_from", function(log) return log:tail_from("0") end },
  { "tail_after", function(log) return log:tail_after("0") end },
  { "length", function(log) return log:length() end },
  { "last_id", function(log) return log:last_id() end },
  { "delete", function(log) return log:delete() end },
  { "follow", function(log)
    local follower = log:tail_and_follow()
    local batch, err = follower:next(60)
    follower:close()
    return batch, err
  end },
}

--- Fails unless err is a whole error of this kind, and of this code where one is
--- given ("": none).
local function check(err, name, kind, code)
  local function is(what, expected, got)
    if expected ~= got then
      error(string.format("%s: %s is %s, not %s: %s", name, what, tostring(got),
        tostring(expected), tostring(err)), 3)
    end
  end
  is("the error's type", "table", type(err))
  is("kind", kind, err.kind)
  if code then is("code", code ~= "" and code or nil, err.code) end
  if kind ~= "server" then is("code", nil, err.code) end
  is("retriable's type", "boolean", type(err.retriable))
  if kind == "connection" then is("retriable", true, err.retriable) end
  if kind == "protocol" or kind == "closed" then is("retriable", false, err.retriable) end
  for _, text in ipairs { err.message, tostring(err) } do
    assert(type(text) == "string" and #text > 0 and not text:find("%c"), text)
    assert(not text:find("secret", 1, true), text)
  end
  assert(tostring(err):find(err.message, 1, true))
  if name:find("add") then
    assert(err.outcome == "none" or err.outcome == "unknown", name)
  else
    is("outcome", nil, err.outcome)
  end
end

--- A target with little patience: only where nothing is to come.
local function hasty(options)
  options.timeout, options.connect_timeout, options.reconnect_timeout = 0.03, 0.03, 0.03
  return options
end

--- Each call on a log of this target must fail so.
local function all_fail(target, kind, code)
  for _, call in ipairs(calls) do
    local client = eventlog.connect(target)
    local result, err = call[2](eventlog.new(client, "log"))
    if result ~= nil then error(call[1] .. " brought something", 2) end
    check(err, call[1], kind, code)
    client:close()
  end
end

--- The ids of the connections of this name, once there are so many of them: the
--- server learns of a closed one in its own time.
local function connections(server, name, count)
  local ids
  for _ = 1, 2000 do
    ids = {}
    for line in server:call("CLIENT", "LIST"):gmatch("[^\n]+") do
      if line:find(" name=" .. name .. " ", 1, true) then
        ids[#ids + 1] = line:match("^id=(%d+)")
      end
    end
    if #ids == count then return ids end
    core.wait(-1, "r", 0.005)
  end
  error(string.format("%d connections, not %d", #ids, count), 2)
end

describe("a server that cannot be reached", function()
  it("is a connection error, at once", function()
    local dir = redis.sh("mktemp -d")
    redis.sh(": >%s/file", dir)
    finally(function() redis.sh("rm -rf %s", dir) end)
    local port = redis.free_port()
    for _, target in ipairs {
      "redis://127.0.0.1:" .. port, "redis://u:secret@localhost:" .. port .. "/1",
      "redis://[::1]:" .. port, { host = "127.0.0.1", port = port, password = "secret" },
      "unix://" .. dir .. "/missing.sock", "unix://:secret@" .. dir .. "/file",
      "unix://" .. dir, "unix:///nowhere/at/all?db=1",
    } do
      all_fail(target, "connection")
    end
  end)

  it("is named in the error", function()
    local port = redis.free_port()
    local _, err = eventlog.new("redis://u:secret@[::1]:" .. port .. "/5", "log"):tail()
    assert(err.message:find("redis://[::1]:" .. port, 1, true), err.message)
    _, err = eventlog.new("unix://u:secret@/nowhere/at/all", "log"):tail()
    assert(err.message:find("unix:///nowhere/at/all", 1, true), err.message)
  end)

  it("did not add anything", function()
    for _, log in ipairs { eventlog.new("unix:///nowhere/at/all", "log"),
      eventlog.new("unix:///nowhere/at/all", "log", { ttl = 5 }) } do
      for i = 1, 2 do
        local _, err = calls[i][2](log)
        assert.equal("none", err.outcome)
      end
    end
  end)

  it("is one that does not accept, too", function()
    local fake = peer.start({}, { tcp = true, deaf = true })
    finally(function() fake:stop() end)
    all_fail(hasty { url = fake.url, password = "secret" }, "connection")
  end)
end)

describe("a peer", function()
  -- What it says, and the kind (and code) of the error that each call returns.
  -- Where it speaks too soon, or closes, nothing else is promised.
  local says = {
    { "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "protocol" },
    { "SSH-2.0-OpenSSH_9.2\r\n", "protocol" },
    { "220 mail ESMTP\r\n", "protocol" },
    { "\21\3\1\0\2\2\22", "protocol" }, -- a TLS alert
    { "J\0\0\0\n8.0.34\0", "protocol" }, -- MySQL
    { "\0\0\0\0\0\0\0\0", "protocol" },
    { "\r\n", "protocol" },
    { "$-7\r\n", "protocol" },
    { "*1000000000000\r\n", "protocol" },
    { ("*1\r\n"):rep(20) .. ":1\r\n", "protocol" },
    { "+PONG\r\n", "protocol" },
    { "*1\r\n:1\r\n", "protocol" },
    { "*1\r\n*1\r\n$3\r\n1-1\r\n", "protocol" },
    { "-ERR a strange one\r\n", "server", "ERR" },
    { "-LOADING Redis is loading\r\n", "server", "LOADING", true },
    { "-CLUSTERDOWN The cluster is down\r\n", "server", "CLUSTERDOWN", true },
    { "-MOVED 7365 127.0.0.1:7001\r\n", "unsupported", "", false },
    { "-WRONGTYPE Operation against a key\r\n", "server", "WRONGTYPE", false },
    { "-nothing we know\r\n", "server", "" },
    { "", "connection" },
    { "*", "connection" },
    { "$10\r\n123", "connection" },
    { "$10\r\n1234567890\r", "connection" },
    { ":1", "connection" },
    { "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$100\r\ncut in the middle", "connection" },
    { "-ERR cut in the midd", "connection" },
  }

  -- A reconnect_timeout within which no page that was cut off is asked for again.
  local ONCE = 1e-9

  --- Each call, each on a connection of its own, or on two, against a peer that
  --- answers each request so.
  local function against(tcp, closes)
    local cases, fakes = {}, {}
    finally(function()
      for _, fake in ipairs(fakes) do fake:stop() end
    end)
    local function start(says_what)
      -- Whatever a request is, it begins with a "*".
      local fake = peer.start({ awaits = "*", says = says_what, closes = closes },
        { tcp = tcp })
      fakes[#fakes + 1] = fake
      return fake
    end
    for _, case in ipairs(says) do
      local once, several = start(case[1]), nil
      for _, call in ipairs(calls) do
        local fake = once
        -- A batch has more replies than one.
        if case[2] ~= "connection" and call[1] == "add of several" then
          several = several or start(case[1]:rep(8))
          fake = several
        end
        cases[#cases + 1] = { case = case, call = call, fake = fake }
      end
    end
    for _, one in ipairs(cases) do
      local case, call, fake = one.case, one.call, one.fake
      local waits = case[2] == "connection" and not closes
      local client = eventlog.connect(waits and hasty { url = fake.url } or
        { url = fake.url, reconnect_timeout = ONCE })
      -- Of one entry at a time there are no fewer to ask for, elsewhere.
      local result, err = call[2](eventlog.new(client, "log", { batch_size = 1 }))
      local name = string.format("%s after %q", call[1], case[1])
      if result ~= nil then error(name .. " brought something") end
      if closes then -- which may come before we can read what was said
        check(err, name, err.kind)
        assert(err.kind == case[2] or err.kind == "connection", name .. ": " .. tostring(err))
      else
        check(err, name, case[2], case[3])
        if case[4] ~= nil then assert.equal(case[4], err.retriable, name) end
      end
      client:close()
    end
  end

  it("that is no Redis, or a broken one, is an error of its kind", function()
    against(false, false)
  end)

  for _, tcp in ipairs { false, true } do
    it("that closes then is an error, too, " .. (tcp and "by TCP" or "locally"), function()
      against(tcp, true)
    end)
  end

  it("that answers with an empty status or error is an error", function()
    local fake = peer.start { { awaits = "*", says = "+\r\n" }, { awaits = "*", says = "-\r\n" } }
    finally(function() fake:stop() end)
    for _, kind in ipairs { "protocol", "server" } do
      local client = eventlog.connect(fake.url)
      local result, err = eventlog.new(client, "log"):tail()
      assert.is_nil(result)
      check(err, kind, kind, "")
      client:close()
    end
  end)

  it("that says it on its own, or closes at once, is an error", function()
    local steps = {
      { says = "HTTP/1.1 400 Bad Request\r\n" }, { says = "HTTP/1.1 400\r\n", closes = true },
      { closes = true }, { says = "-ERR max number of clients reached\r\n" },
    }
    local peers = { peer.start(steps), peer.start(steps, { tcp = true }) }
    finally(function()
      for _, fake in ipairs(peers) do fake:stop() end
    end)
    for _, fake in ipairs(peers) do
      for _, kinds in ipairs { "protocol", "protocol connection", "connection", "server" } do
        local log = eventlog.new({ url = fake.url, reconnect_timeout = ONCE }, "log")
        local result, err = log:tail()
        assert.is_nil(result)
        check(err, kinds, err.kind)
        assert(kinds:find(err.kind, 1, true), tostring(err))
        log.client:close()
      end
    end
  end)

  it("that closes while it is sent to does not kill us", function()
    local fake = peer.start({ closes = true }, { tcp = true })
    local near = peer.start { closes = true }
    finally(function()
      fake:stop()
      near:stop()
    end)
    for _, url in ipairs { fake.url, near.url } do
      local output = process.start([[
        local log = require("eventlog").new(..., "log")
        for _ = 1, 3 do
          local ids, err = log:add { value = ("x"):rep(2 ^ 24) }
          print(ids, err.kind, err.outcome)
        end
      ]], nil, url):wait()
      assert.equal(("nil\tconnection\tnone\n"):rep(3), output .. "\n")
    end
  end)

  it("that refuses the greeting, or does not answer it, is an error", function()
    local steps, expected = {}, {}
    for _, case in ipairs {
      { "-WRONGPASS invalid username-password pair\r\n", "server", "WRONGPASS" },
      { "-ERR AUTH <password> called without any password configured\r\n", "server", "ERR" },
      { "+OK\r\n-ERR DB index is out of range\r\n", "server", "ERR" },
      { "+OK\r\n-NOPERM this user has no permissions\r\n", "server", "NOPERM" },
      { "", "connection" }, { "+OK\r\n", "connection" }, { "+OK\r\n+O", "connection" },
      { "SSH-2.0\r\n", "protocol" }, { "+OK\r\nHTTP/1.1\r\n", "protocol" },
    } do
      for _, call in ipairs(calls) do
        steps[#steps + 1] = { awaits = "SELECT", says = case[1] }
        expected[#expected + 1] = { case, call }
      end
    end
    local fake = peer.start(steps)
    finally(function() fake:stop() end)
    for i, one in ipairs(expected) do
      local case, call = one[1], one[2]
      local target = { url = fake.url, password = "secret", db = 3 }
      local client = eventlog.connect(case[2] == "connection" and hasty(target) or target)
      local result, err = call[2](eventlog.new(client, "log"))
      assert.is_nil(result)
      check(err, call[1], case[2], case[3])
      if call[1]:find("add") then assert.equal("none", err.outcome) end
      -- And nothing but the greeting was sent.
      assert(not fake:heard(i):find("XADD", 1, true))
      client:close()
    end
  end)

  it("that repeats a password is not repeated; what tells none is shown", function()
    local known = "ERR unknown command `AUTH`"
    local invalid = "WRONGPASS invalid username-password pair or user is disabled."
    -- A password, what the server says, and what the error says.
    local cases = {
      { "secret", known .. ", with args beginning with: `secret`, ", known, "ERR" },
      { ("s"):rep(300), known .. ", with args beginning with: `" .. ("s"):rep(128) .. "`, ",
        known, "ERR" },
      { "AUTH", known .. ", with args beginning with: `AUTH`, ", known, "ERR" },
      { "command", known, known, "ERR" },
      { "pass", invalid, invalid, "WRONGPASS" },
      { "password", invalid, invalid, "WRONGPASS" },
      { "pair", invalid, invalid, "WRONGPASS" },
      { "WRONGPASS", invalid, invalid, "WRONGPASS" },
      { "ERR", "ERR the word is ERR", "ERR the word is ***", "ERR" },
      { "pass", "ERR password 'pass' is not a passport", "ERR password '***' is not a passport",
        "ERR" },
      { "p.s%s", "ERR is \"p.s%s\" <p.s%s> pass p.s%ss", "ERR is \"***\" <***> pass p.s%ss",
        "ERR" },
      { "$x$", "ERR bad:a$x$b", "ERR bad:a***b", "ERR" },
      { "two words", "ERR (two words)", "ERR (***)", "ERR" },
      { "a\nb\0", "ERR bad a b  here", "ERR bad *** here", "ERR" },
      { "run", "NOPERM User run has no permissions to run the 'auth' command",
        "NOPERM User *** has no permissions to run the 'auth' command", "NOPERM" },
      { "a", "ERR a password of a user", "ERR *** password of *** user", "ERR" },
    }
    local steps = {}
    for i, case in ipairs(cases) do
      steps[i] = { awaits = "AUTH", says = "-" .. case[2] .. "\r\n" }
    end
    local fake = peer.start(steps)
    finally(function() fake:stop() end)
    for _, case in ipairs(cases) do
      local client = eventlog.connect { url = fake.url, password = case[1] }
      local result, err = eventlog.new(client, "log"):length()
      assert.is_nil(result)
      assert.equal(case[3], err.message)
      check(err, case[1], "server", case[4])
      client:close()
    end
  end)

  it("that is named by a path of two lines is named in one", function()
    local client = eventlog.connect("unix:///nowhere\n/at\27all")
    assert.equal("eventlog client of unix:///nowhere\\n/at\\027all", tostring(client))
    local log = eventlog.new(client, "a\nb")
    assert.equal('eventlog "a\\nb" of ' .. tostring(client), tostring(log))
    local _, err = log:length()
    check(err, "length", "connection")
    assert.matches("unix:///nowhere\\n/at\\027all: ", err.message, 1, true)
  end)

  it("that still loads its data is waited for as one that is not there, if told to", function()
    local loading = "-LOADING Redis is loading the dataset in memory\r\n"
    for _, pong in ipairs { "+PONG\r\n", "-NOPERM User u has no permissions\r\n" } do
      local fake = peer.start {
        { awaits = "PING", says = loading }, { awaits = "PING", says = loading },
        { awaits = "PING", says = pong .. ":7\r\n" }, { awaits = "XLEN", says = loading },
      }
      local reasons = {}
      local client = eventlog.connect {
        url = fake.url, pool_size = 0, retry_first_connection = true,
        on_event = function(event)
          if event.kind == "reconnecting" then reasons[#reasons + 1] = event.message end
        end,
      }
      local log = eventlog.new(client, "log")
      local length, err = log:length()
      if length then length, err = length, select(2, log:length()) end
      fake:stop()
      assert.equal(7, length, tostring(err))
      assert.equal(2, #reasons)
      assert.matches("LOADING", reasons[1], 1, true)
      check(err, "length", "server", "LOADING") -- once it was ready, at once
    end
  end)

  it("that answered badly is not asked again on that connection", function()
    local fake = peer.start {
      { awaits = "*", says = "+PONG\r\n" }, { awaits = "*", says = ":7\r\n:8\r\n" },
      { awaits = "*", says = ":9\r\n" },
    }
    finally(function() fake:stop() end)
    local log = eventlog.new(fake.url, "log")
    local length, err = log:length()
    assert.is_nil(length)
    assert.equal("protocol", err.kind)
    assert.equal(7, log:length())
    assert.equal(9, log:length()) -- the 8 was nobody's answer
  end)
end)

describe("a server", function()
  local server

  setup(function()
    server = redis.start { tcp = true }
    server:call("ACL", "SETUSER", "limited", "on", ">secret", "~other", "+@all")
    server:call("ACL", "SETUSER", "full", "on", ">secret", "~*", "+@all")
    server:call("ACL", "SETUSER", "off", "off", ">secret", "~*", "+@all")
  end)
  teardown(function() server:stop() end)
  before_each(function() server:call("FLUSHALL") end)

  it("refuses who it does not know, and what he may not", function()
    local tcp = "127.0.0.1:" .. server.port
    server:call("CONFIG", "SET", "requirepass", "secret")
    finally(function() server:call("CONFIG", "SET", "requirepass", "") end)
    for _, case in ipairs {
      { "redis://" .. tcp, "NOAUTH" }, { server.url, "NOAUTH" },
      { "redis://:secretly@" .. tcp, "WRONGPASS" },
      { "unix://:secretly@" .. server.path, "WRONGPASS" },
      { "redis://full:secretly@" .. tcp .. "/2", "WRONGPASS" },
      { "unix://full:secretly@" .. server.path .. "?db=2", "WRONGPASS" },
      { "redis://nobody:secret@" .. tcp, "WRONGPASS" },
      { "unix://off:secret@" .. server.path, "WRONGPASS" },
      { "redis://full@" .. tcp, "WRONGPASS" },
      { "redis://limited:secret@" .. tcp, "NOPERM" },
      { "unix://limited:secret@" .. server.path, "NOPERM" },
      { "redis://:secret@" .. tcp .. "/16", "ERR" },
      { "unix://full:secret@" .. server.path .. "?db=2147483647", "ERR" },
    } do
      all_fail(case[1], "server", case[2])
    end
    -- And serves the others.
    for _, target in ipairs { "redis://:secret@" .. tcp, "unix://full:secret@" .. server.path,
      "redis://default:secret@" .. tcp .. "/15" } do
      for _, call in ipairs(calls) do
        local result, err = call[2](eventlog.new(target, "log"))
        assert(result ~= nil, err)
      end
    end
  end)

  it("refuses a password that is part of its own words, without telling it", function()
    for _, password in ipairs { "pass", "password", "invalid", "user", "WRONGPASS" } do
      local client = eventlog.connect { url = server.url, username = "full",
        password = password }
      local _, err = eventlog.new(client, "log"):length()
      check(err, "length", "server", "WRONGPASS")
      assert.equal("WRONGPASS invalid username-password pair or user is disabled.",
        err.message)
    end
  end)

  it("whose log's name has two lines is told of in one", function()
    local log = eventlog.new(server.url, "a\nb\27", { on_gap = "error" })
    for i = 1, 4 do assert(log:add { n = i }) end
    local follower = log:tail_and_follow()
    assert(follower:next())
    assert(log:delete())
    assert(log:add { n = 5 })
    local batch, err = follower:next(30)
    assert.is_nil(batch)
    check(err, "next", "gap")
    assert.matches('log "a\\nb\\027" was ', err.message, 1, true)
    assert.matches('eventlog "a\\nb\\027" of', tostring(follower), 1, true)
    log.client:close()
  end)

  it("without passwords refuses one", function()
    all_fail("unix://:secret@" .. server.path, "server", "ERR")
  end)

  it("that stalls is a connection error, and what it says later is nobody's", function()
    local client = eventlog.connect { url = server.url, reconnect_timeout = 0.03 }
    local log = eventlog.new(client, "log")
    for i, call in ipairs(calls) do
      for _, pooled in ipairs { true, false } do
        server:call("DEL", "log")
        assert(log:add { n = "first" })
        local one = pooled and log or eventlog.new({ url = server.url }, "log")
        server:signal("STOP")
        one.client.settings.timeout = 0.03 -- for this call only
        local result, err = call[2](one)
        one.client.settings.timeout = 5
        server:signal("CONT")
        assert.is_nil(result)
        check(err, call[1], "connection")
        -- What was asked for may have been done, and once at most.
        server:call("PING")
        local length = assert(one:length())
        assert(length <= 1 + (i <= 2 and i or 0), length)
        if i <= 2 then assert.equal("unknown", err.outcome) end
        if call[1] ~= "delete" then
          assert.equal("first", assert(one:tail())[1].fields.n)
        end
      end
    end
    client:close()
  end)

  it("that closed idle connections costs the next caller nothing", function()
    for _, call in ipairs(calls) do
      local log = eventlog.new(server.url, "log")
      assert(log:add { n = 1 })
      local before = server:call("CLIENT", "ID")
      server:call("CLIENT", "KILL", "TYPE", "normal")
      assert.equal(before, server:call("CLIENT", "ID")) -- killed all but us
      local result, err = call[2](log)
      assert(result ~= nil, call[1] .. ": " .. tostring(err))
      log.client:close()
    end
  end)

  it("that closed many idle connections costs nothing, either", function()
    local tasks = scheduler.new()
    local client = eventlog.connect {
      url = server.url, driver = tasks.wait, client_name = "crowd",
    }
    local log = eventlog.new(client, "log")
    local function crowd(n)
      local done = 0
      server:signal("STOP") -- so that they all wait at one time
      for _ = 1, n do
        tasks:spawn(function()
          assert(log:add { n = 1 })
          done = done + 1
        end)
      end
      tasks:spawn(function()
        tasks:sleep(0.01)
        server:signal("CONT")
      end)
      tasks:run()
      assert.equal(n, done)
    end
    crowd(6)
    connections(server, "crowd", 6)
    server:call("CLIENT", "KILL", "TYPE", "normal")
    crowd(7)
    assert.equal(13, server:call("XLEN", "log"))
    client:close()
  end)

  it("that restarted costs the next caller nothing", function()
    local logs = {}
    for i = 1, #calls do
      logs[i] = eventlog.new(server.url, "log", { ttl = i % 2 == 0 and 1000 or 0 })
      assert(logs[i]:add { n = 1 })
      assert(logs[i]:last_id())
    end
    server:kill()
    local result, err = calls[1][2](logs[1])
    assert.is_nil(result)
    check(err, "add", "connection")
    assert.equal("none", err.outcome)
    server:launch()
    for i, call in ipairs(calls) do
      result, err = call[2](logs[i])
      assert(result ~= nil, call[1] .. ": " .. tostring(err))
      logs[i].client:close()
    end
  end)

  it("tells of connections made and lost, and by whom", function()
    local events = {}
    local fake = peer.start {
      { awaits = "*", says = ":7\r\n" }, { awaits = "*", says = ":8", closes = true },
      { awaits = "*", says = ":9\r\n" },
    }
    finally(function() fake:stop() end)
    local client = eventlog.connect {
      url = fake.url, pool_size = 0,
      on_event = function(event) events[#events + 1] = event end,
    }
    local log = eventlog.new(client, "the log")
    assert.equal(7, log:length())
    assert.is_nil((log:length()))
    assert.equal(9, log:length())
    local kinds = {}
    for i, event in ipairs(events) do
      kinds[i] = event.kind
      assert.equal("the log", event.log)
      assert(type(event.message) == "string" and not event.message:find("%c"))
    end
    assert.same({ "connected", "connected", "disconnected", "connected" }, kinds)
  end)
end)

describe("a client", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:call("FLUSHALL") end)

  it("that is closed says so, and holds nothing", function()
    local client = eventlog.connect { url = server.url, client_name = "closing" }
    local log = eventlog.new(client, "log")
    assert(log:add { n = 1 })
    connections(server, "closing", 1)
    for _ = 1, 2 do
      client:close()
      for _, call in ipairs(calls) do
        local result, err = call[2](log)
        assert.is_nil(result)
        check(err, call[1], "closed")
        if call[1]:find("add") then assert.equal("none", err.outcome) end
      end
      connections(server, "closing", 0)
    end
    assert.same({}, log:add())
  end)

  it("keeps as many idle connections as it was told to", function()
    for _, pool_size in ipairs { 0, 1, 3 } do
      local tasks = scheduler.new()
      local client = eventlog.connect {
        url = server.url, driver = tasks.wait, pool_size = pool_size, client_name = "pool",
      }
      server:signal("STOP") -- so that they all wait at one time
      for _ = 1, 6 do
        tasks:spawn(function() assert(eventlog.new(client, "log"):tail()) end)
      end
      tasks:spawn(function()
        tasks:sleep(0.01)
        server:signal("CONT")
      end)
      tasks:run()
      connections(server, "pool", pool_size)
      client:close()
      connections(server, "pool", 0)
    end
  end)

  --- How many connections the server was asked for so far.
  local function received()
    return tonumber(server:call("INFO", "stats"):match("total_connections_received:(%d+)"))
  end

  it("needs no more connections than it has calls at a time", function()
    local tasks = scheduler.new()
    local client = eventlog.connect { url = server.url, driver = tasks.wait }
    local log = eventlog.new(client, "log")
    local before = received()
    for round = 1, 5 do
      server:signal("STOP") -- so that they all wait at one time
      for i = 1, 50 do
        tasks:spawn(function() assert(log:add { n = round * i }) end)
      end
      tasks:spawn(function()
        tasks:sleep(0.01)
        server:signal("CONT")
      end)
      tasks:run()
    end
    local made = received() - before
    assert(made <= 51, made .. " connections") -- and the one that asks
    assert.equal(250, server:call("XLEN", "log"))
    client:close()
  end)

  it("lets go, by their age, of connections that it does not need", function()
    local tasks = scheduler.new()
    local client = eventlog.connect {
      url = server.url, driver = tasks.wait, pool_idle = 0.2, client_name = "aging",
    }
    local log = eventlog.new(client, "log")
    local idle = client.topology:endpoint("log").idle
    server:signal("STOP") -- so that they all wait at one time
    for _ = 1, 6 do tasks:spawn(function() assert(log:tail()) end) end
    tasks:spawn(function()
      tasks:sleep(0.01)
      server:signal("CONT")
    end)
    tasks:run()
    tasks:spawn(function()
      local give_up = core.now() + 30
      repeat -- one is always in use
        assert(log:length())
        tasks:sleep(0.02)
      until idle.first == idle.last or core.now() > give_up
    end)
    tasks:run()
    local one = connections(server, "aging", 1)
    -- That one, too, once it has been idle for so long.
    tasks:spawn(function()
      tasks:sleep(0.25)
      assert(log:length())
    end)
    tasks:run()
    assert.not_same(one, connections(server, "aging", 1))
    client:close()
  end)

  it("does not use again what a dropped coroutine was reading", function()
    local client = eventlog.connect { url = server.url, driver = coroutine.yield }
    local log = eventlog.new(client, "log")
    server:call("XADD", "log", "1-1", "n", "1")
    server:call("XADD", "log", "1-2", "n", "2")

    --- Resumes until f has ended, or so many times.
    local function run(f, times)
      local co = coroutine.create(f)
      local ok, fd, mode = coroutine.resume(co)
      while ok and coroutine.status(co) ~= "dead" and times > 0 do
        core.wait(fd, mode, 1)
        times = times - 1
        ok, fd, mode = coroutine.resume(co)
      end
      return assert(ok, fd) and fd
    end
    for times = 0, 4 do
      run(function() return log:tail() end, times)
      if times % 2 == 0 then collectgarbage() end
      assert.equal(2, run(function() return log:length() end, 1e6))
      assert.equal("1-2", run(function() return log:last_id() end, 1e6))
    end
  end)

  -- A fork is to be had without further modules on LuaJIT only.
  if jit then
    local ffi = require "ffi"
    ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int);"

    --- Runs f in a child process; fails unless it returns without an error.
    local function in_child(f)
      local pid = ffi.C.fork()
      if pid == 0 then
        local ok, why = pcall(f)
        if not ok then io.stderr:write(tostring(why), "\n") end
        ffi.C._exit(ok and 0 or 1)
      end
      local status = ffi.new("int[1]")
      assert.equal(pid, ffi.C.waitpid(pid, status, 0))
      assert.equal(0, status[0])
    end

    it("uses nothing in a forked child that its parent opened", function()
      local client = eventlog.connect { url = server.url, client_name = "family" }
      local log = eventlog.new(client, "log")
      local follower = log:tail_n_and_follow(0)
      assert.same({}, { unpack(assert(follower:next(10))) })
      assert.equal("timeout", select(2, follower:next(0)).kind)
      assert(log:add { n = "first" })
      assert.equal("first", assert(follower:next(10))[1].fields.n)
      local before = connections(server, "family", 2)
      for round = 1, 3 do
        in_child(function()
          assert(log:add { n = "child" })
          assert(#assert(log:tail()) == 2 * round)
          connections(server, "family", 3)
          if round == 2 then collectgarbage() end
          if round == 3 then client:close() end
        end)
        assert.same(before, connections(server, "family", 2))
        assert(log:add { n = "parent" })
        assert.same(before, connections(server, "family", 2))
        local seen = {}
        while #seen < 2 do
          for _, entry in ipairs(assert(follower:next(10))) do
            seen[#seen + 1] = entry.fields.n
          end
        end
        assert.same({ "child", "parent" }, seen)
      end
      follower:close()
      client:close()
      connections(server, "family", 0)
    end)

    it("takes no answer in a child that was forked while its parent waited for it", function()
      for _, idempotent in ipairs { false, true } do
        server:call("DEL", "log")
        local forks, pid, status = false, nil, ffi.new("int[1]")
        local client = eventlog.connect {
          url = server.url,
          driver = function(fd, mode, seconds)
            if forks and mode == "r" then
              forks, pid = false, ffi.C.fork()
              -- The child comes first.
              if pid > 0 then ffi.C.waitpid(pid, status, 0) end
            end
            core.wait(fd, mode, seconds)
          end,
        }
        local log = eventlog.new(client, "log", { idempotent = idempotent })
        local function add(n)
          return log:add({ n = n }, { n = n })
        end
        assert(add(1))
        server:call("CLIENT", "PAUSE", 100) -- so that there is a wait
        forks = true
        local ids, err = add(2)
        if pid == 0 then
          local ok, why = pcall(function()
            if idempotent then -- it asks, with the same token, by itself
              assert.equal(2, #assert(ids, err))
            else
              assert.is_nil(ids)
              assert.same({ "connection", "unknown" }, { err.kind, err.outcome })
            end
            assert(add(3))
          end)
          if not ok then io.stderr:write(tostring(why), "\n") end
          ffi.C._exit(ok and 0 or 1)
        end
        assert.equal(0, status[0])
        assert.equal(2, #assert(ids, err))
        local entries = assert(log:tail())
        assert.equal(6, #entries)
        for i, id in ipairs(ids) do assert.equal(id, entries[2 + i].id) end
        assert(add(4))
        assert.equal(8, log:length())
        client:close()
      end
    end)
  end
end)
