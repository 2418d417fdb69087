--- Inside a real nginx with ngx_lua. The Lua there is nginx's own, whichever
--- drives it from here: once is enough, and LuaJIT's search paths fit.

if not rawget(_G, "jit") then
  pending("inside nginx: on LuaJIT's turn only")
  return
end

local contract = require "spec.support.contract"
local core = require "eventlog.core"
local helper = require "spec.support.helper"
local nginx = require "spec.support.nginx"
local redis = require "spec.support.redis"

--- Handles that every request and timer shares, made where nginx begins and
--- where a module is loaded.
local function handles(url)
  return {
    init = string.format([[ init_by_lua_block {
      eventlog = require "eventlog"
      made_in_init = eventlog.new({ url = %q, pool_size = 8 }, "shared")
    } ]], url),
    module = string.format([[
      local eventlog = require "eventlog"
      local M = { client = eventlog.connect(%q) }
      M.log = eventlog.new(M.client, "shared")
      M.seen = {}
      return M
    ]], url),
  }
end

--- An nginx with those handles.
local function start(url, options)
  options = options or {}
  local made = handles(url)
  options.http = options.http or made.init
  options.modules = { handles = made.module }
  return nginx.start(options)
end

--- How many connections the server sees in a blocking command.
local function blocked(server)
  return tonumber(server:cli("INFO", "clients"):match("blocked_clients:(%d+)"))
end

local function connections(server)
  return tonumber(server:cli("INFO", "stats"):match("total_connections_received:(%d+)"))
end

--- Connections that are open now, but for the one that asks.
local function connected(server)
  return tonumber(server:cli("INFO", "clients"):match("connected_clients:(%d+)")) - 1
end

local function is_gone(pid)
  local file = io.open(string.format("/proc/%d/status", pid))
  if not file then return true end
  local text = file:read("*a")
  file:close()
  return text:find("\nState:%s+Z") ~= nil
end

describe("in OpenResty", function()
  local server, web

  setup(function()
    server = redis.start()
    web = start(server.url, {
      locations = {
        ["/add"] = [[
          local ids, err = made_in_init:add({ path = "/add", at = ngx.now() })
          ngx.print(ids and ids[1] or tostring(err)) ]],
        ["/follow"] = [[
          local follower = made_in_init:tail_n_and_follow(0)
          while true do
            local batch, err = follower:next()
            if not batch then ngx.say(err.kind, ": ", tostring(err)) return end
            for _, entry in ipairs(batch) do ngx.say(entry.fields.n) end
            if #batch == 0 then ngx.say("open") end
            ngx.flush(true)
          end ]],
      },
    })
  end)

  before_each(function() server:cli("FLUSHALL") end)

  teardown(function()
    web:stop()
    server:stop()
  end)

  it("adds, reads and deletes", function()
    assert.equal("ok", web:run [[
      local log = eventlog.new(made_in_init.client, "plain", { ttl = 100 })
      local ids = assert(log:add({ a = 1, b = "\r\n\0", c = true }))
      ids[2], ids[3] = unpack(assert(log:add({ a = 2 }, { a = 19.8 })))
      local entries = assert(log:tail())
      assert(#entries == 3 and entries[1].fields.b == "\r\n\0")
      for i, entry in ipairs(entries) do assert(entry.id == ids[i]) end
      assert(entries[3].fields.a == "19.8")
      assert(#log:tail_n(2) == 2 and #log:tail_from(ids[2]) == 2)
      assert(#log:tail_after(ids[2]) == 1)
      assert(log:length() == 3 and log:last_id() == ids[3])
      local _, err = eventlog.new(log.client, "text"):add({ a = 1 })
      assert(not err)
      assert(log:delete() == true and log:delete() == false)
      return "ok" ]])
  end)

  it("moves entries larger than nginx's buffers", function()
    assert.equal("ok", web:run [[
      local log = eventlog.new(made_in_init.client, "large", { batch_size = 7 })
      local text = string.rep("0123456789abcdef", 2 ^ 16)
      assert(log:add({ text = text }, { text = text .. "!" }))
      local entries = {}
      for i = 1, 100 do entries[i] = { i = i, pad = string.rep("x", 1000) } end
      assert(log:add_many(entries))
      local all = assert(log:tail())
      assert(#all == 102 and all[1].fields.text == text)
      assert(all[2].fields.text == text .. "!" and all[102].fields.i == "100")
      local seen = 0
      for batch in log:tail_and_follow() do
        seen = seen + #batch
        if batch.caught_up then break end
      end
      assert(seen == 102)
      return "ok" ]])
  end)

  it("follows: what is there first, then what comes", function()
    assert.equal("1 2|3|4 5", web:run [[
      local log = made_in_init
      log:add({ n = 1 }, { n = 2 })
      local batches = {}
      for batch in log:tail_and_follow() do
        local numbers = {}
        for i, entry in ipairs(batch) do numbers[i] = entry.fields.n end
        batches[#batches + 1] = table.concat(numbers, " ")
        if #batches == 1 then
          ngx.timer.at(0.1, function() made_in_init:add({ n = 3 }) end)
        elseif #batches == 2 then
          ngx.timer.at(0.7, function() made_in_init:add({ n = 4 }, { n = 5 }) end)
        else
          return table.concat(batches, "|")
        end
      end ]])
  end)

  it("polls with next(0), and goes on after next() ran into its timeout", function()
    assert.equal("ok", web:run [[
      local log = made_in_init
      log:add({ n = 1 })
      local follower = log:tail_and_follow()
      local batch, err
      repeat
        batch, err = follower:next(0)
        assert(batch or err.kind == "timeout", err)
      until batch
      assert(#batch == 1 and batch.caught_up)
      for _, timeout in ipairs { 0, 0.001, 0.1, 0.7 } do
        batch, err = follower:next(timeout)
        assert(not batch and err.kind == "timeout")
      end
      log:add({ n = 2 })
      repeat batch = follower:next(0) until batch
      assert(#batch == 1 and batch[1].fields.n == "2")
      assert(follower.last_id == batch[1].id)
      follower:close()
      batch, err = follower:next(0)
      assert(not batch and err.kind == "closed")
      return "ok" ]])
  end)

  it("uses handles of init_by_lua and of modules in requests and timers", function()
    web:run [[
      local handles = require "handles"
      assert(made_in_init:add({ n = 1 }))
      assert(handles.log:add({ n = 2 }))
      assert(ngx.timer.at(0, function()
        local ok, err = pcall(function()
          assert(made_in_init:add({ n = 3 }))
          assert(handles.log:add({ n = 4 }))
          local all = {}
          for batch in handles.log:tail_and_follow() do
            for _, entry in ipairs(batch) do all[#all + 1] = entry.fields.n end
            if batch.caught_up then break end
          end
          handles.seen.timer = table.concat(all, " ")
        end)
        if not ok then handles.seen.timer = err end
      end)) ]]
    assert.equal("1 2 3 4", helper.eventually(function()
      local seen = web:run [[ return require "handles".seen.timer ]]
      return seen ~= "nil" and seen
    end))
    assert.equal("4", web:run [[ return #require "handles".log:tail() ]])
  end)

  it("gives a clear error for a host name where nginx has no resolver", function()
    assert.equal("ok", web:run [[
      local ids, err = eventlog.new("redis://redis.invalid:6379", "x"):add({ a = 1 })
      assert(not ids and err.kind == "connection" and err.outcome == "none")
      local text = tostring(err)
      assert(text:find("redis.invalid", 1, true), text)
      assert(text:find("resolver", 1, true), text)
      return "ok" ]])
  end)

  it("gives an error where nobody listens", function()
    assert.equal("connection none", web:run [[
      local ids, err = eventlog.new("unix:///nowhere/redis.sock", "x"):add({ a = 1 })
      return not ids and err.kind .. " " .. err.outcome ]])
  end)

  describe("keeps idle connections in nginx's pools:", function()
    it("many requests share one", function()
      web:get("/add")
      local before = connections(server)
      web:get("/add?[1-200]")
      local after = connections(server) - 1 -- the one that asks
      assert.is_true(after <= before, after .. " connections, of " .. before)
      assert.equal("201", server:cli("XLEN", "shared"))
    end)

    it("no more than pool_size of a client", function()
      assert.equal("30", web:run(string.format([[
        local log = eventlog.new({ url = %q, pool_size = 3, client_name = "few" }, "few")
        local threads = {}
        for i = 1, 30 do
          threads[i] = ngx.thread.spawn(function() assert(log:add({ i = i })) end)
        end
        for i = 1, 30 do assert(ngx.thread.wait(threads[i])) end
        return log:length() ]], server.url)))
      local _, kept = server:cli("CLIENT", "LIST"):gsub("name=few", "")
      assert.equal(3, kept)
    end)

    it("for pool_idle seconds", function()
      web:run(string.format([[
        local log = eventlog.new({ url = %q, pool_idle = 0.1, client_name = "aging" }, "x")
        assert(log:add({ i = 1 })) ]], server.url))
      assert.is_true(helper.eventually(function()
        return not server:cli("CLIENT", "LIST"):find("name=aging", 1, true)
      end))
    end)

    it("none with a pool_size of 0", function()
      web:run(string.format([[
        local log = eventlog.new({ url = %q, pool_size = 0, client_name = "none" }, "x")
        for i = 1, 5 do assert(log:add({ i = i })) end ]], server.url))
      assert.is_true(helper.eventually(function()
        return not server:cli("CLIENT", "LIST"):find("name=none", 1, true)
      end))
    end)

    it("one for each database", function()
      assert.equal("3 2 1", web:run(string.format([[
        local url, logs = %q, {}
        for db = 0, 2 do logs[db] = eventlog.new(url .. "?db=" .. db, "by-db") end
        for i = 1, 3 do
          for db = 0, 3 - i do assert(logs[db]:add({ i = i })) end
        end
        return logs[0]:length() .. " " .. logs[1]:length() .. " " ..
          logs[2]:length() ]], server.url)))
      assert.equal("3", server:cli("XLEN", "by-db"))
    end)

    it("one for each user, whatever the names are", function()
      for name, key in pairs { ["ann"] = "of-ann", ["b|ann"] = "of-b-ann" } do
        server:cli("ACL", "SETUSER", name, "on", ">secret", "~" .. key, "+@all")
      end
      assert.equal("ok", web:run(string.format([[
        local path = %q
        local function log(user, name, client)
          return eventlog.new({ path = path, username = user, password = "secret",
            client_name = client }, name)
        end
        for _ = 1, 3 do
          assert(log("ann", "of-ann"):add({ a = 1 }))
          local _, err = log("ann", "of-b-ann"):add({ a = 1 })
          assert(err and err.code == "NOPERM", err)
          assert(log("b|ann", "of-b-ann"):add({ a = 1 }))
          -- What stands between the parts of a pool's name may be in a part.
          assert(log("ann", "of-ann", "c|b"):add({ a = 1 }))
          assert(log("b|ann", "of-b-ann", "c"):add({ a = 1 }))
        end
        return "ok" ]], server.path)))
    end)

    it("nobody gets in with a wrong password because one is logged in", function()
      server:cli("ACL", "SETUSER", "eve", "on", ">right", "~*", "+@all")
      assert.equal("ok", web:run(string.format([[
        local function add(password)
          return eventlog.new({ path = %q, username = "eve", password = password },
            "x"):add({ a = 1 })
        end
        for _ = 1, 3 do
          assert(add("right"))
          local ids, err = add("wrong")
          assert(not ids and err.code == "WRONGPASS" and err.outcome == "none")
          assert(not tostring(err):find("wrong", 1, true))
        end
        return "ok" ]], server.path)))
    end)

    it("what the server closed between two requests is replaced, unseen", function()
      for _ = 1, 5 do
        assert.matches("^%d+%-%d+$", web:get("/add"))
        server:cli("CLIENT", "KILL", "TYPE", "normal")
      end
      server:kill()
      server:launch()
      assert.matches("^%d+%-%d+$", web:get("/add"))
    end)

    it("what the server closed while nginx did not look is replaced, unseen", function()
      assert.equal("ok", web:run(string.format([[
        local log = made_in_init
        assert(log:add({ a = 1 }))
        assert(os.execute("redis-cli -s %s CLIENT KILL TYPE normal >/dev/null") == 0)
        assert(log:add({ a = 2 }))
        assert(os.execute("redis-cli -s %s CLIENT KILL TYPE normal >/dev/null") == 0)
        local batch = assert(log:tail_and_follow():next())
        assert(#batch == 2)
        return "ok" ]], server.path, server.path)))
    end)

    it("one that owes a reply is closed", function()
      assert.equal("ok", web:run [[
        for i = 1, 3 do
          local follower = made_in_init:tail_n_and_follow(0)
          assert(follower:next())
          local _, err = follower:next(0.01)
          assert(err.kind == "timeout")
          follower:close()
          local ids = assert(made_in_init:add({ n = i }))
          assert(made_in_init:tail_n(1)[1].id == ids[1])
        end
        return "ok" ]])
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
    end)
  end)

  describe("a follower", function()
    --- A request that follows, and is open.
    local function follow()
      local pipe, pid = web:open("/follow")
      assert.equal("open", pipe:read("*l"))
      assert.is_true(helper.eventually(function() return blocked(server) == 1 end))
      return pipe, pid
    end

    it("ends on a reload, and with it the old worker", function()
      local old = web:worker()
      local pipe = follow()
      server:cli("XADD", "shared", "*", "n", "1")
      assert.equal("1", pipe:read("*l"))
      web:reload()
      assert.matches("^exiting: .*exiting", pipe:read("*l"))
      assert.is_nil(pipe:read("*l"))
      pipe:close()
      assert.is_true(helper.eventually(is_gone, old))
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
      assert.matches("^%d+%-%d+$", web:get("/add"))
    end)

    it("ends on a reload in a timer, its loop without an error", function()
      local old = web:worker()
      web:run [[
        assert(ngx.timer.at(0, function()
          for _ in made_in_init:tail_and_follow() do end
          ngx.log(ngx.NOTICE, "the timer's loop has ended")
        end)) ]]
      assert.is_true(helper.eventually(function() return blocked(server) == 1 end))
      web:reload()
      assert.is_true(helper.eventually(is_gone, old))
      assert.matches("the timer's loop has ended", web:log(), 1, true)
    end)

    it("ends on a reload also before the server has answered anything", function()
      local old = web:worker()
      server:signal("STOP")
      finally(function() server:signal("CONT") end)
      web:run(string.format([[
        assert(ngx.timer.at(0, function()
          local client = eventlog.connect({ url = %q .. "?db=1", connect_timeout = 90,
            timeout = 90 })
          local _, err = eventlog.new(client, "x"):tail_and_follow():next()
          ngx.log(ngx.NOTICE, "greeted by nobody: ", err.kind)
        end)) ]], server.url))
      web:reload()
      assert.is_true(helper.eventually(is_gone, old))
      assert.matches("greeted by nobody: exiting", web:log(), 1, true)
    end)

    it("goes with its client", function()
      local before = connected(server)
      local pipe, pid = follow()
      redis.sh("kill %d", pid)
      pipe:close()
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
      assert.is_true(connected(server) <= before)
    end)

    it("is closed from a sibling light thread, whatever the server does", function()
      finally(function() server:signal("CONT") end)
      assert.equal("closed closed", web:run(string.format([[
        local client = eventlog.connect({ url = %q, timeout = 90 })
        local follower = eventlog.new(client, "x"):tail_n_and_follow(0)
        assert(follower:next())
        local waiting = ngx.thread.spawn(function()
          local _, err = follower:next()
          return err.kind
        end)
        ngx.sleep(0.1)
        assert(os.execute("kill -STOP %d") == 0)
        follower:close()
        local guard = ngx.thread.spawn(function()
          ngx.sleep(10)
          return "still waiting"
        end)
        local _, kind = ngx.thread.wait(waiting, guard)
        return kind .. " " .. select(2, follower:next()).kind ]], server.url, server.pid)))
      server:signal("CONT")
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
    end)

    it("is closed from a sibling before the server has answered anything", function()
      server:signal("STOP")
      finally(function() server:signal("CONT") end)
      assert.equal("closed", web:run(string.format([[
        local client = eventlog.connect({ url = %q .. "?db=1", connect_timeout = 90,
          timeout = 90 })
        local follower = eventlog.new(client, "x"):tail_and_follow()
        local waiting = ngx.thread.spawn(function()
          local _, err = follower:next()
          return err.kind
        end)
        ngx.sleep(0.1)
        follower:close()
        local guard = ngx.thread.spawn(function()
          ngx.sleep(10)
          return "still waiting"
        end)
        return select(2, ngx.thread.wait(waiting, guard)) ]], server.url)))
    end)

    it("is closed with its client, which another request closes", function()
      finally(function() -- whatever became of them, the next ones begin anew
        web:halt()
        web:launch()
      end)
      web:run(string.format([[
        local handles = require "handles"
        handles.doomed = eventlog.connect({ url = %q, client_name = "doomed" })
        -- One waits in next(), the other is busy elsewhere meanwhile.
        for _, name in ipairs { "waiting", "busy" } do
          assert(ngx.timer.at(0, function()
            local follower = eventlog.new(handles.doomed, "x"):tail_and_follow()
            assert(follower:next())
            handles.seen.ready = (handles.seen.ready or 0) + 1
            while name == "busy" and not handles.seen.closed do ngx.sleep(0.01) end
            handles.seen[name] = select(2, follower:next()).kind
          end))
        end ]], server.url))
      assert.equal("2", helper.eventually(function()
        local ready = web:run [[ return require "handles".seen.ready ]]
        return ready == "2" and ready
      end))
      assert.equal("closed closed", web:run [[
        local handles = require "handles"
        handles.doomed:close()
        handles.doomed:close()
        local seen = handles.seen
        seen.closed = true
        for _ = 1, 100 do
          if seen.waiting and seen.busy then break end
          ngx.sleep(0.05)
        end
        return tostring(seen.waiting) .. " " .. tostring(seen.busy) ]])
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
    end)

    it("can be used after a light thread died in its next()", function()
      assert.equal("1", web:run(string.format([[
        local angry = true
        local client = eventlog.connect({ url = %q, client_name = "angry",
          on_event = function()
            if angry then error("angry") end
          end })
        local follower = eventlog.new(client, "shared"):tail_and_follow()
        made_in_init:add({ n = 1 })
        local died = ngx.thread.spawn(function() follower:next() end)
        ngx.sleep(0.1)
        angry = false
        local batch = follower:next(5)
        assert(not ngx.thread.wait(died))
        follower:close()
        return batch[1].fields.n ]], server.url)))
    end)

    it("can be used after the light thread in its next() was killed", function()
      assert.equal("1", web:run [[
        local follower = made_in_init:tail_and_follow()
        assert(follower:next())
        local waiting = ngx.thread.spawn(function() follower:next() end)
        ngx.sleep(0.05)
        assert(ngx.thread.kill(waiting))
        made_in_init:add({ n = 1 })
        local batch = assert(follower:next(5))
        follower:close()
        return batch[1].fields.n ]])
      assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
    end)

    it("belongs to the request that uses it, until that one has ended", function()
      local function use(code)
        return web:run([[
          local lent = require "handles".lent
          local function numbers(batch)
            local list = {}
            for i, entry in ipairs(batch) do list[i] = entry.fields.n end
            return table.concat(list, " ")
          end ]] .. code)
      end
      -- Two timers: one waits in next(), one has left it, and goes on elsewhere.
      for _, way in ipairs { "waits", "lives" } do
        web:run(string.format([[
          local handles, way = require "handles", %q
          handles.lent, handles.go_on = made_in_init:tail_and_follow(), false
          handles.seen[way] = nil
          assert(ngx.timer.at(0, function()
            handles.lent:next()
            if way == "lives" then handles.seen[way] = "out" end
            while way == "lives" and not handles.go_on do ngx.sleep(0.01) end
            local batch, err = handles.lent:next()
            handles.seen[way] = batch and batch[1].fields.n or tostring(err)
          end)) ]], way))
        if way == "waits" then
          assert.is_true(helper.eventually(function() return blocked(server) == 1 end))
        else
          assert.equal("out", helper.eventually(function()
            local seen = use [[ return require "handles".seen.lives ]]
            return seen ~= "nil" and seen
          end))
        end
        for _ = 1, 2 do
          local why = use [[
            local ok, why = pcall(function() return (lent:next(0)) end)
            return not ok and why ]]
          assert.matches("a follower belongs to the request", why, 1, true)
          assert.not_matches("lua/eventlog", why, 1, true)
        end
        server:cli("XADD", "shared", "*", "n", way)
        use [[ require "handles".go_on = true ]]
        assert.equal(way, helper.eventually(function()
          local seen = use("return require 'handles'.seen." .. way)
          return seen ~= "nil" and seen ~= "out" and seen
        end))
        -- That timer has ended: now it is anybody's, and goes on.
        server:cli("XADD", "shared", "*", "n", "more")
        assert.equal("more", use [[ return numbers(assert(lent:next(5))) ]])
        server:cli("FLUSHALL")
      end
    end)

    it("refuses a second light thread in next()", function()
      assert.matches("another coroutine waits", web:run [[
        local follower = made_in_init:tail_and_follow()
        assert(follower:next())
        local waiting = ngx.thread.spawn(function() follower:next() end)
        local ok, why = pcall(follower.next, follower, 0)
        follower:close()
        ngx.thread.wait(waiting)
        return not ok and why ]], 1, true)
    end)
  end)

  it("serves many light threads on one client and one log", function()
    assert.equal("ok", web:run [[
      local log = eventlog.new(made_in_init.client, "many", { batch_size = 50 })
      local threads, added, seen = {}, {}, {}
      local function spawn(f) threads[#threads + 1] = ngx.thread.spawn(f) end
      for follower = 1, 5 do
        spawn(function()
          local numbers = {}
          seen[follower] = numbers
          for batch in log:tail_and_follow() do
            for _, entry in ipairs(batch) do
              numbers[#numbers + 1] = entry.id .. " " .. entry.fields.n
            end
            if #numbers == 2000 then return end
          end
        end)
      end
      for writer = 1, 40 do
        spawn(function()
          for i = 1, 50 do
            local n = writer .. "." .. i
            local ids = assert(log:add({ n = n }))
            added[#added + 1] = ids[1] .. " " .. n
            local last = assert(log:tail_from(ids[1]))[1]
            assert(last.id == ids[1] and last.fields.n == n)
          end
        end)
      end
      for _, thread in ipairs(threads) do assert(ngx.thread.wait(thread)) end
      assert(#added == 2000)
      local all = {}
      for i, entry in ipairs(assert(log:tail())) do
        all[i] = entry.id .. " " .. entry.fields.n
      end
      local expected = table.concat(all, "\n")
      for follower = 1, 5 do
        assert(table.concat(seen[follower], "\n") == expected)
      end
      table.sort(all)
      table.sort(added)
      assert(table.concat(all, "\n") == table.concat(added, "\n"))
      return "ok" ]])
  end)

  it("lets other requests be served while the server stalls", function()
    web:get("/add")
    server:signal("STOP")
    local pipes = {}
    for i = 1, 5 do pipes[i] = web:open("/add") end
    for _ = 1, 5 do
      assert.equal("alive", web:run [[ ngx.sleep(0.01) return "alive" ]])
    end
    assert.equal("1", (server:signal("CONT") or "") .. redis.sh("echo 1"))
    for _, pipe in ipairs(pipes) do
      assert.matches("^%d+%-%d+$", pipe:read("*a"))
      pipe:close()
    end
    assert.equal("6", server:cli("XLEN", "shared"))
  end)
end)

describe("in OpenResty", function()
  local server, web

  setup(function()
    server = redis.start()
    web = nginx.start({
      modules = {
        run_case = string.format([[
          local contract = require "spec.support.contract"
          local redis = require "spec.support.redis"
          local path, pid = %q, %d
          local env = {
            eventlog = require "eventlog",
            target = { path = path },
            sleep = function(seconds)
              ngx.update_time() -- or what was done since nginx's last turn counts
              ngx.sleep(seconds)
            end,
            now = require "eventlog.core".now,
            iterates = true,
            spawn = ngx.thread.spawn,
          }
          function env.cli(...)
            local words = { "redis-cli", "-s", path, ... }
            for i, word in ipairs(words) do words[i] = redis.quote(tostring(word)) end
            return redis.sh("%%s", table.concat(words, " "))
          end
          function env.signal(name) redis.sh("kill -%%s %%d", name, pid) end
          local function results(ok, ...)
            if ok then return ... end
            error((...), 0)
          end
          function env.join(task) return results(ngx.thread.wait(task)) end
          function env.abandon(f) assert(ngx.thread.kill(ngx.thread.spawn(f))) end
          return function(number)
            assert(contract.can_run(contract.cases[number], env))
            contract.cases[number].run(env)
            return "ran"
          end ]], server.path, server.pid),
      },
    })
  end)

  before_each(function() server:cli("FLUSHALL") end)

  after_each(function() server:signal("CONT") end)

  teardown(function()
    web:stop()
    server:stop()
  end)

  for number, case in ipairs(contract.cases) do
    it(case.name, function()
      assert.equal("ran", web:run("return require 'run_case'(" .. number .. ")"))
    end)
  end
end)

describe("in OpenResty, a Unix socket whose backlog is full", function()
  it("is waited for within connect_timeout", function()
    local server = redis.start { config = "--tcp-backlog 2" }
    local web = start(server.url)
    local crowd = {}
    finally(function()
      server:signal("CONT")
      for _, socket in ipairs(crowd) do socket:close() end
      web:stop()
      server:stop()
    end)
    server:signal("STOP")
    repeat
      local socket = core.unix(server.path)
      crowd[#crowd + 1] = socket or nil
    until not socket
    redis.sh("(sleep 0.7; kill -CONT %d) >/dev/null 2>&1 &", server.pid)
    assert.equal("1", web:run [[
      assert(made_in_init:add({ n = 1 }))
      return made_in_init:length() .. "" ]])
  end)
end)

describe("in OpenResty, where requests are aborted and light threads killed", function()
  it("a request ends though its light thread was killed within a large send", function()
    local server = redis.start()
    local web = start(server.url)
    finally(function()
      server:signal("CONT")
      web:stop()
      server:stop()
    end)
    server:signal("STOP")
    web:write("program", [[
      local sending = ngx.thread.spawn(function()
        return made_in_init:add({ v = ("x"):rep(2 ^ 24) })
      end)
      ngx.sleep(0.2)
      assert(ngx.thread.kill(sending))
      return "killed"]])
    local answer = web:get("/run", "-m 10 --data-binary @" .. web.dir .. "/program")
    assert.equal("killed", answer)
    server:signal("CONT")
    assert.equal("1", web:run [[
      assert(made_in_init:add({ v = ("x"):rep(2 ^ 24) }))
      return made_in_init:length() .. "" ]])
  end)

  it("the next 1,000 operations are right, and nobody is left blocked", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local web = start(server.url, {
      locations = {
        -- Adds, reads and follows at random, for as long as its client is there.
        -- (Who went away before this begins is not noticed by nginx.)
        ["/work"] = [[
          local log = made_in_init
          ngx.say("begun")
          ngx.flush(true)
          while true do
            local what = math.random(4)
            if what == 1 then
              log:add({ n = ngx.now() })
            elseif what == 2 then
              log:add({ n = 1 }, { n = 2 }, { n = 3 })
            elseif what == 3 then
              log:tail_n(50)
            else
              local follower = log:tail_n_and_follow(3)
              follower:next()
              follower:next(math.random() / 50)
              if math.random(2) == 1 then follower:close() end
            end
          end ]],
      },
    })
    finally(function()
      web:stop()
      server:stop()
    end)
    web:run [[ made_in_init:add({ n = 0 }) ]]

    redis.sh("perl spec/support/crowd.pl abort %s /work 1000", web.path)
    assert.equal("1000 killed", web:run [[
      local log, killed = made_in_init, 0
      math.randomseed(1)
      for _ = 1, 50 do
        local threads = {}
        for i = 1, 20 do
          threads[i] = ngx.thread.spawn(function()
            while true do
              log:add({ n = i }, { n = i })
              log:tail_n(20)
              local follower = log:tail_n_and_follow(0)
              follower:next()
              follower:next(0.002)
            end
          end)
        end
        ngx.sleep(math.random() / 50)
        for i = 1, 20 do
          if ngx.thread.kill(threads[i]) then killed = killed + 1 end
        end
      end
      return killed .. " killed" ]])
    assert.is_true(helper.eventually(function() return blocked(server) == 0 end))

    server:cli("DEL", "right")
    assert.equal("1000 right", web:run [[
      local log, threads, right = eventlog.new(made_in_init.client, "right"), {}, 0
      for i = 1, 10 do
        threads[i] = ngx.thread.spawn(function()
          for k = 1, 25 do
            local n = i .. "." .. k
            local ids = assert(log:add({ n = n }))
            local read = assert(log:tail_from(ids[1]))[1]
            assert(read.id == ids[1] and read.fields.n == n)
            local pair = assert(log:add({ n = n }, { n = n }))
            assert(#pair == 2)
            assert(log:length() >= 3 * k)
            right = right + 4
          end
        end)
      end
      for i = 1, 10 do assert(ngx.thread.wait(threads[i])) end
      assert(log:length() == 750)
      return right .. " right" ]])
    assert.is_true(helper.eventually(function() return blocked(server) == 0 end))
    -- The pool's, and nothing else.
    assert.is_true(helper.eventually(function() return connected(server) <= 64 end))
    assert.equal("", web:log("%[alert%]"))
  end)
end)

-- Of 1,000 operations and 100 followers each. With 100 rounds the worker was seen
-- to grow from 9.1 to 9.2 MB, and Lua in it from 423 to 432 kB.
local ROUNDS = 30

describe("in OpenResty, a worker's memory", function()
  it("is flat over many operations and followers opened and closed", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local web = start(server.url, {
      locations = {
        -- 1,000 operations and 100 followers, in ten light threads.
        ["/work"] = [[
          local log = eventlog.new(made_in_init.client, "memory", { max_length = 100 })
          local function work()
            for _ = 1, 33 do
              assert(log:add({ n = 1, text = "some text" }))
              assert(log:add({ n = 2 }, { n = 3 }))
              assert(log:tail_n(10))
            end
            assert(log:length())
            for _ = 1, 10 do
              local follower = log:tail_n_and_follow(5)
              assert(follower:next())
              follower:next(0)
              follower:close()
            end
          end
          local threads = {}
          for i = 1, 10 do threads[i] = ngx.thread.spawn(work) end
          for i = 1, 10 do assert(ngx.thread.wait(threads[i])) end
          ngx.print("ok") ]],
      },
    })
    finally(function()
      web:stop()
      server:stop()
    end)

    --- Lua's memory and the process's, in kB.
    local function memory()
      return web:run([[
        collectgarbage() collectgarbage()
        local status = io.open("/proc/self/status")
        local resident = status:read("*a"):match("VmRSS:%s+(%d+)")
        status:close()
        return collectgarbage("count") .. " " .. resident ]]):match("(%S+) (%S+)")
    end

    local function work(requests)
      assert.equal(string.rep("ok", requests),
        web:get("/work?[1-" .. requests .. "]"):gsub(" 200", "") .. "")
    end

    work(20)
    local lua, resident = memory()
    work(ROUNDS)
    local lua_then, resident_then = memory()
    assert.is_true(lua_then - lua < 500, lua .. " kB became " .. lua_then)
    assert.is_true(resident_then - resident < 4000,
      resident .. " kB became " .. resident_then)
    assert.equal("", web:log("%[alert%]") .. web:log("%[error%]"))
  end)
end)

describe("in OpenResty's phases", function()
  local without = { "init", "init_worker", "set", "balancer", "header_filter",
    "body_filter", "log", "exit_worker" }
  local with = { "server_rewrite", "rewrite", "access", "content", "timer" }

  it("works where there are cosockets, and elsewhere names the phase", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local web = start(server.url, {
      http = string.format([[
        init_by_lua_block {
          eventlog = require "eventlog"
          local log = eventlog.new(%q, "phases")
          local function try(what, phase, result, err)
            ngx.log(ngx.NOTICE, "<", what, " ", phase, " ",
              result and "works" or err.kind .. " " .. tostring(err), ">")
          end
          function attempt(phase)
            try("add", phase, log:add({ phase = phase }))
            try("tail", phase, log:tail_n(1))
            local follower = log:tail_n_and_follow(1)
            try("follow", phase, follower:next(1))
            follower:close()
          end
          attempt("init")
        }
        init_worker_by_lua_block {
          attempt("init_worker")
          ngx.timer.at(0, function() attempt("timer") end)
        }
        exit_worker_by_lua_block { attempt("exit_worker") }
        upstream backend {
          server 127.0.0.1:1;
          balancer_by_lua_block { attempt("balancer") }
        }
      ]], server.url),
      server = [[
        server_rewrite_by_lua_block { attempt("server_rewrite") }
        location / {
          set_by_lua_block $ignored { attempt("set") return "" }
          rewrite_by_lua_block { attempt("rewrite") }
          access_by_lua_block { attempt("access") }
          content_by_lua_block { attempt("content") ngx.say("said") }
          header_filter_by_lua_block { attempt("header_filter") }
          body_filter_by_lua_block { attempt("body_filter") }
          log_by_lua_block { attempt("log") }
        }
        location /proxied { proxy_pass http://backend; }
      ]],
    })
    finally(function()
      web:stop()
      server:stop()
    end)
    assert.equal("said\n", web:get("/"))
    web:open("/proxied"):read("*a") -- without a backend
    web:halt()
    for _, what in ipairs { "add", "tail", "follow" } do
      local function said(phase)
        local text = what .. " in " .. phase .. ": "
        return text .. (web:log():match("<" .. what .. " " .. phase .. " (.-)>") or "nothing")
      end
      for _, phase in ipairs(with) do assert.matches(": works$", said(phase)) end
      for _, phase in ipairs(without) do
        assert.matches(": unsupported .* phase " .. phase .. "[ :,]", said(phase))
      end
    end
  end)
end)

describe("the OpenResty driver", function()
  it("gives a clear error outside OpenResty", function()
    local eventlog = require "eventlog"
    local ids, err = eventlog.new({ driver = "openresty" }, "x"):add({ a = 1 })
    assert.is_nil(ids)
    assert.equal("unsupported", err.kind)
    assert.matches("openresty", tostring(err):lower(), 1, true)
  end)
end)
