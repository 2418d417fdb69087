local core = require "eventlog.core"
local eventlog = require "eventlog"
local misuse = require "spec.support.misuse"
local redis = require "spec.support.redis"

local function nothing() end

-- What no option takes, but for those of the types named behind it.
local strangers = {
  { "a boolean", true, "boolean" }, { "a number", 1, "number" },
  { "a string", "x", "string" }, { "a table", {}, "table" },
  { "a function", nothing, "function" }, { "a userdata", io.stdout, "userdata" },
  { "a thread", coroutine.create(nothing), "thread" },
}

local NAN, INF = 0 / 0, 1 / 0
local FRACTION, NEGATIVE, HUGE = 1.5, -1, 2 ^ 53 + 2

-- Each option: the type it takes, and values of that type that are out of range.
local client_options = {
  url = { "string", "", "redis", "http://h", "redis://h\0", "tcp://h:1" },
  host = { "string", "", "h\0", "redis://h", "u@h", "h/1" },
  port = { "number", 0, 65536, NEGATIVE, FRACTION, NAN, INF },
  path = { "string", "", "/p\0", "/" .. ("p"):rep(107) },
  username = { "string", "" },
  password = { "string", "" },
  db = { "number", NEGATIVE, FRACTION, NAN, INF, 2 ^ 31 },
  connect_timeout = { "number", 0, NEGATIVE, NAN, INF },
  timeout = { "number", 0, NEGATIVE, NAN, INF },
  reconnect_timeout = { "number", 0, NEGATIVE, NAN, INF },
  retry_first_connection = { "boolean" },
  pool_idle = { "number", 0, NEGATIVE, NAN, INF },
  pool_size = { "number", NEGATIVE, FRACTION, NAN, INF, HUGE },
  client_name = { "string", "", "two words", "line\n", "\0", "ü" },
  spin = { "number", NEGATIVE, FRACTION, NAN, INF, HUGE },
  max_reply = { "number", 0, NEGATIVE, FRACTION, NAN, INF, HUGE },
  driver = { "function string", "", "Blocking", "libevent" },
  on_event = { "function" },
}

local log_options = {
  max_length = { "number", NEGATIVE, FRACTION, NAN, INF, HUGE },
  ttl = { "number", NEGATIVE, NAN, INF, 2 ^ 53 },
  batch_size = { "number", 0, NEGATIVE, FRACTION, NAN, INF },
  idempotent = { "boolean" },
  on_gap = { "string", "", "Report", "ignore" },
  fields = { "string", "", "Map", "list" },
}

--- Calls check(key, value, what) for each value that an option must refuse.
local function each_bad_value(options, check)
  for key, rule in pairs(options) do
    for _, stranger in ipairs(strangers) do
      local name, value, kind = stranger[1], stranger[2], stranger[3]
      if not rule[1]:find(kind, 1, true) then check(key, value, name) end
    end
    for i = 2, #rule do check(key, rule[i], string.format("%q", tostring(rule[i]))) end
  end
end

--- Fails unless the message names the key, as a word.
local function names(message, key, what)
  assert((" " .. message .. " "):find("[^%w_]" .. key .. "[^%w_]"),
    string.format("%s = %s: %s", key, what, message))
end

describe("eventlog.connect", function()
  it("refuses each wrong value of an option, naming it", function()
    each_bad_value(client_options, function(key, value, what)
      names(misuse(eventlog.connect, { [key] = value }), key, what)
      names(misuse(eventlog.new, { [key] = value }, "log"), key, what)
    end)
  end)

  it("refuses an option that it does not know, naming it", function()
    for _, key in ipairs { "hosst", "max_length", "Url", "ttl", "" } do
      names(misuse(eventlog.connect, { [key] = 1 }), key, "1")
    end
    names(misuse(eventlog.connect, { "redis://h" }), "1", "redis://h")
    names(misuse(eventlog.connect, { [true] = 1 }), "true", "1")
  end)

  it("refuses a target that is neither client, URL, table nor nil", function()
    for _, target in ipairs { 1, true, nothing, io.stdout } do
      names(misuse(eventlog.connect, target), "target", tostring(target))
      names(misuse(eventlog.new, target, "log"), "target", tostring(target))
    end
    names(misuse(eventlog.connect, false), "target", "false")
    names(misuse(eventlog.new, false, "log"), "target", "false")
  end)

  it("refuses a bad URL, and tells no password", function()
    for _, url in ipairs {
      "", "redis:/secret@h", "http://u:secret@h", "redis", "unix://path",
      "unix://u:secret@", "redis://:secret@h:x", "redis://:secret%zz@h",
      "redis://:secret@h:6379/x", "unix://u:secret@/p?db=x", "redis://:secret@[::1",
    } do
      local message = misuse(eventlog.connect, url)
      names(message, "url", url)
      assert.is_nil(message:find("secret", 1, true), message)
      assert.equal(message, misuse(eventlog.new, url, "log"))
      assert.equal(message, misuse(eventlog.connect, { url = url }))
    end
  end)

  it("tells no password of another option that is bad", function()
    for _, options in ipairs {
      { password = 123456 }, { password = 123456.5 }, { host = "redis://:123456@h" },
      { host = "u:123456@h" }, { password = { "123456" } },
    } do
      local message = misuse(eventlog.connect, options)
      assert.is_nil(message:find("123456", 1, true), message)
    end
  end)

  it("refuses what is said twice, or does not go together", function()
    for _, case in ipairs {
      { "host", { url = "redis://h", host = "h" } },
      { "port", { url = "redis://h:1", port = 1 } },
      { "db", { url = "redis://h/1", db = 1 } },
      { "username", { url = "redis://u@h", username = "u" } },
      { "password", { url = "redis://:p@h", password = "p" } },
      { "path", { url = "unix:///p", path = "/p" } },
      { "path", { path = "/p", host = "h" } },
      { "path", { path = "/p", port = 1 } },
      { "path", { url = "unix:///" .. ("p"):rep(107) } },
    } do
      names(misuse(eventlog.connect, case[2]), case[1], "twice")
    end
  end)

  it("takes the smallest and the largest", function()
    for _, options in ipairs {
      {}, { port = 1 }, { port = 65535 }, { db = 0 }, { pool_size = 0 },
      { spin = 0 }, { timeout = 0.001, connect_timeout = 0.001 },
      { reconnect_timeout = 86400 }, { path = "/" .. ("p"):rep(105) },
      { driver = "blocking" }, { driver = nothing, on_event = nothing },
      { username = "\0\r\n", password = " \255" }, { client_name = "!~" },
      { url = "redis://h", db = 2, password = "p" }, { url = "unix:///p", db = 2 },
    } do
      assert.is_truthy(eventlog.connect(options))
    end
  end)

  it("leaves the caller's table alone, and keeps no hold of it", function()
    local options = { port = 7777 }
    local client = eventlog.connect(options)
    assert.same({ port = 7777 }, options)
    options.port = 1
    assert.truthy(tostring(client):find(":7777", 1, true))
  end)
end)

describe("eventlog.new", function()
  it("refuses each wrong value of an option, naming it", function()
    each_bad_value(log_options, function(key, value, what)
      names(misuse(eventlog.new, nil, "log", { [key] = value }), key, what)
    end)
  end)

  it("refuses an option that it does not know, naming it", function()
    for _, key in ipairs { "maxlength", "port", "TTL", "" } do
      names(misuse(eventlog.new, nil, "log", { [key] = 1 }), key, "1")
    end
    names(misuse(eventlog.new, nil, "log", { 5 }), "1", "5")
  end)

  it("refuses options that are no table, and a name that is none", function()
    for _, stranger in ipairs(strangers) do
      local what, value, kind = stranger[1], stranger[2], stranger[3]
      if kind ~= "table" then
        names(misuse(eventlog.new, nil, "log", value), "options", what)
      end
      if kind ~= "string" then
        names(misuse(eventlog.new, nil, value), "name", what)
      end
    end
    names(misuse(eventlog.new, nil, "log", false), "options", "false")
    names(misuse(eventlog.new, nil, ""), "name", "empty")
    names(misuse(eventlog.new, nil), "name", "nil")
  end)

  it("takes what means unlimited, and the smallest", function()
    for _, options in ipairs {
      {}, { max_length = 0, ttl = 0 }, { max_length = 1, ttl = 1e-9, batch_size = 1 },
      { idempotent = true, on_gap = "error" }, { idempotent = false, on_gap = "report" },
      { max_length = 3.0, batch_size = 2.0 },
    } do
      assert.is_truthy(eventlog.new(nil, "log", options))
    end
  end)

  it("shares a client, and makes its own of anything else", function()
    local client = eventlog.connect()
    local log = eventlog.new(client, "a\0b")
    assert.equal(client, log.client)
    assert.equal("a\0b", log.name)
    assert.not_equal(client, eventlog.new(nil, "log").client)
  end)
end)

describe("a log", function()
  local log = eventlog.new(nil, "log")

  it("refuses an n that is no count", function()
    for _, method in ipairs { "tail_n", "tail_n_and_follow" } do
      for _, n in ipairs { NEGATIVE, FRACTION, NAN, INF, HUGE, "1", {}, true } do
        names(misuse(log[method], log, n), "n", tostring(n))
      end
      names(misuse(log[method], log), "n", "nil")
    end
  end)

  it("refuses an id that is none", function()
    local top = "18446744073709551615"
    for _, method in ipairs { "tail_from", "tail_after", "tail_from_and_follow",
      "tail_after_and_follow" } do
      for _, id in ipairs { "", "-", "1-", "-1", "x", "1-x", "1-1-1", "+1", " 1", "1 ",
        "1\n", "1-1\0", "0x1", "1.5", "$", "*", "18446744073709551616",
        top .. "-18446744073709551616", top .. "0", 1, 1.5, {}, true } do
        names(misuse(log[method], log, id), "id", tostring(id))
      end
      names(misuse(log[method], log), "id", "nil")
    end
  end)
end)

describe("what is shown", function()
  -- Where a client connects to, by its target.
  local shown = {
    { nil, "redis://127.0.0.1:6379" },
    { "redis://", "redis://127.0.0.1:6379" },
    { "redis://example.org", "redis://example.org:6379" },
    { "redis://u:secret@example.org:7000/3", "redis://example.org:7000" },
    { "redis://:secret@h", "redis://h:6379" },
    { "redis://[::1]:7000", "redis://[::1]:7000" },
    { "rediss://u:se%63ret@h", "rediss://h:6379" },
    { "unix://u:secret@/tmp/x.sock?db=2", "unix:///tmp/x.sock" },
    { { host = "h", port = 1, password = "secret" }, "redis://h:1" },
    { { host = "::1", username = "u", password = "secret" }, "redis://[::1]:6379" },
    { { path = "/x.sock", password = "secret" }, "unix:///x.sock" },
    { { url = "redis://h", password = "secret" }, "redis://h:6379" },
  }

  it("is the address, and never a password", function()
    for i = 1, #shown do
      local client = eventlog.connect(shown[i][1])
      local log = eventlog.new(client, "a log")
      for _, text in ipairs { tostring(client), tostring(log) } do
        assert(text:find(shown[i][2], 1, true), text)
        assert.is_nil(text:find("secret", 1, true))
      end
      assert(tostring(log):find("a log", 1, true))
    end
  end)

  it("is the version, of which there is one", function()
    assert.equal("eventlog " .. core.VERSION, eventlog._VERSION)
    assert(eventlog._VERSION:find("^eventlog %d+%.%d+%.%d+$"))
  end)
end)

describe("a target", function()
  local server

  setup(function() server = redis.start { tcp = true } end)
  teardown(function() server:stop() end)

  before_each(function()
    server:call("FLUSHALL")
    server:call("CONFIG", "SET", "requirepass", "")
    server:call("ACL", "SETUSER", "us:er@/", "on", ">p @:/%?#\1", "~*", "+@all")
  end)

  --- Adds through the target; in which databases entries then are.
  local function lands(target)
    assert(eventlog.new(target, "log"):add { f = 1 })
    local found = {}
    for db in server:call("INFO", "keyspace"):gmatch("db(%d+):keys=1,") do
      found[#found + 1] = db
    end
    return table.concat(found, " ")
  end

  it("reaches its server, user and database, in each form", function()
    local user = "us%3aer%40%2F:p%20%40%3A%2f%25%3F%23%01@"
    local tcp = "127.0.0.1:" .. server.port
    for _, case in ipairs {
      { "0", "redis://" .. tcp },
      { "0", "redis://" .. tcp .. "/" },
      { "3", "redis://" .. tcp .. "/3" },
      { "15", "redis://" .. user .. tcp .. "/15" },
      { "0", server.url },
      { "7", server.url .. "?db=7" },
      { "2", "unix://" .. user .. server.path .. "?db=2" },
      { "4", { url = server.url, db = 4 } },
      { "5", { path = server.path, db = 5, username = "us:er@/",
        password = "p @:/%?#\1" } },
      { "6", { host = "localhost", port = server.port, db = 6.0 } },
      { "8", { port = server.port, db = 8 } },
    } do
      server:call("FLUSHALL")
      local target = case[2]
      assert.equal(case[1], lands(target), type(target) == "string" and target or "")
    end
  end)

  it("takes a password without a user", function()
    server:call("CONFIG", "SET", "requirepass", "pass word")
    finally(function() server:call("CONFIG", "SET", "requirepass", "") end)
    for _, target in ipairs {
      "redis://:pass%20word@127.0.0.1:" .. server.port,
      "redis://default:pass%20word@127.0.0.1:" .. server.port,
      "unix://:pass%20word@" .. server.path,
      { path = server.path, password = "pass word" },
      { path = server.path, username = "default", password = "pass word" },
    } do
      assert(eventlog.new(target, "log"):add { f = 1 })
    end
  end)

  it("names the connection", function()
    local client = eventlog.connect { url = server.url, client_name = "ours" }
    assert(eventlog.new(client, "log"):add { f = 1 })
    assert(server:call("CLIENT", "LIST"):find(" name=ours ", 1, true))
    client:close()
  end)
end)
