--- The works as the users of a plain Redis client in Lua write them: XADD, alone
--- or in pipelines, and pages with XREAD and XREVRANGE, as the client returns
--- them. The clients are in redis_lua.lua and resty.lua.

local core = require "eventlog.core" -- for a clock only
local section = require "bench.workers.section"

local now = core.now

local M = {}

local works = {}

--- An entry's arguments of XADD.
local function entry(number)
  local fields = {}
  for i, name in ipairs { "event", "player", "room", "value" } do
    fields[2 * i - 1] = name
    fields[2 * i] = string.format("%016d", number * 4 + i - 1)
  end
  return fields
end

--- When an entry was stamped, of now(); and its id.
local function stamp_of(reply) return tonumber(reply[2][2]) / 1e7 end
local function id_of(reply) return reply[1] end

function works.add(client, job)
  local entries, list = {}, {}
  for i = 1, 1000 do entries[i] = entry(i) end
  for i = 1, job.size do list[i] = entries[i] end

  local function calls(n)
    if job.size > 1 then
      for _ = 1, n, job.size do assert(#client.add_many(list) == job.size) end
    else
      for i = 1, n do assert(client.add(entries[i % 1000 + 1])) end
    end
  end

  calls(job.count / 10)
  section.start()
  calls(job.count)
  return section.stop(job.count)
end

--- Reads from the log's start, at most so many: how many there were.
local function read(client, limit)
  local seen, last = 0, "0-0"
  while seen < limit do
    local entries = client.page(last)
    if not entries then break end
    seen = seen + #entries
    last = id_of(entries[#entries])
  end
  return seen
end

function works.follow(client, job)
  read(client, math.min(20000, job.count))
  section.start()
  return section.stop(read(client, job.count))
end

function works.tail_n(client, job)
  local times = {}
  local function calls(n)
    for i = 1, n do
      local began = now()
      local entries = client.last(100)
      times[i] = now() - began
      assert(#entries == 100)
    end
  end
  calls(math.ceil(job.count / 10))
  section.start()
  calls(job.count)
  return section.stop(job.count * 100, times)
end

--- Follows until the writer has written all; each(entry, arrived) for each.
local function wait_for(client, job, writer, each)
  local seen, last = 0, "0-0"
  section.start()
  section.spawn_writer(writer, job.port, job.key, job.count)
  while seen < job.count do
    local entries = client.wait(last)
    local arrived = now()
    if entries then
      for _, reply in ipairs(entries) do each(reply, arrived) end
      seen = seen + #entries
      last = id_of(entries[#entries])
    end
  end
  return seen
end

function works.latency(client, job)
  local times = {}
  local seen = wait_for(client, job, "ticks", function(reply, arrived)
    times[#times + 1] = arrived - stamp_of(reply)
  end)
  return section.stop(seen, times)
end

function works.throughput(client, job)
  local first
  local seen = wait_for(client, job, "batches", function(reply)
    first = first or stamp_of(reply)
  end)
  return section.stop(seen, nil, first)
end

--- Does a job: work, port, key, count, size. Returns what is to be printed.
--- client.add(args), client.add_many(list of args): what XADD returns;
--- client.page(last), client.wait(last): the entries after an id, or nil;
--- client.last(n): the last n.
function M.run(client, job)
  section.server(job.port)
  return works[job.work](client, job)
end

return M
