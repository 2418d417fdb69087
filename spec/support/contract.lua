--- What holds in every scheduler: a list of cases { name, needs, run(env) }, to be
--- run one after the other in a coroutine of that scheduler, each on an empty
--- server. It knows no test framework, since it also runs inside nginx.
---
--- env has
---   eventlog         the module
---   target           the client's options: a table, with driver and where the
---                    server is; the server has db 0 to 15 and no password
---   cli(...)         redis-cli's output for this command
---   signal(name)     sends the server a signal: "STOP", "CONT"
---   sleep(seconds), now()
---   iterates         whether the generic `for` may wait (not in PUC Lua 5.1)
---   spawn(f, ...) -> task, join(task) -> what f returned   where needs say
---                    "coroutines": the scheduler runs several
---   abandon(f)       where needs say "abandon": runs f() until it waits in the
---                    library, and never goes on with it

local M = {}


--- The cases, in order.
M.cases = {}

local function case(name, run, needs)
  table.insert(M.cases, { name = name, run = run, needs = needs or {} })
end

--- Whether an env has what a case needs.
function M.can_run(one, env)
  for _, need in ipairs(one.needs) do
    if need == "coroutines" and not env.spawn or
      need == "abandon" and not env.abandon or
      need == "iterates" and not env.iterates then
      return false
    end
  end
  return true
end

-- --- checks ----------------------------------------------------------------

local function show(value)
  if type(value) == "string" then
    return string.format("%q", #value > 200 and value:sub(1, 200) .. "..." or value)
  end
  return tostring(value)
end

local function fail(what, ...)
  error(string.format("%s: expected %s, not %s", what, ...), 3)
end

local function equal(expected, actual, what)
  if expected ~= actual then fail(what or "value", show(expected), show(actual)) end
end

--- Of what may fail: the result. Raises where there is an error.
local function good(result, err, ...)
  if result == nil then error("failed: " .. tostring(err), 2) end
  return result, err, ...
end

--- Checks that `nil, err` came, and returns err.
local function bad(kind, result, err)
  if result ~= nil then fail("result", "nil", show(result)) end
  if type(err) ~= "table" then fail("err", "an error object", show(err)) end
  if err.kind ~= kind then
    fail("err.kind", show(kind), show(err.kind) .. " (" .. tostring(err) .. ")")
  end
  return err
end

--- Checks that f raises a message with this text.
local function raises(text, f, ...)
  local ok, why = pcall(f, ...)
  if ok then fail("call", "an error with " .. show(text), "none") end
  if not tostring(why):find(text, 1, true) then
    fail("message", show(text), show(why))
  end
end

--- Checks that the entries are these: their ids, and their field "n".
local function same_entries(expected, actual, what)
  equal(#expected, #actual, what .. ": number of entries")
  for i, entry in ipairs(expected) do
    equal(entry.id, actual[i].id, what .. ": id of entry " .. i)
    equal(entry.fields.n, actual[i].fields.n, what .. ": entry " .. i)
  end
end

-- --- helpers ---------------------------------------------------------------

local function connect(env, changes)
  local target = {}
  for key, value in pairs(env.target) do target[key] = value end
  for key, value in pairs(changes or {}) do target[key] = value end
  return env.eventlog.connect(target)
end

--- Asks until the answer is a true one, for at most 10 s; returns the last.
local function eventually(env, ask)
  local answer
  local give_up = env.now() + 10
  repeat
    answer = ask()
    if answer then return answer end
    env.sleep(0.01)
  until env.now() > give_up
  return answer
end

--- How many connections the server sees as blocked.
local function blocked(env)
  return tonumber(env.cli("INFO", "clients"):match("blocked_clients:(%d+)"))
end

--- Lets other coroutines run up to where they wait. A follower's next request is
--- under way before anybody waits for the answer.
local function until_blocked(env, n)
  env.sleep(0.02)
  eventually(env, function() return blocked(env) == n end)
  equal(n, blocked(env), "blocked connections")
end

--- How many connections the server has.
local function connections(env)
  return tonumber(env.cli("INFO", "clients"):match("connected_clients:(%d+)"))
end

--- Collects garbage until the server has at most so many connections.
local function until_connections(env, most)
  eventually(env, function()
    collectgarbage()
    collectgarbage()
    return connections(env) <= most
  end)
  local n = connections(env)
  if n > most then fail("connections", "at most " .. most, show(n)) end
end

-- What the pools may have more than before.
local POOLED = 8

--- With the server stopped and such a client, nothing ends a wait but what the
--- test does: a wait that goes on is one that hangs.
local PATIENT = { timeout = 1000, connect_timeout = 1000 }

--- Runs f while the server is stopped, and the client has 0.3 s of patience: for a
--- server that runs it has its own, since a busy machine may be slow. Returns what
--- f returns.
local function while_stopped(env, client, f)
  local settings = client.settings
  local timeout, connect_timeout = settings.timeout, settings.connect_timeout
  local function go_on(...)
    settings.timeout, settings.connect_timeout = timeout, connect_timeout
    env.signal("CONT")
    return ...
  end
  env.signal("STOP")
  settings.timeout, settings.connect_timeout = 0.3, 0.3
  return go_on(f())
end

--- Adds entries numbered from `first` on, `size` a call. Returns them.
local function add_numbered(log, first, last, size)
  local added = {}
  local n = first
  while n <= last do
    local entries = {}
    for i = n, math.min(n + size - 1, last) do
      entries[#entries + 1] = { n = i, text = "entry " .. i }
    end
    local ids = good(log:add_many(entries))
    equal(#entries, #ids, "number of ids")
    for i, id in ipairs(ids) do
      added[#added + 1] = { id = id, fields = { n = tostring(n + i - 1) } }
    end
    n = n + #entries
  end
  return added
end

local function slice(list, first)
  local result = {}
  for i = math.max(first, 1), #list do result[#result + 1] = list[i] end
  return result
end

local function append(list, more)
  for _, each in ipairs(more) do list[#list + 1] = each end
  return list
end

--- Takes batches until one reached the log's end. Checks their sizes.
local function catch_up(follower, batch_size)
  local entries = {}
  while true do
    local batch = good(follower:next())
    if #batch > batch_size then
      fail("batch size", "at most " .. batch_size, show(#batch))
    end
    append(entries, batch)
    if batch.caught_up then return entries end
    equal(batch_size, #batch, "size of a batch before the log's end")
  end
end

--- Takes batches until there are n entries.
local function take(follower, n)
  local entries = {}
  while #entries < n do append(entries, good(follower:next())) end
  return entries
end

-- --- the grid --------------------------------------------------------------

local QUARTERS = { 0, 0.25, 0.5, 0.75 }
local NS = { 0, 1, 16, 48, 5000 }

--- Checks one log: each read, and each follower, then with what is added live.
local function check_cell(env, client, size, max_length, batch_size)
  local name = string.format("grid %d %d", size, max_length)
  local log = env.eventlog.new(client, name,
    { max_length = max_length, batch_size = batch_size })
  local all = add_numbered(log, 1, size, 22)
  -- What Redis still holds: it trims approximately.
  local held = tonumber(env.cli("XLEN", name))
  all = slice(all, #all - held + 1)
  local shown = max_length > 0 and slice(all, #all - max_length + 1) or all
  local checks = {} -- { what, what read returns, follower, what it begins with }

  local function expect(what, entries, read, follower)
    same_entries(entries, good(read), name .. " " .. what)
    checks[#checks + 1] = { what = what, entries = entries, follower = follower }
  end

  expect("tail", shown, log:tail(), log:tail_and_follow())
  equal(#shown, good(log:length()), name .. " length")
  for _, n in ipairs(NS) do
    expect("tail_n " .. n, slice(shown, #shown - n + 1), log:tail_n(n),
      (log:tail_n_and_follow(n)))
  end
  for _, quarter in ipairs(QUARTERS) do
    local at = 1 + math.floor(#all * quarter)
    local id = all[at] and all[at].id
    if id then
      local from = math.max(at - (#all - #shown), 1)
      expect("tail_from " .. quarter, slice(shown, from), log:tail_from(id),
        (log:tail_from_and_follow(id)))
      expect("tail_after " .. quarter, slice(all, at + 1), log:tail_after(id),
        (log:tail_after_and_follow(id)))
    end
  end

  for _, check in ipairs(checks) do
    same_entries(check.entries, catch_up(check.follower, batch_size),
      name .. " follower of " .. check.what)
  end
  local live = append(add_numbered(log, size + 1, size + 3, 1),
    add_numbered(log, size + 4, size + 10, 7))
  equal(live[10].id, good(log:last_id()), name .. " last_id")
  for _, check in ipairs(checks) do
    same_entries(live, take(check.follower, 10),
      name .. " live follower of " .. check.what)
    equal(live[10].id, check.follower.last_id, "follower.last_id")
    check.follower:close()
  end
end

for _, max_length in ipairs({ 0, 3, 25 }) do
  case(string.format("reads and follows logs of every size, with max_length %d",
    max_length), function(env)
    local client = connect(env)
    for i, size in ipairs({ 0, 1, 22, 44, 200 }) do
      check_cell(env, client, size, max_length, i % 2 == 0 and 1000 or 16)
    end
    client:close()
  end)
end

-- --- values ----------------------------------------------------------------

case("stores each value as the contract writes it", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "values")
  local bytes = {}
  for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
  bytes = table.concat(bytes)
  local values = {
    { "", "" }, { bytes, bytes }, { "$5\r\nhello\r\n", "$5\r\nhello\r\n" },
    { 0, "0" }, { -42, "-42" }, { 9007199254740991, "9007199254740991" },
    { 19.8, "19.8" }, { 1e21, "1000000000000000000000" }, { 1e-7, "0.0000001" },
    { 0.1, "0.1" }, { 1 / 0, "+Inf" }, { -1 / 0, "-Inf" }, { 0 / 0, "NaN" },
    { true, "1" }, { false, "0" },
  }
  local entry = {}
  for i, value in ipairs(values) do entry["v" .. i] = value[1] end
  entry[bytes] = "name"
  good(log:add(entry))
  local read = good(log:tail())[1].fields
  for i, value in ipairs(values) do equal(value[2], read["v" .. i], "value " .. i) end
  equal("name", read[bytes], "the field whose name has every byte")
  client:close()
end)

case("keeps a list of pairs in order, and of a repeated name the last", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "pairs")
  good(log:add({ { "b", 1 }, { "a", 2 }, { "b", 3 } }))
  equal("b\n1\na\n2\nb\n3", env.cli("XRANGE", "pairs", "-", "+"):match("\n(.*)"),
    "stored fields")
  local fields = good(log:tail())[1].fields
  equal("3", fields.b, "the repeated field")
  equal("2", fields.a, "the other field")
  client:close()
end)

case("reads fields as pairs, in stored order and with repeats, if told to", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "pairs", { fields = "pairs", batch_size = 4 })
  local stored = { { "b", "1" }, { "a", "" }, { "b", "3" }, { "", "\0" }, { "b", "1" } }
  for n = 1, 10 do
    local pairs_of_n = { { "n", n } }
    append(pairs_of_n, stored)
    good(log:add(pairs_of_n))
  end
  local function check(entries, first, last)
    equal(last - first + 1, #entries, "number of entries")
    for i, entry in ipairs(entries) do
      equal(6, #entry.fields, "number of fields")
      equal("n", entry.fields[1][1], "name")
      equal(tostring(first + i - 1), entry.fields[1][2], "value")
      for k, field in ipairs(stored) do
        equal(2, #entry.fields[k + 1], "a pair's length")
        equal(field[1], entry.fields[k + 1][1], "name " .. k)
        equal(field[2], entry.fields[k + 1][2], "value " .. k)
      end
    end
    return entries
  end
  local ids = {}
  for i, entry in ipairs(check(good(log:tail()), 1, 10)) do ids[i] = entry.id end
  check(good(log:tail_n(7)), 4, 10)
  check(good(log:tail_from(ids[2])), 2, 10)
  check(good(log:tail_after(ids[9])), 10, 10)
  for _, follower in ipairs({ (log:tail_and_follow()), (log:tail_from_and_follow(ids[1])),
    (log:tail_n_and_follow(10)), (log:tail_after_and_follow("0")) }) do
    check(catch_up(follower, 4), 1, 10)
    follower:close()
  end
  -- What is read can be added as it is.
  local copy = env.eventlog.new(client, "copy of pairs", { fields = "pairs" })
  for _, entry in ipairs(good(log:tail())) do good(copy:add(entry.fields)) end
  check(good(copy:tail()), 1, 10)
  equal("1", good(env.eventlog.new(client, "pairs", { fields = "map" }):tail())[1].fields.b,
    "the last value of a map")
  client:close()
end)

case("moves 4 MiB in one value, and a unit of 3000 entries", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "large", { ttl = 100 })
  local value = ("0123456789abcdef"):rep(256 * 1024)
  good(log:add({ value = value }))
  local follower = log:tail_and_follow()
  local batch = good(follower:next())
  equal(#value, #batch[1].fields.value, "bytes")
  equal(true, batch[1].fields.value == value, "the value is the same")
  local added = add_numbered(log, 1, 3000, 3000)
  same_entries(added, take(follower, 3000), "the unit")
  follower:close()
  client:close()
end)

case("reads a log whose pages are too large for the server in smaller ones", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "broad")
  local text, entries = ("x"):rep(20000), {}
  for i = 1, 40 do entries[i] = { n = i, text = text } end
  good(log:add_many(entries))
  env.cli("CONFIG", "SET", "client-output-buffer-limit", "normal 200000 0 0")
  local calls, reads = { { "tail", nil, 1 }, { "tail_n", 30, 11 }, { "tail", nil, 1 } }, {}
  for i, call in ipairs(calls) do
    reads[i] = { log[call[1]](log, call[2]) }
  end
  env.cli("CONFIG", "SET", "client-output-buffer-limit", "normal 10000 0 0")
  local refused = { log:tail() }
  env.cli("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
  for i, call in ipairs(calls) do
    local read = good(reads[i][1], reads[i][2])
    equal(41 - call[3], #read, "number of entries")
    for at, entry in ipairs(read) do
      equal(tostring(call[3] + at - 1), entry.fields.n, "entry " .. at)
      equal(#text, #entry.fields.text, "its bytes")
    end
  end
  local err = bad("connection", refused[1], refused[2])
  if not tostring(err):find("client-output-buffer-limit", 1, true) then
    fail("message", "one that names the limit", tostring(err))
  end
  client:close()
end)

case("returns {} for no entries, and reads {} where there is no log", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "nothing")
  equal(0, #good(log:add()), "ids")
  equal(0, #good(log:add_many({})), "ids")
  equal(0, #good(log:tail()), "entries")
  equal(0, good(log:length()), "length")
  equal("0-0", good(log:last_id()), "last_id")
  equal(false, good(log:delete()), "delete()")
  good(log:add({ n = 1 }))
  equal(true, good(log:delete()), "delete()")
  client:close()
end)

-- --- errors ----------------------------------------------------------------

case("raises on misuse, and sends nothing", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "misuse")
  raises("2", log.add, log, { n = 1 }, { n = {} })
  raises("", log.add, log, {})
  raises("n must be", log.tail_n, log, -1)
  raises("id must be", log.tail_from, log, "x")
  raises("timeout must be", function() log:tail_and_follow():next("x") end)
  equal("0", env.cli("EXISTS", "misuse"), "EXISTS")
  client:close()
end)

case("reports a key of another type, and leaves it alone", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "other", { ttl = 100 })
  env.cli("SET", "other", "value", "EX", "5000")
  for _, entries in ipairs({ { { n = 1 } }, { { n = 1 }, { n = 2 } } }) do
    local err = bad("server", log:add_many(entries))
    equal("WRONGTYPE", err.code, "err.code")
    equal("none", err.outcome, "err.outcome")
  end
  equal("WRONGTYPE", bad("server", log:tail()).code, "err.code")
  local follower = log:tail_and_follow()
  local err = bad("server", follower:next())
  equal(err, bad("server", follower:next()), "the error of a later next()")
  equal("value", env.cli("GET", "other"), "the value")
  equal(true, tonumber(env.cli("TTL", "other")) > 1000, "its TTL is untouched")
  -- The connections that brought errors are as good as before.
  equal(1, #good(env.eventlog.new(client, "fine"):add({ n = 1 })), "ids")
  client:close()
end)

case("reports a server that is not there", function(env)
  for _, changes in ipairs({
    { path = "/nonexistent/redis.sock" },
    { path = false, host = "127.0.0.1", port = 1 },
  }) do
    local target = { driver = env.target.driver }
    for key, value in pairs(changes) do target[key] = value or nil end
    local client = env.eventlog.connect(target)
    local log = env.eventlog.new(client, "any")
    local err = bad("connection", log:add({ n = 1 }))
    equal("none", err.outcome, "err.outcome")
    equal("(is Redis running there?)", err.message:match("%(.*%)$"), "what to look at")
    bad("connection", log:tail())
    bad("connection", log:tail_and_follow():next())
    client:close()
  end
end)

--- Each call that needs a connection, given a log and one that is idempotent.
local connecting = {
  function(log) return log:add({ n = 1 }) end,
  function(log) return log:add({ n = 1 }, { n = 2 }) end,
  function(_, once) return once:add({ n = 1 }) end,
  function(log) return log:tail() end,
  function(log) return log:length() end,
  function(log)
    local follower = log:tail_and_follow()
    local batch, err = follower:next()
    follower:close()
    return batch, err
  end,
}

--- Calls f(log, once) of a client that has the option retry_first_connection, of
--- a server that is found at `path`. Returns what it did, the events of each kind,
--- and the client.
local function call_early(env, path, changes, f)
  local told = { reconnecting = 0, connected = 0, disconnected = 0 }
  changes.path, changes.retry_first_connection = path, true
  function changes.on_event(event) told[event.kind] = told[event.kind] + 1 end
  local client = connect(env, changes)
  local result, err = f(env.eventlog.new(client, "early"),
    env.eventlog.new(client, "early", { idempotent = true }))
  return result, err, told, client
end

case("waits for a server that is not there yet, if it is told to", function(env)
  local late = env.target.path .. ".late"
  for _, call in ipairs(connecting) do
    os.remove(late)
    os.execute(string.format("(sleep 0.1; ln -s '%s' '%s') >/dev/null 2>&1 &",
      env.target.path, late))
    local result, err, told, client = call_early(env, late,
      { pool_size = 0, reconnect_timeout = 20 }, call)
    good(result, err)
    equal(true, told.reconnecting > 0, "it told of that")
    equal(1, told.connected, "connections")
    -- The first connection only.
    os.remove(late)
    told.reconnecting = 0
    bad("connection", env.eventlog.new(client, "early"):length())
    equal(0, told.reconnecting, "events")
    client:close()
  end
  os.remove(late)
end)

case("waits for the first connection up to reconnect_timeout", function(env)
  for _, call in ipairs(connecting) do
    local before = env.now()
    local result, err, told, client = call_early(env, "/nonexistent/redis.sock",
      { reconnect_timeout = 0.15 }, call)
    err = bad("connection", result, err)
    equal(true, env.now() - before < 20, "it gave up")
    equal(true, told.reconnecting > 0, "it told of that")
    equal(true, err.outcome == nil or err.outcome == "none", "nothing was added")
    client:close()
  end
  -- What no waiting mends fails at once.
  for _, call in ipairs(connecting) do
    local result, err, told, client = call_early(env, env.target.path,
      { password = "wrong" }, call)
    bad("server", result, err)
    equal(0, told.reconnecting, "events")
    client:close()
  end
end)

case("an idempotent add that waits says so, and lands once", function(env)
  local told = {} -- the logs that it told of waiting for
  local client = connect(env, { on_event = function(event)
    if event.kind == "reconnecting" then told[#told + 1] = event.log end
  end })
  local log = env.eventlog.new(client, "waiting", { idempotent = true, ttl = 100 })
  good(log:add({ n = 1 }))
  for n = 2, 4, 2 do
    local task = while_stopped(env, client, function()
      local adding = env.spawn(function()
        return log:add({ n = n }, { n = n + 1 })
      end)
      -- By then two attempts have been lost.
      eventually(env, function() return #told >= 2 end)
      return adding
    end)
    equal(2, #good(env.join(task)), "ids")
    equal("waiting waiting", table.concat(told, " ", 1, 2), "the logs that it told of")
    equal(n + 1, good(log:length()), "length")
    told = {}
  end
  client:close()
end, { "coroutines" })

case("a unit whose answer is lost is there or not, and told as unknown", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "unit", { ttl = 100 })
  for round, n in ipairs({ 2, 30 }) do
    local entries = {}
    for i = 1, n do entries[i] = { n = i } end
    good(log:add_many(entries))
    local err = bad("connection", while_stopped(env, client, function()
      return env.join(env.spawn(function() return log:add_many(entries) end))
    end))
    equal("unknown", err.outcome, "outcome")
    local length = good(log:length())
    equal(true, length == n or length == 2 * n, "it is whole, in round " .. round)
    good(log:delete())
  end
  client:close()
end, { "coroutines" })

case("takes the longest times that there may be", function(env)
  local client = connect(env, { timeout = 1e9, connect_timeout = 1e9,
    reconnect_timeout = 1e9, pool_idle = 1e9 })
  local log = env.eventlog.new(client, "patient")
  for n = 1, 3 do
    good(log:add({ n = n }))
    equal(n, good(log:length()), "length")
  end
  local follower = log:tail_and_follow()
  equal(3, #good(follower:next(1e9)), "entries")
  good(log:add({ n = 4 }))
  equal(1, #good(follower:next(1e12)), "entries")
  good(env.eventlog.new(client, "patient", { idempotent = true }):add({ n = 5 }))
  client:close()
end)

case("reports a wrong password, and a database that is not there", function(env)
  env.cli("ACL", "SETUSER", "reader", "on", ">right", "~*", "+@all")
  local right = connect(env, { username = "reader", password = "right", db = 3 })
  good(env.eventlog.new(right, "greeted"):add({ n = 1 }))
  equal("0", env.cli("EXISTS", "greeted"), "EXISTS in another database")
  right:close()
  for _, changes in ipairs({
    { username = "reader", password = "wr0ng" }, { db = 4711 },
  }) do
    local client = connect(env, changes)
    local log = env.eventlog.new(client, "any")
    local err = bad("server", log:add({ n = 1 }))
    equal("none", err.outcome, "err.outcome")
    equal(nil, tostring(err):find("wr0ng", 1, true), "the password in the message")
    bad("server", log:tail_and_follow():next())
    client:close()
  end
  env.cli("ACL", "DELUSER", "reader")
end)

case("returns kind closed after close()", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "closed")
  good(log:add({ n = 1 }))
  local follower = log:tail_and_follow()
  good(follower:next())
  follower:close()
  follower:close()
  bad("closed", follower:next())
  client:close()
  client:close()
  bad("closed", log:add({ n = 1 }))
  bad("closed", log:tail())
  bad("closed", log:tail_and_follow():next())
  eventually(env, function() return blocked(env) == 0 end)
  equal(0, blocked(env), "blocked connections")
end)

case("gives up on a server that stalls, and works when it is back", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "stalled")
  good(log:add({ n = 1 }))
  local added, add_err, read, read_err = while_stopped(env, client, function()
    local ids, err = log:add({ n = 2 })
    return ids, err, log:tail()
  end)
  equal("unknown", bad("connection", added, add_err).outcome, "err.outcome")
  bad("connection", read, read_err)
  eventually(env, function() return (log:length() or 0) == 2 end)
  equal(2, good(log:length()), "length: the server carried the second add out")
  good(log:add({ n = 3 }))
  equal("3", good(log:tail())[3].fields.n, "the entry added afterwards")
  client:close()
end)

case("gives up on a server that takes nothing in", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "taken in")
  good(log:add({ n = 1 }))
  local ids, err = while_stopped(env, client, function()
    return log:add({ n = 2, large = ("x"):rep(16 * 1024 * 1024) })
  end)
  equal("none", bad("connection", ids, err).outcome, "err.outcome")
  good(log:add({ n = 3 }))
  equal(2, good(log:length()), "length")
  client:close()
end)

case("waits for a server that stalls once, however many connections are idle", function(env)
  -- One wait for each of the idle ones would take 12 s; one for an idle one and one
  -- for a fresh one take 0.6 s, and more on a busy machine.
  local IDLE, MOST = 40, 6
  local client = connect(env)
  local log = env.eventlog.new(client, "once")
  good(log:add({ n = 1 }))
  for _, call in ipairs {
    function() return log:length() end,
    function() return log:tail() end,
    function() return log:last_id() end,
    function() return log:add({ large = ("x"):rep(16 * 1024 * 1024) }) end,
    function()
      local follower = log:tail_and_follow()
      local batch, err = follower:next()
      follower:close()
      return batch, err
    end,
  } do
    local idle, endpoint = {}, good(client.topology:endpoint(log.name))
    for i = 1, IDLE do idle[i] = good(endpoint:acquire(log.name)) end
    for i = 1, IDLE do endpoint:release(idle[i], log.name) end
    local began, took
    local result, err = while_stopped(env, client, function()
      began = env.now()
      return call()
    end)
    took = env.now() - began
    bad("connection", result, err)
    if took > MOST then fail("seconds waited", MOST .. " at most", took) end
    eventually(env, function() return log:length() ~= nil end)
  end
  client:close()
end)

case("replaces a pooled connection that the server closed, unseen", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "pooled")
  good(log:add({ n = 1 }))
  env.cli("CLIENT", "KILL", "TYPE", "normal")
  -- nginx hears of it from its own loop.
  env.sleep(0.05)
  good(log:add({ n = 2 }))
  equal(2, good(log:length()), "length")
  client:close()
end)

-- --- following -------------------------------------------------------------

case("next() runs out of time, and goes on, with nothing lost or twice",
  function(env)
    local client = connect(env)
    local log = env.eventlog.new(client, "timeouts")
    local follower = log:tail_and_follow()
    local first
    eventually(env, function()
      local err
      first, err = follower:next(0)
      if not first then bad("timeout", first, err) end
      return first
    end)
    equal(0, #first, "size of the first batch")
    equal(true, first.caught_up, "caught_up")
    for _, seconds in ipairs({ 0, 0.05, 0.001 }) do
      bad("timeout", follower:next(seconds))
    end
    local added, seen = {}, {}
    for n = 1, 20 do
      append(added, add_numbered(log, n, n, 1))
      while #seen < n do
        local batch, err = follower:next(n % 2 == 0 and 0 or 0.02)
        if batch then append(seen, batch) else bad("timeout", batch, err) end
      end
    end
    same_entries(added, seen, "seen")
    bad("timeout", follower:next(0.05))
    follower:close()
    client:close()
  end)

case("next(0) hands out at once what was added a moment before, each time", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "each poll")
  local follower = log:tail_and_follow()
  eventually(env, function() return (follower:next(0)) end)
  local at_once, added, seen = 0, {}, {}
  for n = 1, 30 do
    append(added, add_numbered(log, n, n, 1))
    env.sleep(0.02)
    local batch, err = follower:next(0)
    if batch then
      append(seen, batch)
      at_once = at_once + 1
    else
      bad("timeout", batch, err)
    end
  end
  eventually(env, function()
    append(seen, follower:next(0) or {})
    return #seen == 30
  end)
  same_entries(added, seen, "seen")
  -- A machine under load may be late now and then; every other one is a fault.
  if at_once < 25 then fail("polls that brought it at once", "25 at least", at_once) end
  follower:close()
  client:close()
end)

case("next(0) follows to the end without waiting once", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "polled", { batch_size = 7 })
  local added = add_numbered(log, 1, 50, 50)
  local follower = log:tail_n_and_follow(30)
  local seen = {}
  eventually(env, function()
    local batch = follower:next(0)
    if batch then append(seen, batch) end
    return #seen >= 30
  end)
  same_entries(slice(added, 21), seen, "seen")
  follower:close()
  client:close()
end)

case("tail_n_and_follow(0) misses nothing after its first batch", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "from now on")
  add_numbered(log, 1, 5, 5)
  local follower = log:tail_n_and_follow(0)
  equal(0, #good(follower:next()), "size of the first batch")
  local added = add_numbered(log, 6, 25, 3)
  same_entries(added, take(follower, 20), "what came")
  follower:close()
  client:close()
end)

case("goes on after a resume token", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "resumed", { batch_size = 4 })
  local added = add_numbered(log, 1, 10, 10)
  local follower = log:tail_and_follow()
  good(follower:next())
  equal(added[4].id, follower.last_id, "last_id")
  follower:close()
  local other = log:tail_after_and_follow(follower.last_id)
  same_entries(slice(added, 5), catch_up(other, 4), "what came after it")
  other:close()
  client:close()
end)

case("is a loop that ends when the follower is closed", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "looped")
  local added, seen = add_numbered(log, 1, 3, 3), {}
  local follower = log:tail_and_follow()
  for batch in follower do
    append(seen, batch)
    if #seen == 5 then follower:close() end
    if #seen == 3 then append(added, add_numbered(log, 4, 5, 2)) end
  end
  same_entries(added, seen, "seen")
  client:close()
end, { "iterates" })

-- --- coroutines ------------------------------------------------------------

case("close() wakes a follower that waits in another coroutine", function(env)
  local client = connect(env, PATIENT)
  local log = env.eventlog.new(client, "woken")
  local followers, tasks = {}, {}
  for i = 1, 5 do
    followers[i] = log:tail_and_follow()
    good(followers[i]:next())
    tasks[i] = env.spawn(function() return followers[i]:next() end)
  end
  until_blocked(env, 5)
  env.signal("STOP")
  for i = 1, 4 do
    followers[i]:close()
    bad("closed", env.join(tasks[i]))
    bad("closed", followers[i]:next())
  end
  env.signal("CONT")
  add_numbered(log, 1, 1, 1)
  equal("1", good(env.join(tasks[5]))[1].fields.n, "what the fifth received")
  followers[5]:close()
  until_blocked(env, 0)
  client:close()
end, { "coroutines" })

case("client:close() wakes whoever waits, in an add, too", function(env)
  local client = connect(env, PATIENT)
  local log = env.eventlog.new(client, "all woken")
  good(log:add({ n = 1 }))
  local tasks = {}
  for i = 1, 3 do
    local follower = log:tail_and_follow()
    good(follower:next())
    tasks[i] = env.spawn(function() return follower:next() end)
  end
  until_blocked(env, 3)
  env.signal("STOP")
  local adding = env.spawn(function() return log:add({ n = 2 }) end)
  env.sleep(0.05)
  client:close()
  local failure
  for i = 1, 3 do
    local batch, err = env.join(tasks[i])
    if batch or err.kind ~= "closed" then failure = tostring(err) end
  end
  local ids, err = env.join(adding)
  env.signal("CONT")
  equal(nil, failure, "what a follower returned")
  equal("unknown", bad("closed", ids, err).outcome, "err.outcome")
  until_blocked(env, 0)
end, { "coroutines" })

case("each of many coroutines has its own time", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "many timeouts")
  local tasks, order = {}, {}
  for i = 1, 12 do
    local follower = log:tail_and_follow()
    good(follower:next())
    tasks[i] = env.spawn(function()
      for _ = 1, 3 do bad("timeout", follower:next(0.01 * i)) end
      order[#order + 1] = i
      local batch = good(follower:next())
      follower:close()
      return batch
    end)
  end
  eventually(env, function() return #order == 12 end)
  equal(12, #order, "coroutines whose time was up")
  local added = add_numbered(log, 1, 1, 1)
  for _, task in ipairs(tasks) do same_entries(added, env.join(task), "batch") end
  client:close()
end, { "coroutines" })

case("a short wait ends while others wait for longer", function(env)
  local client = connect(env, PATIENT)
  local log = env.eventlog.new(client, "short and long")
  local followers, tasks = {}, {}
  for i, seconds in ipairs({ 500, 0.1, 0.001, 0.05 }) do
    followers[i] = log:tail_and_follow()
    good(followers[i]:next())
    tasks[i] = function() return followers[i]:next(seconds) end
  end
  env.signal("STOP")
  for i = 1, 4 do tasks[i] = env.spawn(tasks[i]) end
  for i = 2, 4 do bad("timeout", env.join(tasks[i])) end
  followers[1]:close()
  bad("closed", env.join(tasks[1]))
  env.signal("CONT")
  client:close()
end, { "coroutines" })

case("two coroutines in one follower's next() are misuse", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "shared")
  local follower = log:tail_and_follow()
  good(follower:next())
  local task = env.spawn(function() return follower:next() end)
  until_blocked(env, 1)
  raises("another coroutine", follower.next, follower, 0)
  follower:close()
  bad("closed", env.join(task))
  client:close()
end, { "coroutines" })

case("an error raised inside next() leaves the follower to any coroutine", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "raised")
  local added = add_numbered(log, 1, 3, 3)
  local angry = true
  local other = connect(env, { client_name = "angry", on_event = function(event)
    if angry and event.kind == "connected" then error("angry") end
  end })
  local follower = env.eventlog.new(other, "raised"):tail_and_follow()
  local why
  eventually(env, function() -- polled: PUC Lua 5.1 cannot wait inside pcall
    local ok
    ok, why = pcall(follower.next, follower, 0)
    return not ok
  end)
  if not tostring(why):find("angry", 1, true) then fail("error", "angry", show(why)) end
  angry = false
  -- This coroutine lives on, and is not in next().
  local task = env.spawn(function() return good(follower:next(20)) end)
  same_entries(added, env.join(task), "what another coroutine received")
  append(added, add_numbered(log, 4, 4, 1))
  same_entries(slice(added, 4), good(follower:next(20)), "what came then")
  follower:close()
  bad("closed", follower:next())
  other:close()
  client:close()
end, { "coroutines" })

case("next() from within on_event of that next() is misuse, and the outer one goes on",
  function(env)
    local client = connect(env)
    local added = add_numbered(env.eventlog.new(client, "within"), 1, 2, 2)
    local follower, why
    local other = connect(env, { client_name = "within", on_event = function()
      why = select(2, pcall(follower.next, follower, 0))
    end })
    follower = env.eventlog.new(other, "within"):tail_and_follow()
    same_entries(added, good(follower:next(20)), "what the outer one received")
    if not tostring(why):find("from within", 1, true) then
      fail("what the inner one raised", '"from within"', show(why))
    end
    follower:close()
    other:close()
    client:close()
  end)

case("on_event may add to its own client, and is told of everything in order", function(env)
  local before = connections(env)
  local told, log = {}, nil
  local client = connect(env, { client_name = "telling", on_event = function(event)
    told[#told + 1] = event.kind
    good(log:add({ n = event.kind }))
    told[#told + 1] = "added"
  end })
  log = env.eventlog.new(client, "told")
  good(log:add({ n = "first" }))
  -- Of the first connection, and of the one that the add in on_event took.
  equal("connected added connected added", table.concat(told, " "), "told")
  equal(3, #good(log:tail()), "entries")
  if connections(env) > before + 2 then
    fail("connections", "at most 2 more", show(connections(env) - before))
  end
  client:close()
end)

case("many coroutines use one client and one log at once", function(env)
  local WRITERS, ADDS, FOLLOWERS = 20, 15, 10
  local client = connect(env, { pool_size = 5 })
  local log = env.eventlog.new(client, "crowded", { batch_size = 50 })
  local total = WRITERS * ADDS * 2
  local followers, writers = {}, {}
  for i = 1, FOLLOWERS do
    followers[i] = env.spawn(function()
      local follower = log:tail_and_follow()
      local entries = take(follower, total)
      follower:close()
      return entries
    end)
  end
  for i = 1, WRITERS do
    writers[i] = env.spawn(function()
      local ids = {}
      for n = 1, ADDS do
        local tag = i .. "/" .. n
        append(ids, good(log:add({ n = tag }, { n = tag .. "b" })))
        -- A read in between, which must get its own answer.
        local last = good(log:tail_n(1))
        equal(1, #last, "size of tail_n(1)")
      end
      return ids
    end)
  end
  local by_id = {}
  for i = 1, WRITERS do
    local ids = env.join(writers[i])
    for n = 1, ADDS do
      by_id[ids[2 * n - 1]] = i .. "/" .. n
      by_id[ids[2 * n]] = i .. "/" .. n .. "b"
    end
  end
  local all = good(log:tail())
  equal(total, #all, "number of entries")
  for i, entry in ipairs(all) do
    equal(by_id[entry.id], entry.fields.n, "entry " .. entry.id)
    if i % 2 == 0 then
      equal(all[i - 1].fields.n .. "b", entry.fields.n, "the rest of the unit")
    end
  end
  for i = 1, FOLLOWERS do
    same_entries(all, env.join(followers[i]), "follower " .. i)
  end
  client:close()
end, { "coroutines" })

case("a slow add holds up nobody else", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "held up")
  good(log:add({ n = 1 }))
  env.signal("STOP")
  local done
  local adding = env.spawn(function()
    local ids, err = log:add({ n = 2 })
    done = true
    return ids, err
  end)
  local ticks = 0
  for _ = 1, 50 do
    env.sleep(0.002)
    ticks = ticks + 1
  end
  local was_done = done
  env.signal("CONT")
  equal(50, ticks, "ticks")
  equal(nil, was_done, "the add was done while the server stood")
  equal(1, #good(env.join(adding)), "ids")
  client:close()
end, { "coroutines" })

case("a hundred followers in one thread", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "hundred")
  local tasks = {}
  for i = 1, 100 do
    tasks[i] = env.spawn(function()
      local follower = log:tail_and_follow()
      local entries = take(follower, 20)
      follower:close()
      return entries
    end)
  end
  until_blocked(env, 100)
  local added = add_numbered(log, 1, 20, 6)
  for _, task in ipairs(tasks) do same_entries(added, env.join(task), "seen") end
  until_blocked(env, 0)
  client:close()
end, { "coroutines" })

-- --- what is broken off ----------------------------------------------------

case("an abandoned coroutine leaves no half-read connection", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "abandoned")
  local added = add_numbered(log, 1, 100, 50)
  local first = good(log:tail_n(1))
  for round = 1, 10 do
    -- A reader, a writer and a follower, each with an answer under way.
    env.signal("STOP")
    local reader = function() log:tail() end
    local writer = function() env.eventlog.new(client, "elsewhere"):add({ n = round }) end
    local follower = function()
      local f = log:tail_and_follow()
      while f:next() do f:next(0.2) end
    end
    for _, f in ipairs({ reader, writer, follower }) do env.abandon(f) end
    env.signal("CONT")
    for i = 1, 10 do
      local entries = good(log:tail_n(1))
      same_entries(first, entries, "operation " .. i)
      equal(#added, good(log:length()), "length")
    end
    collectgarbage()
    collectgarbage()
  end
  until_blocked(env, 0)
  client:close()
end, { "abandon" })

case("what a server refuses before it has read it all is the server's error", function(env)
  local before = env.cli("CONFIG", "GET", "proto-max-bulk-len"):match("%d+$")
  env.cli("CONFIG", "SET", "proto-max-bulk-len", "1048576")
  local client = connect(env)
  local large = ("x"):rep(8 * 2 ^ 20)
  for _, options in ipairs({ {}, { ttl = 100 }, { idempotent = true } }) do
    local log = env.eventlog.new(client, "refused", options)
    local began = env.now()
    for _, entries in ipairs({ { { n = large } }, { { n = large }, { n = 1 } },
      { { n = 1 }, { n = large } } }) do
      local err = bad("server", log:add_many(entries))
      equal("none", err.outcome, "outcome")
      equal("ERR", err.code, "code")
    end
    local err = bad("server", log:add_if("0-0", { n = large }))
    equal("ERR", err.code, "code")
    if env.now() - began > 10 then fail("time", "none to speak of", env.now() - began) end
  end
  env.cli("CONFIG", "SET", "proto-max-bulk-len", before)
  local log = env.eventlog.new(client, "refused")
  equal(0, good(log:length()), "length")
  good(log:add({ n = large }))
  equal(1, good(log:length()), "length")
  client:close()
end)

case("an abandoned follower is collected, and its connection closed", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "collected")
  local before = connections(env)
  for _ = 1, 2 * POOLED do
    env.abandon(function()
      local follower = log:tail_and_follow()
      follower:next()
      while true do follower:next() end
    end)
  end
  add_numbered(log, 1, 1, 1)
  until_connections(env, before + POOLED)
  equal(1, good(log:length()), "length")
  client:close()
end, { "abandon" })

case("a dropped follower leaves room for the next one", function(env)
  local client = connect(env)
  local log = env.eventlog.new(client, "dropped")
  local before = connections(env)
  for n = 1, 20 do
    local added = add_numbered(log, n, n, 1)
    do
      local follower = log:tail_n_and_follow(1)
      same_entries(added, good(follower:next()), "batch")
      bad("timeout", follower:next(0.002))
    end
    collectgarbage()
    collectgarbage()
    -- On a descriptor that may have the number of the dropped one.
    local other = log:tail_n_and_follow(1)
    good(other:next())
    bad("timeout", other:next(0.002))
    other:close()
  end
  until_connections(env, before + POOLED)
  client:close()
end)

return M
