--- The works as this library does them, on any Lua, written as the README would
--- have it. Prints one line of name=value.
---
---   ours.lua add PORT KEY COUNT SIZE [SPIN]   SIZE a call; SPIN as the option
---   ours.lua follow PORT KEY COUNT            from the start
---   ours.lua tail PORT KEY COUNT              the whole log, kept
---   ours.lua tail_n PORT KEY CALLS            the last 100
---   ours.lua latency PORT KEY COUNT           from the end, while a writer writes
---   ours.lua throughput PORT KEY COUNT        the same, in batches
---   ours.lua tables PORT KEY COUNT            what tail() makes, made by tables.c

local eventlog = require "eventlog"
local core = require "eventlog.core" -- for a clock, which Lua lacks
local section = require "bench.workers.section"

local work, port, key, count = arg[1], tonumber(arg[2]), arg[3], tonumber(arg[4])
local now = core.now

local target = { url = "redis://127.0.0.1:" .. port, spin = tonumber(arg[6]) }
local log = eventlog.new(target, key)
section.server(port)

local function entry(number)
  local fields = {}
  for i, name in ipairs { "event", "player", "room", "value" } do
    fields[name] = string.format("%016d", number * 4 + i - 1)
  end
  return fields
end

local works = {}

function works.add()
  local size = tonumber(arg[5])
  local entries = {}
  for i = 1, 1000 do entries[i] = entry(i) end
  local list = {}
  for i = 1, size do list[i] = entries[i] end

  local function calls(n)
    if size > 1 then
      for _ = 1, n, size do assert(log:add_many(list)) end
    else
      for i = 1, n do assert(log:add(entries[i % 1000 + 1])) end
    end
  end

  calls(count / 10)
  section.start()
  calls(count)
  return section.stop(count)
end

--- Reads a log from its start, at most so many: how many there were.
local function read(limit)
  local seen = 0
  for batch in log:tail_and_follow() do
    seen = seen + #batch
    if batch.caught_up or seen >= limit then break end
  end
  return seen
end

function works.follow()
  read(20000)
  section.start()
  return section.stop(read(count))
end

function works.tail()
  assert(log:tail_n(1000))
  section.start()
  local entries = assert(log:tail())
  return section.stop(#entries)
end

function works.tables()
  local build = require "tables"
  build(1000)
  section.start()
  local entries = build(count)
  return section.stop(#entries)
end

function works.tail_n()
  local times = {}
  local function calls(n)
    for i = 1, n do
      local began = now()
      local entries = assert(log:tail_n(100))
      times[i] = now() - began
      assert(#entries == 100)
    end
  end
  calls(math.ceil(count / 10))
  section.start()
  calls(count)
  return section.stop(count * 100, times)
end

--- When an event was stamped, of now().
local function stamp_of(event)
  return tonumber(event.fields.event) / 1e7
end

function works.latency()
  local times, seen = {}, 0
  local follower = log:tail_n_and_follow(0)
  assert(follower:next()) -- from here on nothing is missed
  section.start()
  section.spawn_writer("ticks", port, key, count)
  while seen < count do
    local batch = assert(follower:next())
    local arrived = now()
    for _, event in ipairs(batch) do
      seen = seen + 1
      times[seen] = arrived - stamp_of(event)
    end
  end
  return section.stop(seen, times)
end

function works.throughput()
  local seen, first = 0, nil
  local follower = log:tail_n_and_follow(0)
  assert(follower:next())
  section.start()
  section.spawn_writer("batches", port, key, count)
  while seen < count do
    local batch = assert(follower:next())
    first = first or stamp_of(batch[1])
    seen = seen + #batch
  end
  return section.stop(seen, nil, first)
end

print(works[work]())
