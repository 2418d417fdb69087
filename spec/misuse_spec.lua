--- What a wrong call says: at its caller's line, in one line, and what to write
--- instead. (spec/support/misuse.lua fails where the line is another one.)

local core = require "eventlog.core"
local eventlog = require "eventlog"
local misuse = require "spec.support.misuse"

local client = eventlog.connect()
local log = eventlog.new(client, "log")
local follower = log:tail_and_follow()
local _, failure = eventlog.new("unix:///nowhere/at/all", "log"):length()

local unpack = table.unpack or unpack

local methods = {
  log = { "add", "add_many", "add_if", "tail", "tail_n", "tail_from", "tail_after",
    "length", "last_id", "delete", "tail_and_follow", "tail_n_and_follow",
    "tail_from_and_follow", "tail_after_and_follow" },
  client = { "close" },
  follower = { "next", "close" },
}
local objects = { log = log, client = client, follower = follower }

--- Calls f with these arguments: the message, which must be one line of text.
local function message_of(f, ...)
  local message = misuse(f, ...)
  assert.is_nil(message:find("%c"), message)
  assert.equal("eventlog: ", message:sub(1, 10))
  return message:sub(11)
end

describe("a method that is called", function()
  it("with a dot, or on nothing, says to write a colon", function()
    for noun, names in pairs(methods) do
      for _, name in ipairs(names) do
        for _, args in ipairs { {}, { { n = 1 } }, { "1-1" }, { 5 }, { print },
          { setmetatable({}, { __index = objects[noun] }) } } do
          assert.equal(string.format("%s.%s(...) was not called on a %s: write " ..
            "%s:%s(...), with a colon", noun, name, noun, noun, name),
            message_of(objects[noun][name], unpack(args)))
        end
      end
    end
  end)

  it("on another of our objects says what has that method", function()
    local makers = {
      log = "eventlog.new()", client = "eventlog.connect()",
      follower = "log:tail_and_follow() and its like",
    }
    for noun, names in pairs(methods) do
      for _, name in ipairs(names) do
        for other, object in pairs(objects) do
          if other ~= noun then
            assert.equal(string.format("%s() is a method of a %s, not of a %s: " ..
              "call it on what %s returns", name, noun, other, makers[noun]),
              message_of(objects[noun][name], object, "1-1"))
          end
        end
      end
    end
    assert(message_of(log.tail, failure):find("a log, not of an error", 1, true))
  end)

  it("in a `for` without having been called says to write a colon", function()
    local ok, why = pcall(function()
      for batch in log.tail_and_follow do assert(batch) end
    end)
    assert.is_false(ok)
    assert.matches("write log:tail_and_follow(...)", why, 1, true)
  end)

  it("is found out before anything is sent, or closed", function()
    assert.is_false(client.closed)
    assert.is_nil(follower.ended)
  end)
end)

describe("a function of the module", function()
  it("that is called with a colon says to write a dot", function()
    for name, usage in pairs {
      new = "eventlog.new(target, name, options)", connect = "eventlog.connect(target)",
      check = "eventlog.check(value, err)",
    } do
      assert.equal("eventlog's functions are called with a dot: write " .. usage,
        message_of(eventlog[name], eventlog, "log", "name"))
    end
  end)
end)

-- The arguments of eventlog.new, and what is said of them.
local handles = {
  { "target must be a client, a URL or a table of options, not a log: give log.client",
    log, "name" },
  { "target must be a client, a URL or a table of options, not a follower",
    follower, "name" },
  { "target must be a client, a URL or a table of options, not an error", failure, "name" },
  { "target must be a client, a URL or a table of options, not 7", 7, "name" },
  { "target must be a client, a URL or a table of options, not false", false, "name" },
  { "target must be a client, a URL or a table of options, not a function", print, "name" },
  { "bad url \"weather\": it must begin with redis://, rediss:// or unix://", "weather" },
  { "bad url \"http://example.org/\\n\": it must begin with redis://, rediss:// or unix://",
    "http://example.org/\n", "name" },
  { "option \"url\" must be a string, neither empty nor with a NUL byte, not \"\"", "", "name" },
  { "name must be a string that is not empty, not \"\": write " ..
    "eventlog.new(target, name), where the name is the log's key in Redis", nil, "" },
  { "name must be a string that is not empty, not nil: write " ..
    "eventlog.new(target, name), where the name is the log's key in Redis" },
  { "name must be a string that is not empty, not 12: write " ..
    "eventlog.new(target, name), where the name is the log's key in Redis", nil, 12 },
  { "name must be a string that is not empty, not a table: write " ..
    "eventlog.new(target, name), where the name is the log's key in Redis", nil, {} },
  { "options must be a table, not \"idempotent\"", nil, "name", "idempotent" },
  { "options must be a table, not a client", nil, "name", client },
  { "a log has no option \"port\": it is one of a client: eventlog.connect(options)",
    nil, "name", { port = 1 } },
  { "a log has no option 1: write { name = value }", nil, "name", { "idempotent" } },
  { "option \"on_gap\" must be \"report\" or \"error\", not \"ignore\"", nil, "name",
    { on_gap = "ignore" } },
  { "option \"ttl\" must be a number of seconds, 0 or more, not \"60\"", nil, "name",
    { ttl = "60" } },
  { "a client has no option \"ttl\": it is one of a log: " ..
    "eventlog.new(target, name, options)", { ttl = 5 }, "name" },
  { "a client has no option 1: write { name = value }", { "redis://:secret@h" }, "name" },
  { "a client has no option true: write { name = value }", { [true] = 1 }, "name" },
  { "option \"driver\" must be \"blocking\", \"openresty\", \"cqueues\", \"copas\", " ..
    "\"luv\" or a function wait(fd, mode, timeout), not \"lib\\nevent\"",
    { driver = "lib\nevent" }, "name" },
  { "option \"host\" must be a string, neither empty nor with a NUL byte, not \"h\\000\"",
    { host = "h\0" }, "name" },
  { "option \"password\" must be a string that is not empty, not a table",
    { password = {} }, "name" },
}

describe("eventlog.new and eventlog.connect", function()
  it("say what is wrong, and with what", function()
    for _, case in ipairs(handles) do
      assert.equal(case[1], message_of(eventlog.new, unpack(case, 2, 4)))
      if case[1]:find("^target") or case[1]:find("^bad url") then
        assert.equal(case[1], message_of(eventlog.connect, case[2]))
      end
    end
  end)

  it("name the options that there are", function()
    for _, case in ipairs {
      { "a client has no option \"hosst\"; it has client_name, connect_timeout, ",
        { hosst = "h" }, "name" },
      { "a log has no option \"max_lenght\"; it has batch_size, ", nil, "name",
        { max_lenght = 5 } },
      { "a log has no option \"a\\nb\"; it has batch_size, ", nil, "name", { ["a\nb"] = 5 } },
    } do
      local message = message_of(eventlog.new, unpack(case, 2, 4))
      assert.equal(case[1], message:sub(1, #case[1]))
    end
  end)

  it("take a client for what it is", function()
    assert.equal(client, eventlog.connect(client))
    assert.equal(client, eventlog.new(client, "x").client)
  end)

  it("show a bad URL without what may be a password in it", function()
    for url, shown in pairs {
      ["http://u:secret@h"] = "http://u:***@h",
      ["redis:/secret@h"] = "redis:/***@h",
      ["redis://:secret@h:x"] = "redis://:***@h:x",
      ["redis://u:se@cr@et@h:x"] = "redis://u:***@h:x",
      ["redis://:se/cr@et@h/x"] = "redis://:***@h/x",
      ["redis://secret@h:0"] = "redis://***@h:0",
      ["redis://:secret%zz@h"] = "redis://:***@h",
      ["redis://:secret"] = "redis://:***",
      ["redis://user:secret"] = "redis://user:***",
      ["redis://user:se/cret"] = "redis://user:***",
      ["user:secret@h"] = "user:***@h",
      ["unix://u:secret@"] = "unix://u:***@",
      ["unix://u:secret@/p?db=x"] = "unix://u:***@/p?db=x",
      ["redis://h?db=1&password=secret"] = "redis://h?db=1&password=***",
      ["redis://h:70000/1"] = "redis://h:70000/1",
      ["redis://h:1/2/3"] = "redis://h:1/2/3",
      ["redis://[::1"] = "redis://[::1",
      ["unix://relative"] = "unix://relative",
    } do
      local message = message_of(eventlog.connect, url)
      local expected = 'bad url "' .. shown .. '": '
      assert.equal(expected, message:sub(1, #expected))
      assert.equal(message, message_of(eventlog.new, url, "name"))
      assert.equal(message, message_of(eventlog.connect, { url = url }))
    end
    assert.equal("option \"url\" must be a string, neither empty nor with a NUL byte, " ..
      "not \"redis://:***@h\\000\"", message_of(eventlog.connect, "redis://:secret@h\0"))
  end)
end)

-- A method's arguments, and what is said of them.
local calls = {
  { "entry #1 must be a table, not nil", "add", nil, n = 1 },
  { "entry #1 must be a table, not string", "add", "text" },
  { "entry #2 must be a table, not number", "add", { a = 1 }, 5 },
  { "entry #1, field \"a\\nb\": a value must be a string, a number or a boolean, " ..
    "not table", "add", { ["a\nb"] = {} } },
  { "entry #1, field #1: the name must be a string; a list of entries is for add_many",
    "add", { { a = 1 }, { a = 2 } } },
  { "entries must be a list of entries, not nil", "add_many" },
  { "entries must be a list of entries, not \"text\"", "add_many", "text" },
  { "entries must be a list of entries without holes or other keys; for a single " ..
    "entry use add", "add_many", { n = 1 } },
  { "add_many takes one list of entries: write log:add_many({ entry, ... }) or " ..
    "log:add(entry, ...)", "add_many", { { n = 1 } }, { { n = 2 } } },
  { "last_id must be a string \"<ms>-<seq>\" or \"<ms>\", not a table", "add_if", { n = 1 } },
  { "last_id must be a string \"<ms>-<seq>\" or \"<ms>\", not nil", "add_if" },
  { "id must be a string \"<ms>-<seq>\" or \"<ms>\", not \"a\\nb\"", "tail_from", "a\nb" },
  { "id must be a string \"<ms>-<seq>\" or \"<ms>\", not nil", "tail_after" },
  { "id must be a string \"<ms>-<seq>\" or \"<ms>\", not 5", "tail_from_and_follow", 5 },
  { "id must be a string \"<ms>-<seq>\" or \"<ms>\", not true", "tail_after_and_follow", true },
  { "n must be an integer, 0 or more, not nil", "tail_n" },
  { "n must be an integer, 0 or more, not \"5\"", "tail_n", "5" },
  { "n must be an integer, 0 or more, not -1", "tail_n_and_follow", -1 },
}

describe("a method's argument that is wrong", function()
  it("is named, and shown", function()
    for _, case in ipairs(calls) do
      assert.equal(case[1], message_of(log[case[2]], log, unpack(case, 3, case.n and 3 or #case)))
    end
    if #setmetatable({}, { __len = function() return 2 end }) == 2 then -- not on 5.1
      local proxy = setmetatable({}, { __len = function() return 2 end,
        __index = function() return { a = 1 } end })
      assert.truthy(message_of(log.add_many, log, proxy):find("without holes", 1, true))
    end
    for value, shown in pairs { [-1] = "-1", [true] = "true", ["1"] = "\"1\"" } do
      assert.equal("timeout must be a number of seconds, 0 or more, not " .. shown,
        message_of(follower.next, follower, value))
    end
  end)
end)

describe("eventlog.check", function()
  it("returns what it was given, as many as there were", function()
    assert.equal(1, select("#", eventlog.check("a")))
    local a, b, c, d = eventlog.check(false, nil, 3, nil)
    assert.same({ false, nil, 3, nil }, { a, b, c, d })
    assert.equal(4, select("#", eventlog.check(0, nil, 3, nil)))
    assert.equal(follower, (eventlog.check(follower)))
  end)

  it("raises the error itself, whatever it is", function()
    for _, err in ipairs { failure, "text", {}, 5, false } do
      local ok, why = pcall(eventlog.check, nil, err)
      assert.is_false(ok)
      assert.equal(err, why)
    end
    assert.equal("nothing to check: write eventlog.check(log:add(...))",
      message_of(eventlog.check, nil))
  end)
end)

describe("an error", function()
  it("can be joined to a text, on either side", function()
    assert.equal("failed: " .. tostring(failure), "failed: " .. failure)
    assert.equal(tostring(failure) .. "!", failure .. "!")
    assert.equal(tostring(failure) .. tostring(failure), failure .. failure)
    assert.equal(tostring(failure) .. 5, failure .. 5)
  end)
end)

describe("what messages quote", function()
  it("is one line of text, whatever it was", function()
    for text, quoted in pairs {
      [""] = '""', ["a b"] = '"a b"', ['"\\'] = '"\\"\\\\"',
      ["\a\b\t\n\v\f\r"] = '"\\a\\b\\t\\n\\v\\f\\r"', ["\0001\27[m\127"] = '"\\0001\\027[m\\127"',
      ["\195\188 \226\130\172 \240\159\154\128"] = '"\195\188 \226\130\172 \240\159\154\128"',
      ["\194\155m"] = '"\\194\\155m"', ["\155"] = '"\\155"', ["\195"] = '"\\195"',
      ["\195("] = '"\\195("', ["\226\130"] = '"\\226\\130"', ["\255\254"] = '"\\255\\254"',
      ["\192\128"] = '"\\192\\128"',
    } do
      assert.equal(quoted, core.quote(text))
    end
  end)

  it("is cut where it is long, and not within a character", function()
    assert.equal('"' .. ("x"):rep(200) .. '"', core.quote(("x"):rep(200)))
    assert.equal('"' .. ("x"):rep(200) .. '"...', core.quote(("x"):rep(201)))
    assert.equal('"' .. ("x"):rep(199) .. '\195\188"...',
      core.quote(("x"):rep(199) .. "\195\188\195\188"))
  end)
end)
