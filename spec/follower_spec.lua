--- Followers: what is there first, then what comes; each entry once.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local peer = require "spec.support.peer"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"

local names = 0

--- A name that no log has yet.
local function new_name()
  names = names + 1
  return "follow-" .. names
end

--- Adds entries numbered from `first` to `last` in one call; their ids.
local function add(log, first, last)
  local entries = {}
  for i = first, last do entries[#entries + 1] = { i = i } end
  return assert(log:add_many(entries))
end

--- What a batch holds, as text: "3 4 5".
local function numbers(batch)
  local all = {}
  for i, entry in ipairs(batch) do all[i] = entry.fields.i end
  return table.concat(all, " ")
end

--- "first ... last", as numbers() writes it.
local function sequence(first, last)
  local all = {}
  for i = first, last do all[#all + 1] = string.format("%d", i) end
  return table.concat(all, " ")
end

--- The batches up to the first that is caught up, as text.
local function catch_up(follower)
  local all = {}
  repeat
    local batch = assert(follower:next(20))
    all[#all + 1] = numbers(batch)
  until batch.caught_up
  return all
end

--- What a call returns that has to fail with this kind.
local function fails(kind, result, err)
  assert.is_nil(result)
  assert.equal(kind, type(err) == "table" and err.kind or err)
  return err
end

describe("a follower", function()
  local server, client

  setup(function()
    server = redis.start()
    client = eventlog.connect(server.url)
  end)

  teardown(function()
    client:close()
    server:stop()
  end)

  --- A log that nobody used, and the ids of entries 1 to n in it.
  local function new_log(n, options)
    local log = eventlog.new(client, new_name(), options)
    return log, add(log, 1, n or 0)
  end

  --- A log whose connections Redis knows by the log's name.
  local function new_named_log(n, options)
    local name = new_name()
    local own = eventlog.connect { url = server.url, client_name = name }
    return eventlog.new(own, name, options), add(eventlog.new(client, name), 1, n)
  end

  --- The ids by which Redis knows a named log's connections.
  local function connections(log)
    local ids = {}
    for line in server:call("CLIENT", "LIST"):gmatch("[^\n]+") do
      if line:find(" name=" .. log.name .. " ", 1, true) then
        ids[#ids + 1] = line:match("id=(%d+)")
      end
    end
    return ids
  end

  --- Whether they come to be so many.
  local function connections_are(count, log)
    return helper.eventually(function() return #connections(log) == count end)
  end

  describe("hands out what is there and then what comes, of", function()
    --- Each way to follow a log, and the number of the first entry it shows.
    --- `all`: how many entries there are; `held`: how many of them Redis still
    --- has; `shown`: how many max_length lets us see.
    local function variants(log, ids, held, shown)
      local all = #ids
      local list = {}
      local function variant(name, first, open)
        list[#list + 1] = { name = name, first = first, open = open }
      end
      variant("tail_and_follow()", all - shown + 1, function()
        return log:tail_and_follow()
      end)
      for _, n in ipairs { 0, 1, 16, 48, 5000 } do
        variant("tail_n_and_follow(" .. n .. ")", all - math.min(n, shown) + 1,
          function() return log:tail_n_and_follow(n) end)
      end
      for quarter = 0, 4 do
        local at = math.max(1, math.floor(all * quarter / 4))
        local id = ids[at] or "0-0"
        variant("tail_from_and_follow(#" .. at .. ")",
          math.max(at, all - shown + 1),
          function() return log:tail_from_and_follow(id) end)
        variant("tail_after_and_follow(#" .. at .. ")",
          math.max(math.min(at, all) + 1, all - held + 1),
          function() return log:tail_after_and_follow(id) end)
        if all == 0 then break end
      end
      return list
    end

    --- Reads a follower to the log's end, where entry `last` is.
    local function check_start(follower, first, last, ids, batch_size)
      local at = first
      repeat
        local batch = assert(follower:next(20))
        assert.equal(math.min(batch_size, last - at + 1), #batch)
        for _, entry in ipairs(batch) do
          assert.equal(ids[at], entry.id)
          assert.same({ i = tostring(at) }, entry.fields)
          at = at + 1
        end
        assert.equal(at > last, batch.caught_up or false)
      until at > last
      assert.equal(ids[last] or "0-0", follower.last_id)
      fails("timeout", follower:next(0))
    end

    --- Reads what was added meanwhile: entries first to last.
    local function check_live(follower, first, last, ids, batch_size)
      local at = first
      while at <= last do
        local batch = assert(follower:next(20))
        assert.is_true(#batch >= 1 and #batch <= batch_size)
        for _, entry in ipairs(batch) do
          assert.equal(ids[at], entry.id)
          assert.same({ i = tostring(at) }, entry.fields)
          at = at + 1
        end
        assert.equal(at > last, batch.caught_up or false)
      end
      assert.equal(ids[last], follower.last_id)
      fails("timeout", follower:next(0))
    end

    local function check(size, max_length)
      local name = new_name()
      local writer = eventlog.new(client, name, { max_length = max_length })
      local ids = add(writer, 1, size)
      local held = server:call("XLEN", name)
      local shown = math.min(held, max_length or held)
      local followers = {}
      for _, batch_size in ipairs { 1000, 7, 4, 1 } do
        local log = eventlog.new(client, name, {
          max_length = max_length, batch_size = batch_size,
        })
        for _, variant in ipairs(variants(log, ids, held, shown)) do
          local follower = variant.open()
          local ok, why = pcall(check_start, follower, variant.first, size, ids,
            batch_size)
          if not ok then
            error(variant.name .. ", batch_size " .. batch_size .. ": " ..
              tostring(why), 0)
          end
          followers[#followers + 1] = {
            name = variant.name, follower = follower, batch_size = batch_size,
          }
        end
      end
      -- Ten more: alone, as a few, as many.
      for _, step in ipairs { 1, 1, 3, 5 } do
        local first = #ids + 1
        for _, id in ipairs(add(writer, first, #ids + step)) do
          ids[#ids + 1] = id
        end
        for _, f in ipairs(followers) do
          local ok, why = pcall(check_live, f.follower, first, #ids, ids,
            f.batch_size)
          if not ok then
            error(f.name .. ", batch_size " .. f.batch_size .. ", live #" ..
              first .. ": " .. tostring(why), 0)
          end
        end
      end
      for _, f in ipairs(followers) do f.follower:close() end
      assert(writer:delete())
    end

    for _, size in ipairs { 0, 1, 22, 44, 200 } do
      for _, max_length in ipairs { 0, 3, 25 } do
        it(string.format("%d entries, max_length %s", size,
          max_length == 0 and "none" or max_length), function()
          check(size, max_length > 0 and max_length or nil)
        end)
      end
    end
  end)

  describe("at the log's end", function()
    it("says caught_up where the last page is exactly full, with one of many", function()
      local log = new_log(6, { batch_size = 3 })
      assert.same({ "1 2 3", "4 5 6" }, catch_up(log:tail_and_follow()))
      assert.same({ "1 2 3", "4 5 6" }, catch_up(log:tail_n_and_follow(6)))
      assert.same({ "4 5 6" }, catch_up(log:tail_n_and_follow(3)))
    end)

    it("has an empty first batch where there is no log, and is caught up", function()
      local log = new_log()
      for _, method in ipairs { "tail_and_follow", "tail_n_and_follow" } do
        local batch = assert(log[method](log, 0):next(20))
        assert.same({ caught_up = true }, batch)
      end
    end)

    it("gives no second empty batch", function()
      local follower = new_log():tail_and_follow()
      assert(follower:next(20))
      fails("timeout", follower:next(0.02))
      fails("timeout", follower:next(0))
    end)

    it("delivers only what is newer where the id is beyond it", function()
      for _, size in ipairs { 0, 3, 9 } do
        local log = new_log(size, { batch_size = 4 })
        local bounded = eventlog.new(client, log.name, { max_length = 2 })
        local followers = {}
        for _, id in ipairs { "9999999999999-3", "9999999999999",
          "18446744073709551615-18446744073709551615" } do
          for _, l in ipairs { log, bounded } do
            followers[#followers + 1] = l:tail_from_and_follow(id)
            followers[#followers + 1] = l:tail_after_and_follow(id)
          end
        end
        for _, follower in ipairs(followers) do
          local batch = assert(follower:next(20))
          assert.equal(0, #batch)
          assert.is_true(batch.caught_up)
          assert.is_true(batch.reset == "recreated" or batch.reset == "rewound")
        end
        add(log, size + 1, size + 2)
        for _, follower in ipairs(followers) do
          local batch = assert(follower:next(20))
          assert.equal(sequence(size + 1, size + 2), numbers(batch))
          assert.is_nil(batch.reset)
          follower:close()
        end
      end
    end)

    it("misses nothing added after tail_n_and_follow(0)'s first batch", function()
      local log = new_log(5, { batch_size = 2 })
      local follower = log:tail_n_and_follow(0)
      assert.equal(0, #assert(follower:next(20)))
      add(log, 6, 8)
      assert.same({ "6 7", "8" }, catch_up(follower))
    end)

    it("looks at no entry with tail_n_and_follow(0), however large the newest is", function()
      local name = new_name()
      server:call("XADD", name, "5-1", "i", ("x"):rep(100000))
      local small = eventlog.connect { path = server.path, max_reply = 20000 }
      local log = eventlog.new(small, name)
      local follower = log:tail_n_and_follow(0)
      local batch = assert(follower:next(20))
      assert.same({ 0, true, "5-1" }, { #batch, batch.caught_up, follower.last_id })
      add(log, 6, 6)
      assert.same({ "6" }, catch_up(follower))
      small:close()
    end)

    it("begins after a deleted newest entry with tail_n_and_follow(0)", function()
      local log, ids = new_log(3)
      server:call("XDEL", log.name, ids[3], ids[2])
      local follower = log:tail_n_and_follow(0)
      assert.equal(0, #assert(follower:next(20)))
      add(log, 4, 4)
      assert.same({ "4" }, catch_up(follower))
    end)
  end)

  it("gives last_id as a token to go on from", function()
    local log, ids = new_log(5, { batch_size = 2 })
    local follower = log:tail_and_follow()
    assert.is_nil(follower.last_id)
    assert(follower:next(20))
    assert.equal(ids[2], follower.last_id)
    follower:close()
    assert.equal(ids[2], follower.last_id)
    local second = log:tail_after_and_follow(follower.last_id)
    assert.same({ "3 4", "5" }, catch_up(second))
    local third = log:tail_after_and_follow(second.last_id)
    assert.equal(0, #assert(third:next(20)))
    assert.equal(ids[5], third.last_id)
    add(log, 6, 6)
    assert.same({ "6" }, catch_up(third))
  end)

  it("gives last_id from its first batch on, of where it began", function()
    local log, ids = new_log(3)
    local missing = new_log()
    for _, case in ipairs {
      { missing:tail_and_follow(), "0-0" }, { missing:tail_n_and_follow(0), "0-0" },
      { missing:tail_after_and_follow("5-1"), "0-0" }, { log:tail_n_and_follow(0), ids[3] },
      { log:tail_after_and_follow(ids[3]), ids[3] },
      { log:tail_from_and_follow("9999999999999-1"), ids[3] },
    } do
      assert.is_nil(case[1].last_id)
      assert.equal(0, #assert(case[1]:next(20)))
      assert.equal(case[2], case[1].last_id)
    end
    -- One that goes on from there misses nothing.
    add(missing, 1, 2)
    assert.same({ "1 2" }, catch_up(missing:tail_after_and_follow("0-0")))
    add(log, 4, 5)
    assert.same({ "4 5" }, catch_up(log:tail_after_and_follow(ids[3])))
  end)

  it("gives of a repeated name the last value, and any bytes", function()
    local log = new_log()
    local name = "a\0b\r\n"
    local follower = log:tail_and_follow()
    assert(follower:next(20))
    assert(log:add { { "x", 1 }, { name, "\0\r\n" }, { "x", 2 }, { "x", 3 } })
    assert.same({ x = "3", [name] = "\0\r\n" }, follower:next(20)[1].fields)
    server:call("XADD", log.name, "*", "y", "1", "z", "", "y", "")
    assert.same({ y = "", z = "" }, follower:next(20)[1].fields)
  end)

  describe("next(timeout)", function()
    it("polls with 0 and waits with more, and goes on after a timeout", function()
      local log = new_log()
      local follower = log:tail_and_follow()
      local batch
      repeat batch = follower:next(0) until batch
      assert.same({ caught_up = true }, batch)
      for _, timeout in ipairs { 0, 0.01, 0 } do
        local err = fails("timeout", follower:next(timeout))
        assert.is_true(err.retriable)
      end
      add(log, 1, 3)
      assert.equal("1 2 3", numbers(assert(follower:next(20))))
      add(log, 4, 4)
      repeat batch = follower:next(0) until batch
      assert.equal("4", numbers(batch))
    end)

    it("takes math.huge as no timeout, and no nonsense", function()
      local follower = new_log():tail_and_follow()
      assert(follower:next(math.huge))
      for _, bad in ipairs { -1, 0 / 0, "1", {}, true, -math.huge } do
        local ok, why = pcall(follower.next, follower, bad)
        assert.is_false(ok)
        assert.matches("timeout", why, 1, true)
      end
      fails("timeout", follower:next(0))
    end)

    it("goes on where the server paused: before, in and after the greeting", function()
      local frozen = redis.start { tcp = true, config = "--requirepass secret" }
      finally(function() frozen:stop() end)
      local log = eventlog.new({
        host = "127.0.0.1", port = frozen.port, password = "secret", db = 3,
        client_name = "paused",
      }, "paused")
      add(log, 1, 5)
      local follower
      local function pause()
        frozen:signal("STOP")
        for _, timeout in ipairs { 0, 0.01, 0, 0.01 } do
          fails("timeout", follower:next(timeout))
        end
        frozen:signal("CONT")
      end
      follower = log:tail_n_and_follow(3)
      pause()
      assert.same({ "3 4 5" }, catch_up(follower))
      pause()
      add(log, 6, 6)
      assert.same({ "6" }, catch_up(follower))
      log.client:close()
    end)

    it("goes on in the middle of a reply", function()
      local log = new_log()
      local entries, value = {}, ("v"):rep(50000)
      for i = 1, 200 do entries[i] = { i = i, v = value } end
      assert(log:add_many(entries))
      local follower, polls = log:tail_and_follow(), 0
      local batch, err
      repeat
        batch, err = follower:next(0)
        if not batch then
          fails("timeout", batch, err)
          polls = polls + 1
        end
      until batch
      assert.is_true(polls > 0)
      assert.equal(sequence(1, 200), numbers(batch))
      for _, entry in ipairs(batch) do assert.is_true(entry.fields.v == value) end
      fails("timeout", follower:next(0))
    end)

    it("goes on while it connects, for as long as connect_timeout", function()
      local deaf = peer.start({}, { tcp = true, deaf = true })
      finally(function() deaf:stop() end)
      local log = eventlog.new({ url = deaf.url, connect_timeout = 0.5 }, "deaf")
      local follower, polls = log:tail_and_follow(), 0
      local batch, err
      repeat
        batch, err = follower:next(polls % 2 * 0.01)
        polls = polls + 1
      until batch or err.kind ~= "timeout"
      assert.is_true(polls > 2)
      fails("connection", batch, err)
      assert.equal(err, select(2, follower:next(0)))
    end)

    it("says connection, not timeout, where the server does not move", function()
      local frozen = redis.start()
      finally(function() frozen:stop() end)
      local log = eventlog.new({ url = frozen.url, timeout = 0.1 }, "frozen")
      local polled, waiter = log:tail_and_follow(), log:tail_and_follow()
      frozen:signal("STOP")
      local batch, err
      repeat
        batch, err = polled:next(0)
      until batch or err.kind ~= "timeout"
      fails("connection", batch, err)
      assert.equal(err, select(2, polled:next(0)))
      fails("connection", waiter:next())
    end)
  end)

  describe("that is closed", function()
    it("returns closed from then on, and may be closed again", function()
      local log = new_log(2)
      for _, steps in ipairs { 0, 1 } do
        local follower = log:tail_and_follow()
        for _ = 1, steps do assert(follower:next(20)) end
        follower:close()
        follower:close()
        local err = fails("closed", follower:next())
        assert.equal(err, select(2, follower:next(0)))
        follower:close()
        assert.equal(err, select(2, follower:next(1)))
      end
    end)

    it("ends a loop", function()
      local log = new_log(3)
      local follower = log:tail_and_follow()
      local seen = 0
      for batch in follower do
        seen = seen + #batch
        follower:close()
      end
      assert.equal(3, seen)
      for _ in follower do error("it is closed") end
    end)

    it("closes its connection", function()
      local log = new_named_log(3)
      local follower = log:tail_and_follow()
      assert(follower:next(20))
      assert.is_true(connections_are(1, log))
      follower:close()
      assert.is_true(connections_are(0, log))
    end)

    it("closes it where a loop is left: on Lua 5.4 at once, else collected", function()
      local log = new_named_log(3)
      local function leave(how)
        for batch in log:tail_and_follow() do
          assert.equal(3, #batch)
          if how == "break" then break end
          if how == "return" then return end
          error("left")
        end
      end
      for _, how in ipairs { "break", "return", "error" } do
        collectgarbage("stop")
        assert.equal(how ~= "error", (pcall(leave, how)))
        local closed_at_once = _VERSION == "Lua 5.4"
        assert.is_true(connections_are(closed_at_once and 0 or 1, log))
        collectgarbage("restart")
        collectgarbage()
        collectgarbage()
        assert.is_true(connections_are(0, log))
      end
    end)

    it("closes it where it is collected, new, reading or waiting", function()
      local log = new_named_log(30, { batch_size = 10 })
      for steps = 0, 4 do
        local follower = log:tail_and_follow()
        for _ = 1, steps do follower:next(0.01) end
        assert.is_true(connections_are(math.min(steps, 1), log))
        follower = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        assert.is_true(connections_are(0, log))
      end
    end)

    it("is so by its client's close(), with all others", function()
      local log = new_named_log(2)
      local followers = {}
      for i = 1, 3 do
        followers[i] = log:tail_and_follow()
        if i > 1 then assert(followers[i]:next(20)) end
      end
      assert.is_true(connections_are(2, log))
      log.client:close()
      for _, follower in ipairs(followers) do
        fails("closed", follower:next())
        for _ in follower do error("it is closed") end
      end
      fails("closed", log:tail_and_follow():next(0))
      assert.is_true(connections_are(0, log))
    end)
  end)

  describe("that fails", function()
    it("returns a server's error again and again, and raises it in a loop", function()
      local name = new_name()
      server:call("SET", name, "a string")
      local log = eventlog.new(client, name)
      for _, follower in ipairs {
        log:tail_and_follow(), log:tail_n_and_follow(3),
        log:tail_from_and_follow("1-1"), log:tail_after_and_follow("1-1"),
      } do
        local err = fails("server", follower:next())
        assert.equal("WRONGTYPE", err.code)
        assert.equal(err, select(2, follower:next(0)))
        assert.equal(err, select(2, follower:next()))
      end
      local ok, err = pcall(function()
        for _ in log:tail_and_follow() do error("there is no log") end
      end)
      assert.is_false(ok)
      assert.equal("WRONGTYPE", err.code)
      assert.matches("WRONGTYPE", tostring(err), 1, true)
    end)

    it("returns a lost connection again and again, and raises it in a loop", function()
      local lossy = redis.start()
      finally(function() lossy:stop() end)
      local log = eventlog.new({ url = lossy.url, reconnect_timeout = 0.1 }, "lossy")
      add(log, 1, 3)
      local looping, stepping, new =
        log:tail_and_follow(), log:tail_and_follow(), log:tail_and_follow()
      assert(stepping:next(20))
      local seen = 0
      local ok, raised = pcall(function()
        for batch in looping do
          seen = seen + #batch
          lossy:kill()
        end
      end)
      assert.is_false(ok)
      assert.equal(3, seen)
      assert.equal("connection", raised.kind)
      assert.equal(raised, select(2, looping:next(0)))
      for _, follower in ipairs { stepping, new } do
        local err = fails("connection", follower:next())
        assert.is_true(err.retriable)
        assert.not_matches("\n", tostring(err))
        assert.equal(err, select(2, follower:next(0)))
        assert.equal(err, select(2, follower:next()))
      end
      stepping:close()
      fails("connection", stepping:next())
    end)
  end)

  describe("in a coroutine", function()
    local s, log, ids

    before_each(function()
      s = scheduler.new()
      local name = new_name()
      log = eventlog.new({
        url = server.url, driver = s.wait, client_name = name,
        pool_size = 0, -- so that only followers have connections
      }, name)
      ids = nil
    end)

    after_each(function() log.client:close() end)

    --- Runs act(follower) while another coroutine waits in its next(), after
    --- the first batch; what next() returned there.
    local function while_waiting(act)
      local follower = log:tail_and_follow()
      local waiter = s:spawn(function()
        ids = add(log, 1, 1)
        assert.equal("1", numbers(assert(follower:next(20))))
        return follower:next()
      end)
      s:spawn(function()
        repeat s:sleep(0) until follower.last_id
        s:until_waiting(waiter)
        act(follower)
      end)
      s:run(30)
      return waiter.results[1], waiter.results[2], follower
    end

    it("is woken by close()", function()
      local batch, err, follower = while_waiting(function(f) f:close() end)
      fails("closed", batch, err)
      assert.equal(err, select(2, follower:next()))
      assert.is_true(connections_are(0, log))
    end)

    it("is woken by the client's close()", function()
      local batch, err = while_waiting(function() log.client:close() end)
      fails("closed", batch, err)
      assert.is_true(connections_are(0, log))
    end)

    it("ends its loop when another one closes it", function()
      if not helper.yields_anywhere then return end -- there next() does it
      local follower = log:tail_and_follow()
      local looped = s:spawn(function()
        local seen = 0
        for batch in follower do seen = seen + #batch end
        return seen
      end)
      s:spawn(function()
        add(log, 1, 2)
        repeat s:sleep(0) until follower.last_id
        s:until_waiting(looped)
        follower:close()
      end)
      s:run(30)
      assert.equal(2, looped.results[1])
    end)

    it("is not shared: a second next() raises, the first one goes on", function()
      local ok, why
      local batch = while_waiting(function(follower)
        ok, why = pcall(follower.next, follower, 0)
        add(log, 2, 2)
      end)
      assert.is_false(ok)
      assert.matches("another coroutine", why, 1, true)
      assert.equal("2", numbers(batch))
    end)

    it("is not called from within its own wait: that raises, the wait goes on", function()
      local raised, follower
      local wait = function(fd, mode, timeout)
        local ok, why = pcall(function() return (follower:next(0)) end)
        raised = raised or not ok and why
        return require("eventlog.core").wait(fd, mode, timeout)
      end
      ids = add(eventlog.new(client, log.name), 1, 2)
      follower = eventlog.new({ url = server.url, driver = wait }, log.name)
        :tail_and_follow()
      assert.equal("1 2", numbers(assert(follower:next(20))))
      fails("timeout", follower:next(0.01))
      assert.matches("from within", raised, 1, true)
      assert.matches("follower_spec.lua", raised, 1, true)
      follower:close()
    end)

    it("is free at whatever step of next() a hook raised", function()
      local follower, i, last = eventlog.new(client, log.name):tail_and_follow(), 0, nil
      for steps = 1, 600, 13 do
        i = i + 1
        add(eventlog.new(client, log.name), i, i)
        local ok, batch = pcall(function()
          debug.sethook(function()
            debug.sethook()
            error("from a hook", 0)
          end, "", steps)
          local received = follower:next(20)
          debug.sethook()
          return received
        end)
        if ok then
          last = batch[#batch] and batch[#batch].fields.i or last
        else
          assert.equal("from a hook", batch)
        end
        local err
        batch, err = coroutine.wrap(function() return follower:next(0.01) end)()
        if not batch then fails("timeout", batch, err) end
        for _, entry in ipairs(batch or {}) do
          assert.is_true(not last or tonumber(entry.fields.i) > tonumber(last))
          last = entry.fields.i
        end
      end
      follower:close()
    end)

    -- The last two steps are left out: whether next() has returned, nobody can tell.
    for _, timeout in ipairs { 20, 0 } do
      it("hands each entry out once, at whatever step an error leaves next(" ..
        timeout .. ")", function()
        local follower = eventlog.new(client, log.name):tail_and_follow()
        local received, wrong, left_at = {}, {}
        local function leave()
          local level = 2
          while debug.getinfo(level, "f").func ~= follower.next do
            level = level + 1
            if not debug.getinfo(level, "f") then return end -- not in next()
          end
          debug.sethook()
          local info = debug.getinfo(2, "Sl")
          left_at = info.short_src:match("[^/]+$") .. ":" .. info.currentline
          error("from a hook", 0)
        end
        local i, clean, last_id = 0, 0, nil
        assert(follower:next(20))
        local function take(batch)
          for _, entry in ipairs(batch) do
            received[#received + 1] = entry.fields.i
            last_id = entry.id
          end
        end
        while clean < 20 do -- then there are no more steps
          i, left_at = i + 1, nil
          server:call("XADD", log.name, "*", "i", i)
          local ok, batch
          for _ = 1, 1000 do
            debug.sethook(leave, "", 2 * i)
            ok, batch = pcall(follower.next, follower, timeout)
            debug.sethook()
            if not ok or batch then break end
            core.wait(-1, "r", 0.001)
          end
          clean = ok and clean + 1 or 0
          if ok then
            take(assert(batch))
          else
            assert.equal("from a hook", batch)
            if last_id and follower.last_id ~= last_id then wrong[left_at] = true end
            batch = follower:next(0.3)
            if batch then take(batch) end
            if received[#received] ~= tostring(i) then wrong[left_at] = true end
            last_id = follower.last_id
          end
        end
        for k = 2, #received do
          assert.is_true(tonumber(received[k]) > tonumber(received[k - 1]))
        end
        local lines = {}
        for line in pairs(wrong) do lines[#lines + 1] = line end
        assert.is_true(#lines <= 2, table.concat(lines, " "))
        follower:close()
      end)
    end

    it("may be handed on between two calls", function()
      local follower = log:tail_and_follow()
      local seen = {}
      add(eventlog.new(client, log.name), 1, 1)
      for i = 2, 4 do
        s:spawn(function() seen[#seen + 1] = numbers(assert(follower:next(20))) end)
        s:run(30)
        add(eventlog.new(client, log.name), i, i)
      end
      assert.equal("1 2 3", table.concat(seen, " "))
    end)

    it("closes its connection although a dropped coroutine waited in it", function()
      local follower = log:tail_and_follow()
      local dropped = coroutine.create(function()
        while true do follower:next() end
      end)
      repeat assert(coroutine.resume(dropped)) until connections_are(1, log)
      dropped = nil -- luacheck: ignore
      collectgarbage()
      follower:close()
      fails("closed", follower:next())
      assert.is_true(connections_are(0, log))
    end)

    it("goes on waiting where the server ends its wait early", function()
      local batch = while_waiting(function()
        local woken = 0
        for _ = 1, 3 do
          woken = woken + server:call("CLIENT", "UNBLOCK", connections(log)[1])
          s:sleep(0.02)
        end
        assert.equal(3, woken)
        add(log, 2, 2)
      end)
      assert.equal("2", numbers(batch))
    end)

    it("goes on after entries that it has, or has not, were deleted", function()
      local batch = while_waiting(function()
        server:call("XDEL", log.name, ids[1])
        -- One in a transaction comes and goes unseen.
        server:call("EVAL", [[
          local id = redis.call('XADD', KEYS[1], '*', 'i', 'gone')
          redis.call('XDEL', KEYS[1], id)]], 1, log.name)
        s:sleep(0.05)
        add(log, 2, 2)
      end)
      assert.equal("2", numbers(batch))
    end)
  end)

  it("reads on where entries are deleted between its pages", function()
    local log, ids = new_log(9, { batch_size = 2 })
    for _, deleted in ipairs { { 2, 3 }, { 5 }, { 4, 6, 7, 8 } } do
      local follower = log:tail_and_follow()
      local left = {}
      for _, entry in ipairs(assert(follower:next(20))) do
        left[#left + 1] = entry.fields.i
      end
      for _, i in ipairs(deleted) do server:call("XDEL", log.name, ids[i]) end
      repeat
        local batch = assert(follower:next(20))
        for _, entry in ipairs(batch) do left[#left + 1] = entry.fields.i end
      until batch.caught_up
      for i = 2, #left do
        assert.is_true(tonumber(left[i - 1]) < tonumber(left[i]))
      end
      assert.equal("9", left[#left])
      follower:close()
    end
  end)

  it("holds no batch while it waits", function()
    local output = helper.run([[
      local url, name, count = ...
      local eventlog = require "eventlog"
      local function memory() -- kB, of Lua and of the process
        collectgarbage()
        collectgarbage()
        local rss
        for line in io.lines("/proc/self/status") do
          rss = rss or line:match("^VmRSS:%s*(%d+)")
        end
        return collectgarbage("count"), tonumber(rss)
      end
      local log = eventlog.new(url, name)
      local entries = {}
      for i = 1, 100 do entries[i] = { i = i, v = ("v"):rep(50000) } end
      assert(log:add_many(entries))
      entries = nil
      local followers = {}
      local lua, process
      for i = 1, count do
        local f = log:tail_and_follow()
        assert(#assert(f:next(20)) == 100)
        assert(select(2, f:next(0)).kind == "timeout")
        followers[i] = f
        if i == 2 then lua, process = memory() end
      end
      local lua_after, process_after = memory()
      print(lua_after - lua, process_after - process)
    ]], server.url, new_name(), 62)
    -- Sixty more followers with a batch of 5 MB each would be 300 MB.
    local lua, process = output:match("(%S+)%s+(%S+)")
    assert.is_true(tonumber(lua) < 1000, output)
    assert.is_true(tonumber(process) < 60000, output)
  end)
end)
