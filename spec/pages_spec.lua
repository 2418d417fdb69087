--- Whatever happens to a log while it is read, and at whichever step: what is
--- brought is the log as it stood at one moment.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local played = require "spec.support.played"
local redis = require "spec.support.redis"
local stepped = require "spec.support.stepped"

describe("a read of several pages", function()
  local server

  setup(function()
    -- Small nodes: trimming comes often, and hides entries in between.
    server = redis.start { config = "--stream-node-max-entries 10" }
  end)
  teardown(function() server:stop() end)

  local function call(...) return server:call(...) end

  --- Adds n entries, numbered from `first` on; two of a millisecond each.
  local function fill(name, n, first, text)
    call("EVAL", [[
      for i = ARGV[1], ARGV[2] do
        redis.call('XADD', KEYS[1], 1000 + math.floor(i / 2) .. '-' .. i % 2, 'n',
          ARGV[3] .. i)
      end]], 1, name, first or 1, (first or 1) + n - 1, text or "")
  end

  local function id(n) return string.format("%d-%d", 1000 + math.floor(n / 2), n % 2) end

  local function delete(...)
    for _, n in ipairs { ... } do call("XDEL", "log", id(n)) end
  end

  local function replace(n, first, text)
    call("DEL", "other")
    fill("other", n, first, text)
    call("RENAME", "other", "log")
  end

  -- What another client does at one moment, on a log of 1 to 40, which is read in
  -- pages of 7: they end at 7, 14, ..., or, backwards, at 34, 27, ... same_ids:
  -- other entries then have the ids of those that were there, and only what they
  -- hold tells; that is looked at from one request to the next.
  local changes = {
    { "adds one", function() call("XADD", "log", "*", "n", 41) end },
    { "adds five", function() fill("log", 5, 41) end },
    { "adds one and trims one", function() call("XADD", "log", "MAXLEN", 40, "*", "n", 41) end },
    { "adds one and trims five", function() call("XADD", "log", "MAXLEN", 36, "*", "n", 41) end },
    { "adds one and trims to 20", function() call("XADD", "log", "MAXLEN", 20, "*", "n", 41) end },
    { "adds one and trims to 1", function() call("XADD", "log", "MAXLEN", 1, "*", "n", 41) end },
    { "adds one and trims all", function() call("XADD", "log", "MAXLEN", 0, "*", "n", 41) end },
    { "trims one", function() call("XTRIM", "log", "MAXLEN", 39) end },
    { "trims up to a page's end", function() call("XTRIM", "log", "MINID", id(7)) end },
    { "trims beyond a page's end", function() call("XTRIM", "log", "MINID", id(8)) end },
    { "trims all but 20", function() call("XTRIM", "log", "MAXLEN", 20) end },
    { "trims all but 2", function() call("XTRIM", "log", "MAXLEN", 2) end },
    { "trims all", function() call("XTRIM", "log", "MAXLEN", 0) end },
    { "deletes the first", function() delete(1) end },
    { "deletes the 7th", function() delete(7) end },
    { "deletes the 8th", function() delete(8) end },
    { "deletes the 20th", function() delete(20) end },
    { "deletes the 27th", function() delete(27) end },
    { "deletes the 33rd", function() delete(33) end },
    { "deletes the 34th", function() delete(34) end },
    { "deletes the last", function() delete(40) end },
    { "deletes one and adds one", function() delete(20) fill("log", 1, 41) end },
    { "deletes the last and adds one", function() delete(40) fill("log", 1, 41) end },
    { "deletes early and late ones", function() delete(3, 30) end },
    { "deletes every entry", function()
      for n = 1, 40 do delete(n) end
    end },
    { "deletes a page's entries", function() delete(8, 9, 10, 11, 12, 13, 14) end },
    { "moves the last id", function() call("XSETID", "log", "9999-0") end },
    { "moves the counts", function()
      call("XSETID", "log", "9999-0", "ENTRIESADDED", 1000, "MAXDELETEDID", id(20))
    end },
    { "deletes the log", function() call("DEL", "log") end },
    { "lets it expire", function()
      call("PEXPIRE", "log", 1)
      core.wait(-1, "r", 0.002)
    end },
    { "makes it anew", function() replace(1, 2000) end },
    { "makes it anew with as many", function() replace(40, 2000) end },
    { "makes it anew with the same ids", function() replace(40, 1, "new ") end,
      same_ids = true },
    { "makes it anew with some of the ids", function() replace(25, 1, "new ") end,
      same_ids = true },
    { "makes it anew with more", function() replace(60, 1, "new ") end,
      same_ids = true },
    { "makes it anew with older ids", function() replace(40, -30, "old ") end },
    { "makes it anew, empty", function()
      replace(1, 1)
      call("XTRIM", "log", "MAXLEN", 0)
    end },
    { "copies another over it", function()
      fill("other", 45, 1, "copy ")
      call("COPY", "other", "log", "REPLACE")
    end, same_ids = true },
  }

  -- The reads, with max_length.
  local reads = {
    { "tail" }, { "tail", nil, 15 }, { "tail", nil, 40 }, { "tail_n", 15 }, { "tail_n", 39 },
    { "tail_n", 40 }, { "tail_n", 100 }, { "tail_from", "0" }, { "tail_from", id(7) },
    { "tail_from", id(30), 15 }, { "tail_from", id(2) }, { "tail_after", "0" },
    { "tail_after", id(1) }, { "tail_after", id(7) }, { "tail_after", id(7), 15 },
  }

  --- The log now, "id=n id=n ...".
  local function snapshot()
    return call("EVAL", [[
      local words = {}
      for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
        words[i] = entry[1] .. '=' .. entry[2][2]:gsub(' ', '_')
      end
      return table.concat(words, ' ')]], 1, "log")
  end

  --- What a read shows of such a log.
  local function shown(text, read)
    local method, argument, max_length = (table.unpack or unpack)(read, 1, 3)
    local all = {}
    for word in text:gmatch("%S+") do all[#all + 1] = word end
    local limit = max_length or math.huge
    if method == "tail_n" then limit = math.min(limit, argument) end
    if method == "tail_after" then limit = math.huge end
    local list = {}
    for i, word in ipairs(all) do
      local order = method:find("from") or method:find("after")
      order = order and core.id_compare(word:match("^[^=]+"), core.id(argument)) or 1
      if i > #all - limit and (order > 0 or order == 0 and method == "tail_from") then
        list[#list + 1] = word
      end
    end
    return table.concat(list, " ")
  end

  local function show(entries)
    local words = {}
    for i, entry in ipairs(entries) do
      words[i] = entry.id .. "=" .. entry.fields.n:gsub(" ", "_")
    end
    return table.concat(words, " ")
  end

  --- Runs a read on a new log of 40; `happen(n)` is called at each step, and says
  --- whether it changed the log. Fails unless it brings one of the log's states.
  --- Returns whether something happened.
  local happen

  local function check(client, read, size, what)
    call("FLUSHALL")
    fill("log", 40)
    local states, changed = { shown(snapshot(), read) }, false
    happen = function(step)
      local did = what(step)
      if not did then return end
      changed = true
      states[#states + 1] = shown(snapshot(), read)
      return did
    end
    local log = eventlog.new(client, "log", { batch_size = size, max_length = read[3] })
    local entries, err = log[read[1]](log, read[2])
    happen = nil
    local seen = entries and show(entries)
    for _, state in ipairs(states) do
      if state == seen then return changed end
    end
    error(string.format("%s(%s), max_length %s, in pages of %d: %s;\nnot one of\n%s", read[1],
      tostring(read[2]), tostring(read[3]), size, seen or tostring(err),
      table.concat(states, "\n")), 0)
  end

  -- Those that happen between the commands of one request, too.
  local told = {}
  for _, change in ipairs(changes) do
    if not change.same_ids then told[#told + 1] = change end
  end

  --- Each of these reads, with each change at every step, in pages of these sizes.
  local function sweep(client, reset, sizes, which, what)
    local happened = 0
    for _, read in ipairs(which) do
      for _, change in ipairs(what) do
        for _, size in ipairs(sizes) do
          local moment = 0
          repeat
            moment = moment + 1
            reset()
            local ok, did = pcall(check, client, read, size, function(step)
              if step ~= moment then return end
              change[2]()
              return true
            end)
            if not ok then
              error(string.format("while another client %s at step %d: %s", change[1], moment,
                did), 0)
            end
            if did then happened = happened + 1 end
          until not did -- it was over earlier
        end
      end
    end
    return happened
  end

  --- A client whose commands come one by one.
  local function new_stepped(options)
    options = options or {}
    options.before = function(n)
      if happen then happen(n) end
    end
    return stepped.client(server, options)
  end

  --- A client that lets something happen before each of its requests, and how many
  --- requests there were since this was asked last.
  local function new_watched()
    local client, sends = eventlog.connect(server.url), 0
    local driver = client.driver
    played.drive(client, setmetatable({
      open = function(settings)
        local transport = assert(driver.open(settings))
        local send = transport.send
        transport.send = function(...)
          sends = sends + 1
          if happen then happen(sends) end
          return send(...)
        end
        return transport
      end,
    }, { __index = driver }))
    return client, function()
      local before = sends
      sends = 0
      return before
    end
  end

  it("brings the log of one moment, whatever happens between its requests", function()
    local client, reset = new_watched()
    local happened = sweep(client, reset, { 7 }, reads, changes)
    assert(happened > 2 * #reads * #changes)
    client:close()
  end)

  it("is not begun again because of what is added, or trimmed behind it", function()
    local client, requests = new_watched()
    for _, read in ipairs(reads) do
      local function count(what)
        requests()
        check(client, read, 7, what)
        return requests()
      end
      local quiet = count(function() end)
      local added = 40
      -- What is added before the moment makes the log longer.
      assert(count(function()
        added = added + 1
        fill("log", 1, added)
        return true
      end) <= quiet + 1, read[1])
      -- A first page that lost its first entry is read again; and, once, a part of
      -- the log that became all of it.
      local most = (read[2] and 2 * quiet or quiet) + 2
      if not (read[1] == "tail_n" and read[2] > 38 or read[3] == 40) then
        assert(count(function()
          added = added + 1
          call("XADD", "log", "MAXLEN", 40, "*", "n", added)
          return true
        end) <= most, read[1])
      end
    end
    client:close()
  end)

  it("brings the log of one moment, whatever happens between its commands", function()
    local client, reset = new_stepped()
    local happened = sweep(client, reset, { 7 }, reads, told)
    assert(happened > 4 * #reads * #told)
  end)

  it("brings the log of one moment, however much happens", function()
    local client, reset = new_stepped()
    local seed = 1
    local function random(n)
      seed = seed * 16807 % 2147483647
      return seed % n + 1
    end
    for _ = 1, 1500 do
      local read, size, rate = reads[random(#reads)], random(12), random(12)
      local added, trail = 40, {}
      reset()
      local ok, why = pcall(check, client, read, size, function(step)
        if random(rate) > 1 then return end
        local what, n = random(5), random(40)
        trail[#trail + 1] = string.format("%d: %d(%d)", step, what, n)
        if what == 1 then
          added = added + 1
          pcall(fill, "log", 1, added)
        elseif what == 2 then
          added = added + 1
          call("XADD", "log", "MAXLEN", 41 - random(4), "*", "n", added)
        elseif what == 3 then
          delete(n)
        elseif what == 4 then
          delete(n, random(40))
        else
          pcall(told[random(#told)][2]) -- not every one can follow every other
        end
        return true
      end)
      if not ok then
        error(table.concat(trail, ", ") .. ": " .. why, 0)
      end
    end
  end)

  it("of the whole log, does so on servers that do not count, too", function()
    local hides = { ["entries-added"] = true, ["max-deleted-entry-id"] = true,
      ["recorded-first-entry-id"] = true }
    local whole = { { "tail" }, { "tail_n", 100 }, { "tail_from", "0" } }
    for _, options in ipairs {
      { hides = hides }, -- Redis 6
      { hides = hides, refuses = function(words) -- Redis 5
        return words[4] == "FULL" and "ERR Unknown subcommand or wrong number of arguments"
      end },
      { refuses = function(words) -- a user who may not ask
        return words[1] == "XINFO" and "NOPERM this user has no permissions"
      end },
    } do
      local client, reset = new_stepped(options)
      assert(sweep(client, reset, { 7 }, whole, told) > 4 * #whole * #told)
    end
  end)
end)
