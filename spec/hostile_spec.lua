--- Replies that no Redis gives: of another type than the operation's, half right,
--- or too many. Whatever it is, an operation returns an error and closes the
--- connection, and the next one is right.
---
--- What is no reply at all is in call_errors_spec.lua, what is cut off in faults/, how
--- much memory it takes in claims_spec.lua, and what reads the bytes in
--- csrc/tests and csrc/fuzz.

local eventlog = require "eventlog"
local played = require "spec.support.played"
local redis = require "spec.support.redis"
local scripts = require "eventlog.command.scripts"

local bulk, array, entry = played.bulk, played.array, played.entry

local OK = bulk "ok"
local PAGE = array(entry("5-1", "n", "1"), entry("5-2", "n", "2"))
local BACKWARDS = array(entry("5-2", "n", "2"), entry("5-1", "n", "1"))
local READ = array(array(bulk "log", PAGE))
local function info(changes)
  local parts = {}
  for name, value in pairs { length = ":3\r\n", ["last-generated-id"] = bulk "5-3",
    ["max-deleted-entry-id"] = bulk "0-0", ["entries-added"] = ":3\r\n",
    entries = array(entry("5-1", "n", "1")), groups = "*0\r\n" } do
    parts[#parts + 1] = bulk(name)
    parts[#parts + 1] = changes and changes[name] or value
  end
  return array((table.unpack or unpack)(parts))
end
local INFO = info()
local NOSCRIPT = "-NOSCRIPT No matching script\r\n"
local QUEUED = "+QUEUED\r\n"

-- Stands for what Redis answers where it is asked how that log stands, a list of
-- strings: look.
local LOOK = "(look)"
local look

setup(function()
  local server = redis.start()
  server:call("XADD", "log", "5-1", "n", "1")
  server:call("XADD", "log", "5-2", "n", "2")
  local text = server:call("EVAL", "return table.concat((function() " ..
    scripts.state.body .. " end)(), ',')", 1, "log", "5-2", 1)
  server:stop()
  look = {}
  for item in (text .. ","):gmatch("([^,]*),") do look[#look + 1] = item end
end)

local function encoded(strings)
  local items = {}
  for i, text in ipairs(strings) do items[i] = bulk(text) end
  return array((table.unpack or unpack)(items))
end

local function follow(method, ...)
  local args = { ... }
  return function(log)
    local follower = log[method](log, (table.unpack or unpack)(args))
    local batch, err = follower:next(60)
    if not batch then assert(select(2, follower:next(60)) == err, "it has not ended") end
    follower:close()
    return batch, err
  end
end

-- Each operation: its name, its log's options, what it does, and what Redis
-- answers, each with what it is: see `others` below. Replies without a name are
-- not varied.
local operations = {
  { "add", {}, function(log) return log:add { n = 1 } end, { bulk "5-1", "id" } },
  { "add of several", {}, function(log) return log:add({ n = 1 }, { n = 2 }) end,
    { "+OK\r\n" }, { QUEUED }, { QUEUED }, { QUEUED },
    { array(bulk "5-1", bulk "5-2", OK), "exec" } },
  { "add with a TTL", { ttl = 5 }, function(log) return log:add { n = 1 } end,
    { bulk "5-1", "id" } },
  { "add whose script is forgotten", { ttl = 5 }, function(log) return log:add { n = 1 } end,
    { NOSCRIPT }, { bulk "5-1", "id" } },
  { "idempotent add", { idempotent = true },
    function(log) return log:add({ n = 1 }, { n = 2 }) end,
    { array(OK, bulk "5-1", bulk "5-2"), "ids" } },
  { "add_if", {}, function(log) return log:add_if("5-0", { n = 1 }) end,
    { array(OK, bulk "5-1"), "ids" } },
  { "tail", {}, function(log) return log:tail() end, { PAGE, "page" } },
  { "tail in pages", { batch_size = 2 }, function(log) return log:tail() end,
    { PAGE, "page" }, { INFO, "info" },
    { array(entry("5-2", "n", "2"), entry("5-3", "n", "3")), "next-page" } },
  { "tail_n", {}, function(log) return log:tail_n(2) end, { BACKWARDS, "page" } },
  { "tail_n in pages", { batch_size = 1 }, function(log) return log:tail_n(2) end,
    { INFO, "info" }, { array(entry("5-2", "n", "2")), "page" },
    { BACKWARDS, "next-page" }, { INFO, "info" } },
  { "tail_from", {}, function(log) return log:tail_from("5") end, { PAGE, "page" } },
  { "tail_from of a limited log", { max_length = 9 },
    function(log) return log:tail_from("5") end, { BACKWARDS, "page" } },
  { "tail_after", {}, function(log) return log:tail_after("5") end, { PAGE, "page" } },
  { "length", {}, function(log) return log:length() end, { ":2\r\n", "integer" } },
  { "last_id", {}, function(log) return log:last_id() end, { INFO, "info" } },
  { "delete", {}, function(log) return log:delete() end, { ":1\r\n", "integer" } },
  { "tail_and_follow", {}, follow "tail_and_follow", { LOOK, "state" },
    { READ, "read" }, { LOOK, "look" } },
  { "tail_n_and_follow", {}, follow("tail_n_and_follow", 2), { LOOK, "state" },
    { BACKWARDS, "page" } },
  { "tail_n_and_follow(0)", {}, follow("tail_n_and_follow", 0), { LOOK, "state" } },
  { "tail_n_and_follow in pages", { batch_size = 1 }, follow("tail_n_and_follow", 2),
    { LOOK, "state" }, { BACKWARDS, "newest" }, { BACKWARDS, "newest" },
    { READ, "read" }, { LOOK, "look" } },
  { "tail_from_and_follow", {}, follow("tail_from_and_follow", "5"),
    { LOOK, "state" }, { READ, "read" }, { LOOK, "look" } },
  { "tail_after_and_follow", {}, follow("tail_after_and_follow", "5"),
    { LOOK, "state" }, { READ, "read" }, { LOOK, "look" } },
}

--- Does the operation, where Redis answers so, then asks the log's length, on
--- another connection unless that one was kept. Returns whether the operation
--- raised nothing, what it returned, and whether it closed its connection.
local function try(operation, replies)
  local client, streams = played.client({ reconnect_timeout = 0.001 }, replies,
    { ":7\r\n" })
  client.topology.abilities.has_multi = true -- it has met it
  local log = eventlog.new(client, "log", operation[2])
  local ok, result, err = pcall(operation[3], log)
  local closed = streams[1].closed
  streams[1].pieces = {}
  local length, why = log:length()
  if length ~= 7 then
    error(string.format("the next operation brings %s, %s", tostring(length),
      tostring(why)), 0)
  end
  client:close()
  return ok, result, err, closed
end

--- The operation's replies, its nth one replaced.
local function replies_of(operation, n, reply)
  local replies = {}
  for i = 4, #operation do replies[i - 3] = operation[i][1] end
  if n then replies[n] = reply end
  for i, text in ipairs(replies) do
    if text == LOOK then replies[i] = encoded(look) end
  end
  return replies
end

--- Each reply of each operation that is one of these ("any": whatever it is), in
--- turn: calls f(name, operation, n, kind).
local function each_reply(kinds, f)
  for _, operation in ipairs(operations) do
    for n = 1, #operation - 3 do
      local kind = operation[n + 3][2]
      if kind and (kinds == "any" or (" " .. kinds .. " "):find(" " .. kind .. " ", 1, true)) then
        f(operation[1] .. ", reply " .. n, operation, n, kind)
      end
    end
  end
end

--- Fails unless the operation, its nth reply replaced, is an error of that kind,
--- on a connection that is closed.
local function expect(name, operation, n, reply, expected)
  local function wrong(what)
    error(string.format("%s, as %q: %s", name, reply:sub(1, 200), what), 0)
  end
  local fine, ok, result, err, closed = pcall(try, operation, replies_of(operation, n, reply))
  if not fine then wrong(ok) end
  if not ok then wrong("raised " .. tostring(result)) end
  if result ~= nil then wrong("was taken") end
  if err.kind ~= expected then wrong("is of kind " .. err.kind .. ": " .. tostring(err)) end
  if expected == "protocol" and not closed then wrong("was not closed") end
  local is_add = operation[1]:find("add", 1, true) ~= nil
  if is_add and expected == "protocol" and err.outcome ~= "unknown" then
    wrong("has the outcome " .. tostring(err.outcome))
  end
end

describe("an operation", function()
  it("goes well where it is answered as Redis does", function()
    for _, operation in ipairs(operations) do
      local ok, result, err = try(operation, replies_of(operation))
      assert(ok and result ~= nil, operation[1] .. ": " .. tostring(err or result))
    end
  end)

  -- What a reply may be instead, and what it would be taken for, rightly.
  local others = {
    { "$-1\r\n", "read" }, { "*-1\r\n", "read" }, { "+OK\r\n" }, { "+\r\n" }, { QUEUED },
    { ":0\r\n", "integer" }, { ":1\r\n", "integer" }, { ":-9223372036854775808\r\n", "integer" },
    { bulk "5-1", "id look state" },
    { "*0\r\n", "page newest next-page read" },
    { array(":1\r\n") }, { array("$-1\r\n") }, { array("*0\r\n") }, { array("+OK\r\n") },
    { array(array(array(":1\r\n"))) }, { array(OK, ":1\r\n", ":2\r\n", OK) },
    { array(bulk "conflict") }, { array(bulk "conflict", ":1\r\n") },
    { array(OK, "$-1\r\n", "$-1\r\n", OK) }, { array(OK, "*0\r\n", "*0\r\n", OK) },
    { LOOK, "ids exec look state" }, { PAGE, "page newest next-page" }, { READ, "read" },
    { array(READ) }, { array(PAGE), "newest next-page" },
  }

  it("is an error where it is answered as another", function()
    for _, other in ipairs(others) do
      each_reply("any", function(name, operation, n, kind)
        if (" " .. (other[2] or "") .. " "):find(" " .. kind .. " ", 1, true) then return end
        expect(name, operation, n, other[1], "protocol")
      end)
    end
  end)

  it("is an error where it is answered as RESP3 would", function()
    for _, reply in ipairs {
      "%1\r\n+a\r\n:1\r\n", "~1\r\n:1\r\n", ">2\r\n+a\r\n+b\r\n", "#t\r\n", "_\r\n",
      ",1.5\r\n", ",inf\r\n", "(1\r\n", "=5\r\ntxt:a\r\n", "!3\r\nERR\r\n",
      "|1\r\n+a\r\n:1\r\n:1\r\n", "$?\r\n;1\r\na\r\n;0\r\n", "*?\r\n:1\r\n.\r\n",
      "%1\r\n" .. bulk "log" .. PAGE, array("_\r\n"), array(bulk "5-1", "#t\r\n"),
    } do
      each_reply("any", function(name, operation, n)
        expect(name, operation, n, reply, "protocol")
      end)
    end
  end)

  it("is an error where lengths and numbers are none", function()
    for _, reply in ipairs {
      "$-2\r\n", "*-2\r\n", "*-2147483648\r\n", "$9999999999\r\n", "*4294967296\r\n",
      "$9223372036854775807\r\n", "$18446744073709551616\r\n", "*99999999999999999999\r\n",
      ":9999999999999999999999\r\n", ":9223372036854775808\r\n", ":\r\n", "$\r\n", "*\r\n",
      ":1x\r\n", ":1.5\r\n", "$1e3\r\n", "$3\r\nabcd\r\n", "$4\r\nab\r\n\n\n", "$3\r\nabc\n\n",
      ":1\0\r\n", "\0:1\r\n", "$\0003\r\nabc\r\n", ("*1\r\n"):rep(9) .. ":1\r\n",
      ("*2\r\n:1\r\n"):rep(500), array("$-2\r\n"), array("*-2\r\n"),
    } do
      each_reply("any", function(name, operation, n)
        expect(name, operation, n, reply, "protocol")
      end)
    end
  end)

  it("is an error where it is answered with one, NUL bytes and all", function()
    for _, reply in ipairs { "-ERR no\r\n", "-\r\n", "-\0ERR\0\r\n", "-ERR \255\27[2J\r\n",
      "-" .. ("x"):rep(60000) .. "\r\n" } do
      each_reply("any", function(name, operation, n)
        expect(name, operation, n, reply, "server")
      end)
    end
  end)

  it("is an error where entries are not whole", function()
    local first = entry("5-2", "n", "2")
    for _, bad in ipairs {
      entry("x", "n", "1"), entry("", "n", "1"), entry("5-1-1", "n", "1"),
      entry("5\0001", "n", "1"), entry("18446744073709551616-1", "n", "1"), entry("5-1", "n"),
      entry("5-1", "n", "1", "m"), ":1\r\n", "*0\r\n", "$-1\r\n", bulk "5-1",
      array(bulk "5-1"), array(bulk "5-1", "$-1\r\n"), array(bulk "5-1", bulk "x"),
      array(":5\r\n", array(bulk "n", bulk "1")), array(bulk "5-1", array(bulk "n", ":1\r\n")),
      array(bulk "5-1", array("$-1\r\n", "$-1\r\n")),
      array(bulk "5-1", array("+n\r\n", "+1\r\n")),
      array(bulk "5-1", array(array(bulk "n", bulk "1"), bulk "x")),
      array(bulk "5-1", array(bulk "n", bulk "1"), bulk "more"),
    } do
      each_reply("page", function(name, operation, n)
        expect(name, operation, n, array(bad), "protocol")
      end)
      each_reply("page next-page", function(name, operation, n)
        expect(name, operation, n, array(first, bad), "protocol")
      end)
      each_reply("read", function(name, operation, n)
        expect(name, operation, n, array(array(bulk "log", array(bad))), "protocol")
      end)
    end
    for _, reply in ipairs {
      array(array(bulk "log")), array(array(bulk "log", "*-1\r\n")), array(array(":1\r\n", PAGE)),
      array(array(bulk "log", PAGE), array(bulk "log", PAGE)), array(array("$-1\r\n", PAGE)),
      array(bulk "log", PAGE), array(array(bulk "log", PAGE, PAGE)),
    } do
      each_reply("read", function(name, operation, n)
        expect(name, operation, n, reply, "protocol")
      end)
    end
  end)

  it("is an error where the item behind the last entry of a batch is none", function()
    local log = eventlog.new(played.client({},
      { array(entry("5-1", "n", "1")), array(array(bulk "log", array(entry("5-1", "n", "1"),
        "$-1\r\n"))) }), "log", { batch_size = 1 })
    local follower = log:tail_and_follow()
    local batch, err
    repeat batch, err = follower:next(1) until not batch
    assert.equal("protocol", err.kind)
  end)

  it("is an error that names max_reply where it is larger", function()
    local big = bulk(("x"):rep(1000))
    for _, operation in ipairs(operations) do
      local client = played.client({ max_reply = 900 }, { big })
      local log = eventlog.new(client, "log", operation[2])
      local result, err = operation[3](log)
      assert.is_nil(result, operation[1])
      assert.equal("protocol", err.kind, operation[1])
      assert.is_true(err.too_large, operation[1])
      assert.matches("max_reply", err.message, 1, true)
    end
  end)

  it("is an error where there are more entries than it asked for", function()
    local entries = {}
    for i = 1, 1010 do entries[i] = entry("5-" .. i, "n", "1") end
    local many = string.format("*%d\r\n%s", #entries, table.concat(entries))
    each_reply("page next-page newest", function(name, operation, n)
      expect(name, operation, n, many, "protocol")
    end)
    each_reply("read", function(name, operation, n)
      expect(name, operation, n, array(array(bulk "log", many)), "protocol")
    end)
  end)

  it("is an error where an id is none", function()
    for _, id in ipairs { "", "abc", "5-", "-1", "5-1\0", " 5-1", "5-1-1", "$", "*",
      "18446744073709551616-0" } do
      each_reply("id", function(name, operation, n)
        expect(name, operation, n, bulk(id), "protocol")
      end)
      each_reply("exec", function(name, operation, n)
        expect(name, operation, n, array(OK, bulk "5-1", bulk(id), OK), "protocol")
      end)
      each_reply("ids", function(name, operation, n)
        expect(name, operation, n, array(OK, bulk(id), bulk "5-1"), "protocol")
        expect(name, operation, n, array(bulk "conflict", bulk(id)), "protocol")
      end)
    end
  end)

  it("is an error where it asks how the log stands, and is told nonsense", function()
    local all = array(entry("5-1", "n", "1"))
    for name, values in pairs {
      length = { ":-1\r\n", ":9223372036854775807\r\n", bulk "3", "$-1\r\n", "*0\r\n", all },
      ["last-generated-id"] = { bulk "", bulk "x", bulk "5-", ":5\r\n", "$-1\r\n", "*0\r\n" },
      length_alone = { 0 },
    } do
      for _, value in ipairs(values) do
        local reply = value == 0 and array(bulk "length", ":3\r\n") or info { [name] = value }
        each_reply("info", function(operation_name, operation, n)
          expect(operation_name, operation, n, reply, "protocol")
        end)
      end
    end
    each_reply("info", function(name, operation, n)
      for _, reply in ipairs { array(bulk "length"), array(bulk "length", ":3\r\n", bulk "x"),
        array(":1\r\n", ":3\r\n"), array(all, all), array(OK, "$-1\r\n"), PAGE,
        array((table.unpack or unpack)((function()
          local many = {}
          for i = 1, 130 do many[i] = OK end
          return many
        end)())) } do
        expect(name, operation, n, reply, "protocol")
      end
    end)
  end)

  it("is an error where a script or EXEC answers something else", function()
    for _, reply in ipairs {
      array(bulk "a", bulk "5-1", bulk "5-2"), array(OK), array(bulk "5-1", bulk "5-2", OK),
      array(OK, bulk "5-1", bulk "5-2", bulk "5-3"), array(bulk "conflict", bulk "5-1", bulk "5-2"),
    } do
      each_reply("ids", function(name, operation, n)
        expect(name, operation, n, reply, "protocol")
      end)
    end
    each_reply("exec", function(name, operation, n)
      expect(name, operation, n, array(OK, bulk "5-1", bulk "5-2", OK, OK), "protocol")
      expect(name, operation, n, array(bulk "5-1", bulk "5-2", bulk "5-3", OK), "protocol")
    end)
  end)

  it("is an error where it looks at the log, and sees nothing", function()
    for _, reply in ipairs { bulk "", bulk "no", bulk "5-2", bulk "OK", array(OK) } do
      each_reply("look state", function(name, operation, n)
        expect(name, operation, n, reply, "protocol")
      end)
    end
    each_reply("state", function(name, operation, n)
      -- A length is for who knows more.
      for _, reply in ipairs { OK, bulk "2" } do expect(name, operation, n, reply, "protocol") end
    end)
  end)

  -- Which of it matters differs; but nothing may raise.
  it("is an error, if anything, where it looks at the log, and sees nonsense", function()
    for place = 0, #look do
      for _, text in ipairs { "", "x", "5", "-1", "nan", "inf", "1e999", "5-2\0",
        "18446744073709551615-18446744073709551615", ("9"):rep(400) } do
        local nonsense = {}
        for i, right in ipairs(look) do
          nonsense[i] = (place == 0 or place == i) and text or right
        end
        each_reply("look state", function(name, operation, n)
          local reply = encoded(nonsense)
          local ok, result, err = try(operation, replies_of(operation, n, reply))
          assert(ok, string.format("%s, as %q: raised %s", name, reply, tostring(result)))
          assert(result or err.kind == "protocol", name .. ": " .. tostring(err))
        end)
      end
    end
  end)

  it("that is answered too much is right, on a connection nobody else gets", function()
    for _, more in ipairs { ":9\r\n", bulk "6-1", "-ERR more\r\n", "$", "*2\r\n:1\r\n", "\0",
      "HTTP/1.1 200 OK\r\n" } do
      for _, operation in ipairs(operations) do
        local replies = replies_of(operation)
        replies[#replies] = replies[#replies] .. more
        local ok, result, err, closed = try(operation, replies)
        local name = string.format("%s, and %q", operation[1], more)
        -- A follower whose next reply that is may have seen it already.
        if not operation[1]:find("follow") then
          assert(ok and result ~= nil, name .. ": " .. tostring(err or result))
        end
        assert(ok and closed, name)
      end
    end
  end)
end)
