local core = require "eventlog.core"

local TOP = "18446744073709551615"
local BIG = "9007199254740993" -- 2^53 + 1: no double holds it

describe("reverse", function()
  it("turns a list around, in place", function()
    for _, case in ipairs { { {}, {} }, { { 1 }, { 1 } }, { { 1, 2 }, { 2, 1 } },
      { { 1, 2, 3 }, { 3, 2, 1 } } } do
      local list = case[1]
      assert.equal(list, core.reverse(list))
      assert.same(case[2], list)
    end
  end)
end)

describe("list_length", function()
  it("is the number of items, and nil if there are holes or other keys", function()
    for _, case in ipairs { { {}, 0 }, { { 1 }, 1 }, { { 1, false, 3 }, 3 },
      { { [3] = 3, [2] = 2, [1] = 1 }, 3 }, { { 1, 2, x = 3 } }, { { [2] = 1 } },
      { { x = 1 } }, { { [0] = 0, 1 } }, { { 1, 2, [1.5] = 3 } }, { { 1, nil, 3 } } } do
      assert.equal(case[2], (core.list_length(case[1])))
    end
    assert.is_false(pcall(core.list_length, "abc"))
  end)
end)

describe("a method of an object", function()
  it("refuses what is not of its class, and says what is expected", function()
    local objects = { decoder = core.decoder(), request = core.request(),
      socket = core.silent(), timer = core.timer() }
    local methods = { decoder = "empty", request = "size", socket = "fd", timer = "fd" }
    for class, object in pairs(objects) do
      local method = object[methods[class]]
      method(object)
      local others = { io.stdout, {}, "eventlog." .. class, 1, print }
      for other, value in pairs(objects) do
        if other ~= class then table.insert(others, value) end
      end
      for i = 0, #others do
        local ok, err = pcall(method, others[i])
        assert.is_false(ok)
        assert.truthy(err:find("eventlog." .. class .. " expected", 1, true), err)
      end
    end
    objects.socket:close()
    objects.timer:close()
  end)
end)

describe("an id", function()
  it("is read in both forms, and written in one", function()
    for _, case in ipairs {
      { "0", "0-0" }, { "0-0", "0-0" }, { "5", "5-0" }, { "5-7", "5-7" },
      { "007-08", "7-8" }, { ("0"):rep(40) .. "1", "1-0" },
      { BIG, BIG .. "-0" }, { "1-" .. BIG, "1-" .. BIG },
      { TOP, TOP .. "-0" }, { TOP .. "-" .. TOP, TOP .. "-" .. TOP },
      { "0-" .. TOP, "0-" .. TOP }, { "9223372036854775808", "9223372036854775808-0" },
    } do
      assert.equal(case[2], core.id(case[1]))
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs {
      "", "-", "1-", "-1", "1--1", "1-1-1", "1-1-", "+1", "1-+1", " 1", "1 ", "1\n",
      "1- 1", "\0", "1\0", "1-1\0", "0x1", "1e3", "1.0", "a", "1-a", "*", "1-*", "$",
      "(1-1", "18446744073709551616", "1-18446744073709551616", TOP .. "0",
      "184467440737095516150", "99999999999999999999", "1-99999999999999999999",
    } do
      assert.is_nil((core.id(text)), text)
    end
    for _, value in ipairs { 1, 1.5, true, {}, print } do
      assert.is_nil((core.id(value)))
    end
    assert.is_nil((core.id(nil)))
    assert.is_nil((core.id(false)))
  end)

  -- Neighbours, lowest first; nil where there is none.
  local neighbours = {
    { nil, "0-0" }, { "0-0", "0-1" }, { "0-9", "0-10" }, { "1-1", "1-2" },
    { "0-4294967295", "0-4294967296" },
    { "7-" .. BIG, "7-9007199254740994" },
    { "7-9223372036854775807", "7-9223372036854775808" },
    { "0-" .. TOP, "1-0" }, { "4294967295-" .. TOP, "4294967296-0" },
    { "9007199254740992-" .. TOP, BIG .. "-0" },
    { "9223372036854775807-" .. TOP, "9223372036854775808-0" },
    { "18446744073709551614-" .. TOP, TOP .. "-0" },
    { TOP .. "-18446744073709551614", TOP .. "-" .. TOP },
    { TOP .. "-" .. TOP, nil },
  }

  it("has a next and a previous one", function()
    for i = 1, #neighbours do
      local low, high = neighbours[i][1], neighbours[i][2]
      if low then assert.equal(high, (core.id_next(low))) end
      if high then assert.equal(low, (core.id_prev(high))) end
    end
  end)

  it("is compared as two numbers", function()
    local rising = {
      "0-0", "0-1", "0-2", "0-10", "0-" .. TOP, "1-0", "2-0", "10-0", "10-1",
      "9007199254740992-0", BIG .. "-0", "9223372036854775807-1",
      "9223372036854775808-0", TOP .. "-0", TOP .. "-9223372036854775808",
      TOP .. "-18446744073709551614", TOP .. "-" .. TOP,
    }
    for i, a in ipairs(rising) do
      for j, b in ipairs(rising) do
        local order = core.id_compare(a, b)
        assert(i < j and order < 0 or i == j and order == 0 or i > j and order > 0,
          a .. " and " .. b)
      end
    end
    assert.equal(0, core.id_compare("5", "5-0"))
  end)

  it("is checked where it is used", function()
    for _, bad in ipairs { "x", 5, "" } do
      assert.error_matches(function() core.id_next(bad) end, "an id")
      assert.error_matches(function() core.id_prev(bad) end, "an id")
      assert.error_matches(function() core.id_compare("1", bad) end, "an id")
      assert.error_matches(function() core.id_compare(bad, "1") end, "an id")
    end
  end)
end)

describe("a URL", function()
  local good = {
    ["redis://"] = {},
    ["redis:///"] = {},
    ["redis://h"] = { host = "h" },
    ["redis://h/"] = { host = "h" },
    ["redis://h:1"] = { host = "h", port = 1 },
    ["redis://:7000"] = { port = 7000 },
    ["redis://10.0.0.1:65535/0"] = { host = "10.0.0.1", port = 65535, db = 0 },
    ["redis:///5"] = { db = 5 },
    ["redis://h/2147483647"] = { host = "h", db = 2147483647 },
    ["redis://[::1]"] = { host = "::1" },
    ["redis://[2001:db8::7]:7000/1"] = { host = "2001:db8::7", port = 7000, db = 1 },
    ["redis://u:p@[::1]:1"] = { host = "::1", port = 1, username = "u", password = "p" },
    ["redis://u@h"] = { host = "h", username = "u" },
    ["redis://u:@h"] = { host = "h", username = "u" },
    ["redis://:p@h"] = { host = "h", password = "p" },
    ["redis://:p@"] = { password = "p" },
    ["redis://@h"] = { host = "h" },
    ["redis://:@h"] = { host = "h" },
    ["redis://u:p:q@h"] = { host = "h", username = "u", password = "p:q" },
    ["redis://u:p@q@h"] = { host = "h", username = "u", password = "p@q" },
    ["redis://a%3Ab:c%40%2f%25%e2%98%83@h"] =
      { host = "h", username = "a:b", password = "c@/%\226\152\131" },
    ["redis://u:p%0d%0a+@h"] = { host = "h", username = "u", password = "p\r\n+" },
    ["rediss://u:p@h:1/2"] =
      { host = "h", port = 1, db = 2, username = "u", password = "p", tls = true },
    ["unix:///x"] = { path = "/x" },
    ["unix:///a/b.sock?db=12"] = { path = "/a/b.sock", db = 12 },
    ["unix://u:p%2F@/a@b%20c"] = { path = "/a@b%20c", username = "u", password = "p/" },
    ["unix://:p@/x?db=0"] = { path = "/x", password = "p", db = 0 },
    ["unix://u@/x"] = { path = "/x", username = "u" },
  }

  it("is taken apart", function()
    for url, parts in pairs(good) do
      parts.tls = parts.tls or false
      assert.same(parts, core.url(url))
    end
  end)

  -- Each with a word of what it is refused for.
  local bad = {
    [""] = "begin with", ["h"] = "begin with", ["http://h"] = "begin with",
    ["redis:/h"] = "begin with", ["redis:h"] = "begin with", [" redis://h"] = "begin with",
    ["redis://h\0"] = "NUL", ["redis://u%00@h"] = "percent",
    ["redis://u%@h"] = "percent", ["redis://u%4@h"] = "percent",
    ["redis://u:%zz@h"] = "percent", ["unix://u%4@/x"] = "percent",
    ["redis://h:"] = "port", ["redis://h:0"] = "port", ["redis://h:65536"] = "port",
    ["redis://h:-1"] = "port", ["redis://h:1x"] = "port", ["redis://h: 1"] = "spaces",
    ["redis://a b"] = "spaces", ["redis://h?db=1"] = "host", ["redis://h#1"] = "host",
    ["redis://h:99999999999999999999"] = "port",
    ["redis://::1"] = "brackets", ["redis://[::1"] = "brackets",
    ["redis://[]"] = "brackets", ["redis://[::1]1"] = "brackets",
    ["redis://h/x"] = "/db", ["redis://h/-1"] = "/db", ["redis://h/1/"] = "/db",
    ["redis://h/2147483648"] = "/db", ["redis://h/1?x"] = "/db",
    ["unix://"] = "path", ["unix:///"] = "path", ["unix://x"] = "path",
    ["unix://x/y"] = "absolute", ["unix://u:p@"] = "path", ["unix://u:p@x/y"] = "absolute",
    ["unix:///x?"] = "db=N", ["unix:///x?db="] = "db=N", ["unix:///x?db=a"] = "db=N",
    ["unix:///x?dbx=1"] = "db=N", ["unix:///x?db=1&db=2"] = "db=N",
    ["unix:///x?db=2147483648"] = "db=N",
  }

  it("is refused where it is wrong, and told why", function()
    for url, word in pairs(bad) do
      local parts, why = core.url(url)
      assert.is_nil(parts, url)
      assert(why:find(word, 1, true), url .. ": " .. why)
    end
  end)
end)

--- A command as it must be sent.
local function command(...)
  local out = { "*" .. select("#", ...) .. "\r\n" }
  for i = 1, select("#", ...) do
    local word = (select(i, ...))
    out[#out + 1] = "$" .. #word .. "\r\n" .. word .. "\r\n"
  end
  return table.concat(out)
end

describe("a request", function()
  it("is empty at first, and again after clear", function()
    local request = core.request()
    assert.equal("", request:bytes())
    assert.equal(0, request:size())
    request:command("PING")
    request:clear()
    assert.equal("", request:bytes())
    assert.equal(0, request:size())
  end)

  it("holds commands, one behind the other, of any bytes", function()
    local any = "\0\r\n$*\255"
    local request = core.request()
    request:command("PING")
    request:command("XRANGE", any, "", "+", "COUNT", 1000)
    request:command("X", 0, -1, 2 ^ 53, -2 ^ 53, 2 ^ 31)
    local bytes = command("PING") .. command("XRANGE", any, "", "+", "COUNT", "1000") ..
      command("X", "0", "-1", "9007199254740992", "-9007199254740992", "2147483648")
    assert.equal(bytes, request:bytes())
    assert.equal(#bytes, request:size())
  end)

  it("writes lengths of every size", function()
    for _, len in ipairs { 0, 1, 9, 10, 99, 100, 4095, 65536, 1000000 } do
      local request = core.request()
      request:command(("x"):rep(len))
      assert.equal(command(("x"):rep(len)), request:bytes())
    end
    local words = {}
    for i = 1, 120 do words[i] = tostring(i) end
    local request = core.request()
    request:command((table.unpack or unpack)(words))
    assert.equal(command((table.unpack or unpack)(words)), request:bytes())
  end)

  it("tells what is left to send", function()
    local request = core.request()
    request:command("PING")
    local bytes = request:bytes()
    request:sent(0)
    request:sent(3)
    assert.equal(bytes:sub(4), request:bytes())
    assert.equal(#bytes - 3, request:size())
    assert.has_error(function() request:sent(#bytes - 2) end)
    assert.has_error(function() request:sent(-1) end)
    request:sent(#bytes - 3)
    assert.equal(0, request:size())
    request:command("PING")
    assert.equal(bytes, request:bytes())
  end)

  it("appends a whole read of a log", function()
    local request = core.request()
    for _, key in ipairs { "log", "", "a\r\nb\0", ("k"):rep(5000) } do
      local read = { "XREAD", "COUNT", "1001", "STREAMS", key, "5-1" }
      local waiting = { "XREAD", "COUNT", "2", "BLOCK", "5000", "STREAMS", key, "5-1" }
      local unpack = table.unpack or unpack -- luacheck: std max
      assert.equal(1, request:read(key, "5-1", 1001))
      assert.equal(command(unpack(read)), request:bytes())
      assert.equal(1, request:read(key, "5-1", 2, 5000))
      assert.equal(command(unpack(read)) .. command(unpack(waiting)), request:bytes())
      request:clear()
      assert.equal(3, request:read(key, "5-1", 2, 5000, true))
      assert.equal(command(unpack(waiting)) .. command("XRANGE", key, "5-1", "5-1") ..
        command("XLEN", key), request:bytes())
      request:clear()
    end
    assert.is_false(pcall(request.read, request, "log", "5-1"))
  end)

  --- The bytes of these entries behind the head "XADD k *".
  local function encode(entries)
    local request = core.request()
    local bytes, argc = core.head("XADD", "k", "*")
    local widest = assert(request:entries(bytes, argc, entries, #entries))
    return request:bytes(), widest
  end

  it("holds entries: maps sorted by name, lists as they are", function()
    local xadd = { "XADD", "k", "*" }
    local function entry(...)
      local words = { xadd[1], xadd[2], xadd[3], ... }
      return command((table.unpack or unpack)(words))
    end
    local many, sorted = {}, {}
    for i = 1, 200 do
      local name = string.format("f%03d", i)
      many[name] = i
      sorted[2 * i - 1], sorted[2 * i] = name, tostring(i)
    end
    for _, case in ipairs {
      { { { a = "x" } }, entry("a", "x"), 1 },
      { { { b = 1, a = true, [""] = false, aa = "", B = "\0", ["a\0"] = 2, ["\255"] = 3 } },
        entry("", "0", "B", "\0", "a", "1", "a\0", "2", "aa", "", "b", "1", "\255", "3"), 7 },
      { { { { "b", 1 }, { "a", 2 }, { "b", 3 } } },
        entry("b", "1", "a", "2", "b", "3"), 3 },
      { { { a = 1 }, { { "z", "1" }, { "y", "2" } }, { c = 3 } },
        entry("a", "1") .. entry("z", "1", "y", "2") .. entry("c", "3"), 2 },
      { { many }, entry((table.unpack or unpack)(sorted)), 200 },
    } do
      local bytes, widest = encode(case[1])
      assert.equal(case[2], bytes)
      assert.equal(case[3], widest)
    end
  end)

  it("holds each entry as it would be held alone, whatever stands before it", function()
    local seed = 1
    local function random(n)
      seed = seed * 16807 % 2147483647
      return seed % n + 1
    end
    local names = { "a", "b", "aa", "", "event", "player", "room", "value", ("n"):rep(50) }
    for i = 1, 20 do names[#names + 1] = "name" .. i end
    local entries = {}
    for i = 1, 300 do
      local entry, kind = {}, random(10)
      if kind == 1 then
        for j = 1, random(20) do entry[j] = { names[random(#names)], i * j } end
      else -- of a few shapes, made in any order, with what was taken out again
        local first, count = random(3), random(kind == 2 and 26 or 4)
        for _ = 1, random(5) do entry[names[random(#names)]] = 0 end
        for name in pairs(entry) do entry[name] = nil end
        for j = count, 1, -1 do entry[names[(first * j) % #names + 1]] = i * j end
      end
      entries[i] = entry
    end
    local alone = {}
    for i, entry in ipairs(entries) do alone[i] = encode { entry } end
    assert.equal(table.concat(alone), (encode(entries)))
  end)

  it("takes nothing of a list with a bad entry, and what was there stays", function()
    local request = core.request()
    request:command("MULTI")
    local before = request:bytes()
    local bytes, argc = core.head("XADD", "k", "*")
    local ok, why = request:entries(bytes, argc, { { a = 1 }, { b = {} }, { c = 1 } }, 3)
    assert.is_nil(ok)
    assert(why:find("#2", 1, true) and why:find('"b"', 1, true), why)
    assert.equal(before, request:bytes())
    assert.equal(1, request:entries(bytes, argc, { { a = 1 } }, 1))
    assert.equal(before .. command("XADD", "k", "*", "a", "1"), request:bytes())
  end)
end)

describe("a decoder", function()
  --- An array's head, or the whole of any other reply.
  local function bulk(text) return "$" .. #text .. "\r\n" .. text .. "\r\n" end
  local function entry(id, ...)
    local out = { "*2\r\n", bulk(id), "*", select("#", ...), "\r\n" }
    for i = 1, select("#", ...) do out[#out + 1] = bulk((select(i, ...))) end
    return table.concat(out)
  end

  local any = "a\r\nb\0c$*:+-"
  local page = "*3\r\n" .. entry("1-0", "f", "1") .. entry("2-0", "f", any, "f", "last") ..
    entry(TOP .. "-" .. TOP, "", "", any, "x")
  local entries = {
    { id = "1-0", fields = { f = "1" } },
    { id = "2-0", fields = { f = "last" } },
    { id = TOP .. "-" .. TOP, fields = { [""] = "", [any] = "x" } },
  }

  -- Replies, the type of each, and what a method reads of it.
  local replies = {
    { "+OK\r\n", "status", { "value", "OK" } },
    { "-ERR no\r\n", "error", { "value", "ERR no" } },
    { "+\r\n", "status", { "value", "" } },
    { ":0\r\n", "integer", { "value", 0 } },
    { ":-42\r\n", "integer", { "value", -42 } },
    { ":9007199254740991\r\n", "integer", { "value", 9007199254740991 } },
    { "$-1\r\n", "nil", { "value", nil } },
    { "*-1\r\n", "nil", { "value", nil } },
    { bulk(""), "string", { "value", "" } },
    { bulk(any), "string", { "value", any } },
    { bulk(("x"):rep(20000)), "string", { "value", ("x"):rep(20000) } },
    { "*0\r\n", "array", { "value", nil } },
    { "*0\r\n", "array", { "strings", {}, 1, 0 } },
    { "*3\r\n" .. bulk("a") .. bulk("") .. bulk("c"), "array",
      { "strings", { "a", "", "c" }, 1, 3 } },
    { "*3\r\n+OK\r\n" .. bulk("b") .. bulk("c"), "array",
      { "strings", { "b", "c" }, 2, 2 } },
    { "*0\r\n", "array", { "entries", {}, "range", 0, 10 } },
    { page, "array", { "entries", entries, "range", 0, 10 } },
    { page, "array", { "entries", { entries[2] }, "range", 1, 1 } },
    { page, "array", { "entries", { entries[3] }, "range", 2, 1 } },
    { page, "array", { "entries", {}, "range", 3, 1 } },
    { page, "array", { "entries", {}, "range", 9, 9 } },
    { "*1\r\n*2\r\n" .. bulk("log") .. page, "array",
      { "entries", entries, "read", 0, 10 } },
    { "*-1\r\n", "nil", { "entries", {}, "read", 0, 10 } },
    { "*0\r\n", "array", { "entries", {}, "read", 0, 10 } },
    { "*0\r\n", "array", { "info", {} } },
    { "*10\r\n" .. bulk("text") .. bulk(any) .. bulk("number") .. ":-7\r\n" ..
      bulk("entries") .. page .. bulk("entry") .. "*2\r\n" .. bulk("9-1") .. "*0\r\n" ..
      bulk("none") .. "*0\r\n", "array",
      { "info", { text = any, number = -7, entries = entries[1].id, entry = "9-1" } } },
  }

  --- Holds the reply at hand against what it must be.
  local function check(decoder, kind, reply)
    assert.equal(reply[2], kind)
    local read = reply[3]
    local got = decoder[read[1]](decoder, (table.unpack or unpack)(read, 3, 5))
    assert.same(read[2], got)
  end

  it("gives whole replies from whole bytes", function()
    for _, reply in ipairs(replies) do
      local decoder = core.decoder()
      assert.is_false(decoder:next())
      assert.is_true(decoder:feed(reply[1]))
      check(decoder, decoder:next(), reply)
      assert.is_true(decoder:empty())
      assert.is_false(decoder:next())
    end
  end)

  it("gives the same from single bytes, and from halves", function()
    local decoder = core.decoder()
    for _, reply in ipairs(replies) do
      for i = 1, #reply[1] do
        assert.is_false(decoder:next())
        decoder:feed(reply[1]:sub(i, i))
      end
      check(decoder, decoder:next(), reply)
    end
    for _, reply in ipairs(replies) do
      local bytes = reply[1]
      for i = 1, math.min(#bytes, 300) - 1 do
        decoder:feed(bytes:sub(1, i))
        assert.is_false(decoder:next())
        assert.is_false(decoder:empty())
        decoder:feed("")
        decoder:feed(bytes:sub(i + 1))
        check(decoder, decoder:next(), reply)
        assert.is_true(decoder:empty())
      end
    end
  end)

  it("gives replies that came together one after the other", function()
    local bytes = {}
    for i, reply in ipairs(replies) do bytes[i] = reply[1] end
    local decoder = core.decoder()
    decoder:feed(table.concat(bytes))
    for i, reply in ipairs(replies) do
      assert.is_false(decoder:empty())
      decoder:trim() -- keeps what has come
      check(decoder, decoder:next(), reply)
      assert.equal(i == #replies, decoder:empty())
    end
    decoder:trim()
    assert.is_true(decoder:empty())
    decoder:feed(page)
    check(decoder, decoder:next(), { page, "array", { "entries", entries, "range", 0, 3 } })
  end)

  it("appends entries to a list", function()
    local decoder, into = core.decoder(), {}
    decoder:feed(page .. page)
    decoder:next()
    assert.equal(into, decoder:entries("range", 0, 10, into))
    decoder:next()
    decoder:entries("range", 1, 1, into)
    assert.same({ entries[1], entries[2], entries[3], entries[2] }, into)
  end)

  it("tells a page's count, last and first id, and the last one's size", function()
    local decoder = core.decoder()
    local last = TOP .. "-" .. TOP
    local size = #page - page:find("*2\r\n" .. bulk(last), 1, true) + 1
    for _, case in ipairs {
      { page, "range", 10, { 3, last, "1-0", size } },
      { page, "range", 2, { 3, "2-0", "1-0", size } },
      { page, "range", 3, { 3, last, "1-0", size } },
      { "*0\r\n", "range", 10, { 0 } },
      { "*1\r\n*2\r\n" .. bulk("log") .. page, "read", 10, { 3, last, "1-0", size } },
      { "*-1\r\n", "read", 10, { 0 } },
    } do
      decoder:feed(case[1])
      decoder:next()
      assert.same(case[4], { decoder:page(case[2], case[3]) })
    end
  end)

  it("makes a page's entries at once, unless there are more than asked for", function()
    local decoder = core.decoder()
    local read = "*1\r\n*2\r\n" .. bulk("log") .. page
    for _, case in ipairs { { page, "range" }, { read, "read" } } do
      decoder:feed(case[1])
      decoder:next()
      for _, fields in ipairs { "map", "pairs" } do
        for limit = 2, 4 do
          local expected = { decoder:page(case[2], limit) }
          if limit > 2 then
            expected[5] = decoder:entries(case[2], 0, limit, nil, fields == "pairs")
          end
          assert.same(expected, { decoder:page(case[2], limit, fields) })
        end
      end
    end
    for _, none in ipairs { { "*0\r\n", "range" }, { "*-1\r\n", "read" } } do
      decoder:feed(none[1])
      decoder:next()
      assert.same({ 0, nil, nil, nil, {} }, { decoder:page(none[2], 10, "map") })
    end
    -- It looks at each entry.
    decoder:feed("*3\r\n" .. entry("1-0", "f", "1") .. "*2\r\n" .. bulk("2-0") .. ":1\r\n" ..
      entry("3-0", "f", "3"))
    decoder:next()
    assert.equal(3, (decoder:page("range", 3)))
    local got, kind = decoder:page("range", 3, "map")
    assert.same({ nil, "protocol" }, { got, kind })
    assert.is_false(pcall(decoder.page, decoder, "range", 3, "list"))
  end)

  it("takes the replies of a probe that are there", function()
    local there, gone = "*1\r\n" .. entry("1-0", "f", "1"), "*0\r\n"
    for _, case in ipairs {
      { "", { 0 } },
      { there:sub(1, -2), { 0 } },
      { there, { 1, "array", 1 } },
      { gone, { 1, "array", 0 } },
      { there .. ":12", { 1, "array", 1 } },
      { there .. ":12\r\n", { 2, "integer", 1, 12 } },
      { gone .. ":0\r\n", { 2, "integer", 0, 0 } },
      { there .. ":12\r\n" .. page, { 2, "integer", 1, 12 } },
      { "-LOADING\r\n:1\r\n", { 1, "error" } },
      { ":1\r\n:1\r\n", { 1, "integer" } },
      { there .. "-NOPERM\r\n", { 2, "error", 1 } },
      { there .. gone, { 2, "array", 1 } },
      { page .. ":1\r\n", { nil, "protocol" } },
      { "HTTP/1.1\r\n", { nil, "protocol" } },
      { there .. "HTTP/1.1\r\n", { nil, "protocol" } },
    } do
      local decoder = core.decoder()
      decoder:feed("+before\r\n" .. case[1])
      assert.equal("status", decoder:next())
      local taken, type, found, length = decoder:probe()
      if taken == nil then found = nil end -- why
      assert.same(case[2], { taken, type, found, length }, case[1])
      if type == "error" then assert.matches("^%u+$", decoder:value()) end
    end
    local decoder = core.decoder() -- what is behind them comes next
    decoder:feed(there .. ":12\r\n" .. page)
    decoder:probe()
    assert.equal("array", decoder:next())
    assert.equal(3, decoder:length())
  end)

  it("finds the error among strings", function()
    local decoder = core.decoder()
    decoder:feed("*4\r\n+OK\r\n" .. bulk("1-0") .. "-OOM no\r\n+OK\r\n")
    decoder:next()
    assert.same({ nil, "server", "OOM no", 2 }, { decoder:strings(2, 2) })
    assert.same({ "1-0" }, decoder:strings(2, 1))
  end)

  it("refuses a reply of another shape than asked for", function()
    for _, bytes in ipairs {
      "+OK\r\n", ":1\r\n", bulk("x"), "*1\r\n:1\r\n", "*1\r\n*0\r\n", "*1\r\n" .. bulk("x"),
      "*1\r\n*2\r\n:1\r\n*0\r\n",
      "*1\r\n*2\r\n" .. bulk("1-0") .. ":1\r\n", "*1\r\n*2\r\n" .. bulk("1-0") .. "*-1\r\n",
      "*1\r\n" .. entry("1-0", "f"), "*1\r\n" .. entry("1-0", "f", "1", "g"),
      "*1\r\n*3\r\n" .. bulk("1-0") .. "*0\r\n*0\r\n",
      "*1\r\n*2\r\n" .. bulk("1-0") .. "*2\r\n" .. bulk("f") .. ":1\r\n",
      "*1\r\n*2\r\n" .. bulk("1-0") .. "*2\r\n*0\r\n" .. bulk("f"),
      "*2\r\n" .. entry("1-0", "f", "1") .. "+OK\r\n",
      "*1\r\n" .. entry("no id", "f", "1"), "*2\r\n*2\r\n" .. bulk("log") .. page .. "*0\r\n",
      "*1\r\n*3\r\n" .. bulk("log") .. page .. "*0\r\n",
    } do
      local decoder = core.decoder()
      decoder:feed(bytes)
      assert.is_truthy(decoder:next())
      for _, shape in ipairs { "range", "read" } do
        local got, kind, why = decoder:entries(shape, 0, 10)
        assert.same({ nil, "protocol" }, { got, kind }, bytes)
        assert.is_string(why)
      end
    end
    -- page() looks at the first and the last entry only, and not at their fields.
    for _, bytes in ipairs {
      "+OK\r\n", ":1\r\n", bulk("x"), "*1\r\n:1\r\n", "*1\r\n*0\r\n", "*1\r\n" .. bulk("x"),
      "*1\r\n*2\r\n:1\r\n*0\r\n", "*1\r\n*2\r\n" .. bulk("1-0") .. ":1\r\n",
      "*1\r\n" .. entry("no id", "f", "1"), "*1\r\n*3\r\n" .. bulk("log") .. page .. "*0\r\n",
    } do
      for _, shape in ipairs { "range", "read" } do
        local decoder = core.decoder()
        decoder:feed(bytes)
        decoder:next()
        local got, kind = decoder:page(shape, 10)
        assert.same({ nil, "protocol" }, { got, kind }, bytes)
      end
    end
    local longer = core.decoder()
    longer:feed(page)
    longer:next()
    local got, kind = longer:page("range", 1) -- one more than the limit may come, not two
    assert.same({ nil, "protocol" }, { got, kind })
    local decoder = core.decoder()
    for _, bytes in ipairs { "+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*0\r\n", "*0\r\n", "*-1\r\n" } do
      decoder:feed(bytes)
      decoder:next()
      got, kind = decoder:strings(1, 1)
      assert.same({ nil, "protocol" }, { got, kind }, bytes)
    end
  end)

  it("has no entry before [entry, nil], whatever the replies before it had", function()
    local decoder = core.decoder()
    for _ = 1, 2 do
      decoder:feed(page)
      decoder:next()
      assert.equal(3, (decoder:page("range", 10)))
      decoder:feed("*2\r\n" .. entry("9-0", "f", "1") .. "$-1\r\n")
      decoder:next()
      for limit = 0, 2 do
        local got, kind = decoder:page("range", limit)
        assert.same({ nil, "protocol" }, { got, kind })
      end
    end
  end)

  --- How many KB a call left to Lua's collector.
  local function weigh(f)
    collectgarbage()
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    f()
    local taken = collectgarbage("count") - before
    collectgarbage("restart")
    return taken
  end

  it("makes no table for what only claims to be an entry's fields", function()
    local many = 200000
    for _, item in ipairs { "+\r\n", ":1\r\n", "$-1\r\n", "*0\r\n" } do
      local fields = "*" .. 2 * many .. "\r\n" .. item:rep(2 * many)
      for _, bytes in ipairs {
        "*1\r\n*2\r\n" .. bulk "1-0" .. fields, "*" .. many .. "\r\n" .. item:rep(many),
      } do
        local decoder = core.decoder()
        decoder:feed(bytes)
        assert.equal("array", decoder:next())
        local got, kind
        local taken = weigh(function() got, kind = decoder:entries("range", 0, many) end)
        assert.same({ nil, "protocol" }, { got, kind }, item)
        assert(taken < 500, string.format("%q takes %.0f KB", item, taken))
      end
    end
  end)

  it("reads an entry of very many fields, and very many entries", function()
    local fields = {}
    for i = 1, 10000 do fields[i] = bulk("f" .. i) .. bulk("v" .. i) end
    local wide = "*2\r\n" .. bulk "1-0" .. "*20000\r\n" .. table.concat(fields)
    local decoder = core.decoder()
    decoder:feed("*10000\r\n" .. wide .. entry("1-1", "f", "1"):rep(9999))
    decoder:next()
    local list = decoder:entries("range", 0, 10000)
    assert.equal(10000, #list)
    for i = 1, 10000 do assert(list[1].fields["f" .. i] == "v" .. i) end
    assert.same({ id = "1-1", fields = { f = "1" } }, list[10000])
  end)

  it("refuses a reply that is larger than it may be, and says so", function()
    local decoder = core.decoder(#page)
    decoder:feed(page)
    assert.equal("array", decoder:next())
    assert.is_false(decoder:too_large())
    decoder = core.decoder(#page - 1)
    decoder:feed(page)
    local got, kind, why = decoder:next()
    assert.same({ nil, "protocol" }, { got, kind })
    assert.matches("max_reply", why, 1, true)
    assert.is_true(decoder:too_large())
    for _, bytes in ipairs { "$100\r\n", "*34\r\n", "+" .. ("x"):rep(100) } do
      decoder = core.decoder(100)
      decoder:feed(bytes) -- what is claimed is enough
      decoder:next()
      assert.is_true(decoder:too_large(), bytes)
    end
    decoder = core.decoder()
    decoder:feed("HTTP/1.1 400\r\n")
    decoder:next()
    assert.is_false(decoder:too_large())
    for _, bytes in ipairs { 0, -1, 0.5, 2 ^ 54, 0 / 0 } do
      assert.is_false(pcall(core.decoder, bytes))
    end
  end)

  it("says what is no Redis, once and for all", function()
    for _, bytes in ipairs {
      "HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-x\r\n", "220 mail\r\n", "\0\0\0\0", "\r\n",
      "OK\r\n", "*x\r\n", "$x\r\n", ":x\r\n", "$-2\r\n", "*-2\r\n",
      "$99999999999999999999999\r\n", "*9999999999999\r\n", "*1\r\nHTTP\r\n",
      ("*1\r\n"):rep(50) .. ":1\r\n",
    } do
      local decoder = core.decoder()
      decoder:feed(bytes)
      local kind, failure, why = decoder:next()
      assert.same({ nil, "protocol" }, { kind, failure }, bytes)
      assert.is_string(why)
      kind, failure = decoder:next()
      assert.same({ nil, "protocol" }, { kind, failure }, bytes)
      kind, failure = decoder:feed("+OK\r\n")
      assert.same({ nil, "protocol" }, { kind, failure }, bytes)
    end
  end)

  it("survives any bytes, in any pieces", function()
    local seed = 1
    local function random(n) -- the same in every Lua
      seed = seed * 16807 % 2147483647
      return seed % n
    end
    local pieces = { "*2\r\n", "*-1\r\n", "$3\r\nabc\r\n", "$5\r\n", "+OK\r\n", "-E\r\n", ":7\r\n",
      "\r\n", "1-0", page, "*1\r\n", "$-1\r\n", "x", "%2\r\n", "#t\r\n", ",1.5\r\n", "_\r\n" }
    for _ = 1, 2000 do
      local decoder = core.decoder()
      for _ = 1, 1 + random(6) do
        decoder:feed(pieces[1 + random(#pieces)])
        while decoder:next() do
          for _, shape in ipairs { "range", "read" } do
            decoder:entries(shape, random(2), random(4))
            decoder:page(shape, random(4))
            decoder:page(shape, random(4), "pairs")
          end
          decoder:strings(1 + random(3), random(3))
          decoder:value()
          if random(4) == 0 then decoder:probe() end
        end
        decoder:trim()
      end
    end
  end)
end)

describe("the clock", function()
  it("goes forward", function()
    local before = core.now()
    core.wait(-1, "r", 0.001)
    assert(core.now() > before)
  end)
end)

describe("random bytes", function()
  it("are as many as are asked for, and others each time", function()
    for _, n in ipairs { 1, 16, 256 } do
      assert.equal(n, #core.random(n))
    end
    assert.not_equal(core.random(16), core.random(16))
  end)

  it("are asked for from 1 to 256 at a time", function()
    for _, n in ipairs { 0, -1, 257 } do
      assert.is_false(pcall(core.random, n))
    end
  end)
end)
