--- Many writers and followers at a time, in processes and in coroutines.

local eventlog = require "eventlog"
local helper = require "spec.support.helper"
local redis = require "spec.support.redis"
local scheduler = require "spec.support.scheduler"

--- A writer that says of each entry whose it is, and its how manieth: alone, as
--- a few, as many. It is text, so that other processes run it, too.
local write = [[
  local log, writer, count = ...
  local ids = {}
  local size, sent = 1, 0
  while sent < count do
    local entries = {}
    for i = sent + 1, math.min(count, sent + size) do
      entries[#entries + 1] = { writer = writer, i = i }
    end
    local added, err = log:add_many(entries)
    if not added then error(tostring(err)) end
    for _, id in ipairs(added) do ids[#ids + 1] = id end
    sent, size = sent + #entries, size % 7 + 1
  end
  return ids
]]

--- A follower that reads so many entries and says what it read, with what
--- comes within a while after that.
local read = [[
  local follower, count = ...
  local seen = {}
  local function take(batch)
    for _, entry in ipairs(batch) do
      seen[#seen + 1] = entry.id .. " " .. entry.fields.writer .. "/" ..
        entry.fields.i .. "\n"
    end
  end
  while #seen < count do
    local batch, err = follower:next(60)
    if not batch then error(tostring(err)) end
    take(batch)
  end
  take(follower:next(0.2) or {})
  follower:close()
  return table.concat(seen)
]]

local function run(source, ...)
  return assert((loadstring or load)(source))(...)
end

--- Starts a process that has such a function of that name, and the log `log`;
--- what it prints is what it found.
local function process(source, body, ...)
  return helper.spawn(string.format([[
    local f = assert((loadstring or load)(%q))
    local url, name, batch_size, a, b = ...
    local log = require "eventlog".new(url, name, {
      batch_size = tonumber(batch_size)
    })
    %s]], source, body), ...)
end

describe("at the same time", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)

  --- Entries as `read` writes them, with nothing but redis-cli's own reading.
  local function stored(name)
    local lines = {}
    for id, writer, i in server:cli("XRANGE", name, "-", "+")
      :gmatch("(%d+%-%d+)\ni\n(%d+)\nwriter\n(%w+)") do
      lines[#lines + 1] = id .. " " .. i .. "/" .. writer .. "\n"
    end
    return lines
  end

  it("20 writers and 60 followers: each follower has every entry once, in one order",
    function()
      local name, each = "crowd", 40
      local writers, count = 20, 20 * each
      local s = scheduler.new()
      local client = eventlog.connect { url = server.url, driver = s.wait }
      local processes, tasks, ids, attached = {}, {}, {}, 0

      -- Every second one a process; followers of each kind, from the start or
      -- from the end, which is the same as long as nobody wrote.
      local batch_sizes = { 1000, 100, 7, 1 }
      local methods = { "tail_and_follow", "tail_n_and_follow",
        "tail_from_and_follow", "tail_after_and_follow" }
      local first_arguments = { "nil", "0", "'0-0'", "'0-0'" }
      for i = 1, 60 do
        local batch_size = batch_sizes[i % 4 + 1]
        local kind = math.floor(i / 4) % 4 + 1
        local method, argument = methods[kind], first_arguments[kind]
        if i % 3 == 0 then
          processes[#processes + 1] = process(read, string.format([[
            local follower = log:%s(%s)
            assert(#assert(follower:next(60)) == 0)
            print "ready"
            io.write(f(follower, tonumber(a)))]], method, argument),
            server.url, name, batch_size, count)
        else
          local log = eventlog.new(client, name, { batch_size = batch_size })
          tasks[#tasks + 1] = s:spawn(function()
            local follower = log[method](log, run("return " .. argument))
            assert.equal(0, #assert(follower:next(60)))
            attached = attached + 1
            return run(read, follower, count)
          end)
        end
      end
      for _, p in ipairs(processes) do assert.equal("ready", p:line()) end

      local writing, written = {}, {}
      local log = eventlog.new(client, name)
      s:spawn(function()
        while attached < #tasks do s:sleep(0.001) end
        for w = 1, writers do
          if w % 2 == 0 then
            writing[#writing + 1] = process(write, [[
              print(table.concat(f(log, a, tonumber(b)), " "))]],
              server.url, name, 1000, w, each)
          else
            written[#written + 1] = s:spawn(run, write, log, tostring(w), each)
          end
        end
      end)
      -- Who comes later sees all, too, or all from where it begins.
      local late = {}
      for i = 1, 12 do
        local n = i % 2 == 0 and 5000 or i
        local small = eventlog.new(client, name, { batch_size = batch_sizes[i % 4 + 1] })
        late[i] = s:spawn(function()
          repeat s:sleep(0.002 * i) until #written > 0
          local follower, seen = small:tail_n_and_follow(n), {}
          local at_end
          repeat
            at_end = assert(small:length()) == count and
              follower.last_id == assert(small:last_id())
            local batch, err = follower:next(at_end and 0.2 or 60)
            if err then assert.equal("timeout", err.kind) end
            for _, entry in ipairs(batch or {}) do seen[#seen + 1] = entry.id end
          until at_end
          follower:close()
          return seen
        end)
      end
      s:run(90)

      local function returned(text)
        local last_ms, last_seq = 0, 0
        for id in text:gmatch("%S+") do
          assert.matches("^%d+%-%d+$", id)
          local ms, seq = id:match("(%d+)-(%d+)")
          ms, seq = tonumber(ms), tonumber(seq)
          assert.is_true(ms > last_ms or (ms == last_ms and seq > last_seq))
          last_ms, last_seq = ms, seq
          ids[#ids + 1] = id
        end
      end
      for _, p in ipairs(writing) do
        local output, status = p:finish()
        assert.equal(0, status, output)
        returned(output)
      end
      for _, task in ipairs(written) do
        returned(table.concat(task.results[1], " "))
      end

      -- What the log holds is what the writers were told, each writer's in its
      -- own order.
      local expected = stored(name)
      assert.equal(count, #expected)
      assert.equal(count, #ids)
      local known, at = {}, {}
      for _, id in ipairs(ids) do known[id] = true end
      for _, line in ipairs(expected) do
        local id, w, i = line:match("(%S+) (%d+)/(%d+)")
        assert.is_true(known[id])
        assert.equal((at[w] or 0) + 1, tonumber(i))
        at[w] = tonumber(i)
      end

      local all = table.concat(expected)
      for _, task in ipairs(tasks) do assert.equal(all, task.results[1]) end
      for _, p in ipairs(processes) do
        local output, status = p:finish()
        assert.equal(0, status, output)
        assert.equal(all, output)
      end
      for i, task in ipairs(late) do
        local seen = task.results[1]
        assert.is_true(#seen >= math.min(i, count))
        if i % 2 == 0 then assert.equal(count, #seen) end
        for k, id in ipairs(seen) do
          assert.equal(expected[count - #seen + k]:match("%S+"), id)
        end
      end
      client:close()
    end)

  it("coroutines share a client and a log; each gets its own answers", function()
    local s = scheduler.new()
    local name = "shared"
    local client = eventlog.connect {
      url = server.url, driver = s.wait, pool_size = 3, client_name = name,
    }
    local log = eventlog.new(client, name, { batch_size = 5 })
    local tasks = {}
    for c = 1, 100 do
      tasks[c] = s:spawn(function()
        local n, ids = c % 4 + 1, nil
        for round = 1, 3 do
          local entries = {}
          for i = 1, n do entries[i] = { c = c, round = round, i = i } end
          ids = assert(log:add_many(entries))
          assert.equal(n, #ids)
          local from = assert(log:tail_from(ids[1]))
          for i = 1, n do -- a unit: nothing of others in between
            assert.equal(ids[i], from[i].id)
            assert.same({
              c = tostring(c), round = tostring(round), i = tostring(i),
            }, from[i].fields)
          end
          assert(log:length())
        end
        return #ids * 3
      end)
    end
    s:run(60)
    local total = 0
    for _, task in ipairs(tasks) do total = total + task.results[1] end
    assert.equal(total, server:call("XLEN", name))
    -- More than pool_size at once, however fast the server was before.
    server:signal("STOP")
    local waiting = {}
    for i = 1, 5 do
      waiting[i] = s:spawn(function() assert(log:length()) end)
    end
    s:spawn(function()
      for _, task in ipairs(waiting) do s:until_waiting(task) end
      server:signal("CONT")
    end)
    s:run(60)
    -- What is idle is kept, up to pool_size; all else was closed.
    assert.is_true(helper.eventually(function()
      local _, open = server:call("CLIENT", "LIST"):gsub(" name=" .. name .. " ", "")
      return open == 3
    end))
    client:close()
  end)

  it("a follower that is slow gets what all others got", function()
    local s = scheduler.new()
    local client = eventlog.connect { url = server.url, driver = s.wait }
    local log = eventlog.new(client, "slow", { batch_size = 3 })
    local function follow(pause)
      return s:spawn(function()
        local follower, seen = log:tail_and_follow(), {}
        while #seen < 60 do
          for _, entry in ipairs(assert(follower:next(20))) do
            seen[#seen + 1] = entry.fields.i
          end
          s:sleep(pause)
        end
        follower:close()
        return table.concat(seen, " ")
      end)
    end
    local fast, slow = follow(0), follow(0.02)
    s:spawn(function()
      for i = 1, 60 do
        assert(log:add { i = i })
        if i % 10 == 0 then s:sleep(0.01) end
      end
    end)
    s:run(60)
    assert.equal(fast.results[1], slow.results[1])
    client:close()
  end)
end)
