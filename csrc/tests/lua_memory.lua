--- What test_lua_memory.c does while memory is short. Each piece of work is done
--- again and again, with the first allocation refused, then the second, and so
--- on, until none was. What fails must say "not enough memory", must leave
--- nothing open, and the next operation must be right.

local M = {}

-- All from there on.
local ALL = 2 ^ 31

local function is_no_memory(why)
  return type(why) == "string" and why:find("not enough memory", 1, true)
end

--- Does work() with each allocation refused in turn. after(ok, ...), where there
--- is one, sees what came of it, with memory there again.
---@param refuse function of memory
---@param count integer how many allocations are refused, from the nth on
local function with_each_refused(memory, name, refuse, count, work, after)
  local n, refused = 0
  repeat
    refuse(n, count)
    local ok, result, err = pcall(work)
    refused = memory.relent()
    local case = string.format("%s, %d refused from %d on: ", name, refused, n)
    if not ok and not is_no_memory(result) then error(case .. tostring(result), 0) end
    if ok and not result then error(case .. tostring(err), 0) end
    if not ok and refused == 0 then error(case .. "failed without cause", 0) end
    if after then
      local fine, why = pcall(after, ok, result)
      if not fine then error(case .. tostring(why), 0) end
    end
    n = n + 1
    if n % 50 == 0 then collectgarbage() end -- connections that were dropped
  until refused == 0
end

--- The same for Lua's allocations and the core's. One that Lua is refused, it
--- tries again after a full collection: then the work goes well, mostly.
local function in_every_way(memory, name, work, after)
  for _, count in ipairs { 1, 2, ALL } do
    with_each_refused(memory, name, memory.refuse_lua, count, work, after)
    with_each_refused(memory, name, memory.refuse_core, count, work, after)
  end
end

--- Does f(); fails where it leaves memory of the core's, or a descriptor.
local function assert_leaves_nothing(memory, name, f)
  local function look()
    collectgarbage()
    collectgarbage()
    return memory.live(), memory.lowest_fd()
  end
  local live, fd = look()
  f()
  local live_after, fd_after = look()
  if live_after ~= live then
    error(string.format("%s leaves %d bytes", name, live_after - live), 0)
  end
  if fd_after ~= fd then error(name .. " leaves a descriptor open", 0) end
end

--- Wherever it stops, loading again works.
function M.load(memory, _, lua_dir)
  package.path = lua_dir .. "/?.lua;" .. lua_dir .. "/?/init.lua"
  local function unload()
    for name in pairs(package.loaded) do
      if name:find("^eventlog") and name ~= "eventlog.core" then
        package.loaded[name] = nil
      end
    end
  end
  local function load()
    unload()
    return require "eventlog"
  end
  load()
  local n, refused = 0
  repeat -- there are thousands, so not each
    memory.refuse_lua(n, 2)
    local ok, why = pcall(load)
    refused = memory.relent()
    if not ok and not is_no_memory(why) then error(why, 0) end
    if ok and refused > 0 then error("loaded with something missing", 0) end
    n = n + 37
  until refused == 0
  assert(load().connect)
end

--- A page of two entries, as XRANGE answers.
local PAGE = "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n" ..
  "*2\r\n$3\r\n1-2\r\n*4\r\n$1\r\na\r\n$1\r\nc\r\n$0\r\n\r\n$2\r\nxy\r\n"

local function decoded(core, bytes)
  local decoder = core.decoder()
  assert(decoder:feed(bytes))
  return decoder, decoder:next()
end

-- Each a name, and a function of the core that does one thing and returns what
-- is true where it went well.
local pieces = {
  { "ids", function(core)
    return core.id("5") == "5-0" and core.id_next("5-1") == "5-2" and
      core.id_prev("5-2") == "5-1"
  end },
  { "a URL", function(core)
    local url = core.url("redis://us%65r:secret@[::1]:7/2")
    return url.username == "user" and url.password == "secret" and url.host == "::1"
  end },
  { "what is no URL", function(core)
    local url, why = core.url("redis://h:x")
    return not url and why:find("port", 1, true)
  end },
  { "commands", function(core)
    local request = core.request()
    request:command("PING")
    request:command("ECHO", ("x"):rep(5000))
    request:sent(4)
    return #request:bytes() == request:size()
  end },
  { "entries", function(core)
    local request, entry = core.request(), {}
    for i = 1, 40 do entry["name" .. i] = i + 0.5 end
    local head, argc = core.head("XADD", "log", "*")
    local widest = request:entries(head, argc, { { a = 1 }, entry, { { "b", true } } }, 3)
    return widest == 40
  end },
  { "a bad entry", function(core)
    local head, argc = core.head("XADD", "log", "*")
    local ok, why = core.request():entries(head, argc, { { [("x"):rep(200)] = {} } }, 1)
    return not ok and why:find("must be a string", 1, true)
  end },
  { "arguments", function(core)
    local bytes, argc = core.arguments({ { a = "x" }, { b = 2, c = 1e300 } }, 2)
    local request = core.request()
    request:encoded(bytes, argc)
    return argc == 8
  end },
  { "a page", function(core)
    local decoder, kind = decoded(core, PAGE)
    local count, last = decoder:page("range", 2)
    local entries = decoder:entries("range", 0, 2)
    return kind == "array" and count == 2 and last == "1-2" and
      entries[2].fields[""] == "xy" and entries[1].fields.a == "b"
  end },
  { "a page made at once", function(core)
    local count, last, _, _, entries = decoded(core, PAGE):page("range", 2, "map")
    return count == 2 and last == "1-2" and entries[2].fields[""] == "xy"
  end },
  { "a probe", function(core)
    local taken, kind, found, length = core.decoder():probe()
    local decoder = core.decoder()
    decoder:feed("*0\r\n:7\r\n")
    if taken ~= 0 or kind or found or length then return false end
    taken, kind, found, length = decoder:probe()
    return taken == 2 and kind == "integer" and found == 0 and length == 7
  end },
  { "a read", function(core)
    local request = core.request()
    return request:read(("x"):rep(5000), "1-1", 10, 5000, true) == 3 and request:size() > 5000
  end },
  { "a page of pairs", function(core)
    local entries = decoded(core, PAGE):entries("range", 0, 2, nil, true)
    return entries[2].fields[2][2] == "xy" and entries[1].fields[1][1] == "a"
  end },
  { "a page appended", function(core)
    local decoder = decoded(core, PAGE)
    local list = { 1, 2, 3 }
    decoder:entries("range", 1, 5, list)
    return list[4].id == "1-2"
  end },
  { "values", function(core)
    local decoder = decoded(core, "$5\r\nvalue\r\n")
    local number = decoded(core, ":5\r\n")
    local list = decoded(core, "*2\r\n$1\r\na\r\n$1\r\nb\r\n")
    return decoder:value() == "value" and number:value() == 5 and
      list:strings(1, 2)[2] == "b"
  end },
  { "errors", function(core)
    local list = decoded(core, "*2\r\n$1\r\na\r\n-ERR no\r\n")
    local broken, status, kind = decoded(core, "HTTP/1.1 400\r\n")
    return select(3, list:strings(1, 2)) == "ERR no" and status == nil and
      kind == "protocol" and broken:feed("x") == nil
  end },
  { "a timer", function(core)
    local timer = core.timer()
    timer:set(10)
    return timer:fd()
  end },
  { "a silent socket", function(core)
    local socket = core.silent()
    return socket:idle() and socket:fd()
  end },
  { "a socket", function(core, memory, path)
    local socket = core.unix(path)
    local request, decoder = core.request(), core.decoder()
    request:command("XLEN", "log")
    while not socket:finish() do memory.wait() end
    assert(socket:send(request))
    memory.wait()
    local kind
    repeat
      kind = socket:reply(decoder)
      if kind == false then memory.wait() end
    until kind and kind ~= true
    return kind == "integer" and decoder:value() == 2
  end },
  { "a socket to nowhere", function(core)
    local socket, kind, why = core.unix("/nowhere/at/all")
    return not socket and kind == "connection" and why
  end },
}

function M.binding(memory, path)
  local core = require "eventlog.core"
  for _, piece in ipairs(pieces) do
    local function work() return piece[2](core, memory, path) end
    assert(work())
    assert_leaves_nothing(memory, piece[1], function()
      in_every_way(memory, piece[1], work)
    end)
  end
end

--- A request that waits to be used again has given back what a very wide entry
--- took.
function M.wide_entry(memory)
  local core = require "eventlog.core"
  local request, wide = core.request(), {}
  for i = 1, 20000 do wide[i] = { "n", i } end
  local head, argc = core.head("XADD", "log", "*")
  local live = memory.live()
  assert(request:entries(head, argc, { wide }, 1))
  assert(memory.live() > live + 500000)
  request:clear()
  assert(memory.live() <= live + 100000)
  assert(core.arguments({ wide }, 1)) -- not only when the collector comes by
  assert(memory.live() <= live + 100000)
end

--- What is done with a log. Returns what is true where it went well, or nil,
--- err.
local operations = {
  { "add", function(log) return log:add { n = "value" } end },
  { "add of several", function(log) return log:add({ n = 1 }, { n = 2 }) end },
  { "add_many", function(log) return log:add_many { { { "n", 1 } }, { n = 2.5 } } end },
  { "add_if", function(log) return log:add_if("1-2", { n = 1 }, { n = 2 }) end },
  { "tail", function(log)
    local entries, err = log:tail()
    return entries and #entries == 2 and entries[2].fields.n == "value", err
  end },
  { "tail_n", function(log) return log:tail_n(2) end },
  { "tail_from", function(log) return log:tail_from("1-1") end },
  { "length", function(log) return log:length() end },
  { "last_id", function(log) return log:last_id() end },
  { "delete", function(log) return log:delete() end },
  { "follow", function(log)
    local follower = log:tail_n_and_follow(2)
    local batch, err = follower:next(5)
    follower:close()
    return batch and batch[2].id == "1-2", err
  end },
  { "misuse", function(log)
    local ok, why = pcall(log.add, log, { n = {} })
    if is_no_memory(why) then error(why, 0) end
    return not ok
  end },
}

--- A follower that memory fails goes on, with nothing lost or repeated.
local function follow(memory, log)
  local follower, count
  local seen = { "", "" } -- needs no more memory
  local function work()
    local batch, err = follower:next(5)
    for i = 1, batch and #batch or 0 do
      count = count + 1
      seen[count] = batch[i].id
    end
    return batch, err
  end
  local function begin()
    follower, count = log:tail_and_follow(), 0
  end
  local function finish()
    while count < 2 do assert(work()) end
    assert(select(2, follower:next(0)).kind == "timeout")
    assert(count == 2 and seen[1] == "1-1" and seen[2] == "1-2")
    follower:close()
  end
  begin()
  in_every_way(memory, "next", work, function()
    finish()
    begin()
  end)
  follower:close()
end

function M.library(memory, path, lua_dir)
  package.path = lua_dir .. "/?.lua;" .. lua_dir .. "/?/init.lua"
  local eventlog = require "eventlog"
  local settings = { path = path, driver = memory.wait }

  local function on_a_log(options, f)
    local client = eventlog.connect(settings)
    local log = eventlog.new(client, "log", options)
    assert(log:length() == 2)
    f(log)
    client:close()
  end

  for _, options in ipairs { {}, { ttl = 5 }, { max_length = 10 }, { idempotent = true } } do
    for _, operation in ipairs(operations) do
      local name = operation[1]
      assert_leaves_nothing(memory, name, function()
        on_a_log(options, function(log)
          in_every_way(memory, name, function() return operation[2](log) end,
            function() assert(log:length() == 2) end)
        end)
      end)
    end
  end
  assert_leaves_nothing(memory, "next", function()
    on_a_log({}, function(log) follow(memory, log) end)
  end)
  assert_leaves_nothing(memory, "connect", function()
    in_every_way(memory, "connect", function()
      local client = eventlog.connect(settings)
      local length, err = eventlog.new(client, "log"):length()
      client:close()
      return length, err
    end)
  end)
end

--- A driver that could not be loaded now is not one that is not there.
function M.driver(memory, _, lua_dir)
  package.path = lua_dir .. "/?.lua;" .. lua_dir .. "/?/init.lua"
  local eventlog = require "eventlog"
  local client
  assert(eventlog.connect())
  in_every_way(memory, "the driver", function()
    package.loaded["eventlog.driver.blocking"] = nil
    client = nil
    client = eventlog.connect("unix:///nowhere/at/all")
    return client
  end, function()
    if not client then return end
    local _, err = eventlog.new(client, "log"):length()
    assert(err.kind == "connection", tostring(err))
  end)
end

return M
