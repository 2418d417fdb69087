--- What grows: longer logs, and more followers in one process; and how Redis
--- packs entries. Prints one line of name=value.
---
---   growth.lua length PORT KEY COUNT LOGS       so many logs of COUNT entries,
---                                               added, then followed
---   growth.lua followers PORT KEY COUNT N       N followers of N logs, in one
---                                               cqueues loop; COUNT entries in all
---   growth.lua packed PORT KEY COUNT SHUFFLED   1: fields in random order

local eventlog = require "eventlog"
local core = require "eventlog.core" -- for a clock
local section = require "bench.workers.section"

local work, port, key = arg[1], tonumber(arg[2]), arg[3]
local count, extra = tonumber(arg[4]), tonumber(arg[5])
local url = "redis://127.0.0.1:" .. port
local names = { "event", "player", "room", "value" }
section.server(port)

local works = {}

--- A list of `size` entries, of the numbers from `first` on.
local function entries_from(first, size)
  local entries = {}
  for i = 1, size do
    local fields = {}
    for f, name in ipairs(names) do
      fields[name] = string.format("%016d", (first + i) * 4 + f)
    end
    entries[i] = fields
  end
  return entries
end

--- Seconds, and seconds of CPU, that f() takes.
local function timed(f)
  local cpu, began = os.clock(), core.now()
  f()
  return core.now() - began, os.clock() - cpu
end

local function read_all(log)
  local seen = 0
  for batch in log:tail_and_follow() do
    seen = seen + #batch
    if batch.caught_up then break end
  end
  assert(seen == count, "not all entries came")
end

function works.length()
  local client = eventlog.connect(url)
  local logs, page = {}, entries_from(0, 1000)
  for i = 1, extra do logs[i] = eventlog.new(client, key .. i) end

  assert(eventlog.new(client, key .. 0):add_many(page)) -- warm up
  collectgarbage()
  local add, add_cpu = timed(function()
    for _, log in ipairs(logs) do
      for _ = 1, count, 1000 do assert(log:add_many(page)) end
    end
  end)
  section.start()
  local follow, follow_cpu = timed(function()
    for _, log in ipairs(logs) do read_all(log) end
  end)
  local times = {}
  for i = 1, 500 do
    times[i] = timed(function() assert(#logs[1]:tail_n(100) == 100) end)
  end
  local micros = 1e6 / (count * extra)
  print(section.stop(count * extra, times), string.format(
    "add=%.4f add_cpu=%.4f follow=%.4f follow_cpu=%.4f", add * micros,
    add_cpu * micros, follow * micros, follow_cpu * micros))
end

function works.followers()
  local cqueues = require "cqueues"
  local loop = cqueues.new()
  local client = eventlog.connect { url = url, driver = "cqueues" }
  local waiting, seen, batches = 0, 0, 0
  local warm_up = math.max(1000, 2 * extra)
  local first -- how many were seen when the measuring began

  local function follow(log)
    local follower = log:tail_n_and_follow(0)
    assert(follower:next()) -- from here on nothing is missed
    waiting = waiting + 1
    if waiting == extra then
      section.spawn_writer("rounds", port, key, warm_up + count, extra)
    end
    while seen < warm_up + count do
      local batch = follower:next()
      if not batch then return end -- the client is closed
      seen, batches = seen + #batch, batches + 1
      if not first and seen >= warm_up then
        first, batches = seen, 0
        section.start()
      end
    end
    print(section.stop(seen - first), "batches=" .. batches)
    client:close()
  end

  for i = 1, extra do
    local log = eventlog.new(client, key .. i)
    loop:wrap(function() follow(log) end)
  end
  assert(loop:loop())
end

--- The fields as a list of pairs in random order, which add keeps.
local function shuffle(fields)
  local pairs_of = {}
  for i, name in ipairs(names) do
    table.insert(pairs_of, math.random(i), { name, fields[name] })
  end
  return pairs_of
end

function works.packed()
  math.randomseed(1)
  local log = eventlog.new(url, key)
  section.start()
  for first = 0, count - 1, 1000 do
    local entries = entries_from(first, 1000)
    if extra == 1 then
      for i, fields in ipairs(entries) do entries[i] = shuffle(fields) end
    end
    assert(log:add_many(entries))
  end
  local pipe = io.popen(string.format("redis-cli -p %d memory usage %s samples 0",
    port, key))
  print(section.stop(count), "bytes=" .. pipe:read("*l"))
  pipe:close()
end

works[work]()
