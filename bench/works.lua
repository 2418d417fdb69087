--- What is measured: each work with its arguments, by whom it is done, and what
--- of it is shown. Peers that are slow do less of it, which changes no rate.

local quick = os.getenv("BENCH_QUICK") == "1"

--- One for a whole run, the other for a quick one.
local function either(whole, short)
  if quick then return short end
  return whole
end

local M = {
  quick = quick,
  repeats = either(5, 3),
  entries = either(1000000, 100000), -- of the log that follow, tail, tail_n read
}

-- Whose result is 1 in the ratios comes first.
local C, OURS, OURS_51, OURS_JIT = "C on hiredis", "eventlog 5.4", "eventlog 5.1",
  "eventlog LuaJIT"
local TABLES, BARE = "tables in C", "bare socket"

local adders = { C, BARE, OURS, OURS_51, OURS_JIT, "redis-benchmark", "redis-lua 5.4",
  "redis-lua 5.1", "lua-resty-redis", "redis-py" }
local lone_adders = { C, BARE, OURS, "eventlog 5.4, spin off",
  table.unpack(adders, 4) }
local readers = { C, OURS, OURS_51, OURS_JIT, "redis-lua 5.4", "redis-lua 5.1",
  "lua-resty-redis", "redis-py" }

local slow = {
  ["redis-lua 5.4"] = true, ["redis-lua 5.1"] = true, ["lua-resty-redis"] = true,
  ["redis-py"] = true,
}

local RATE = { "rate", "cpu", "server_cpu", "peak" }
local TIMES = { "p50", "p99", "cpu", "server_cpu", "peak" }

-- How long logs grow. 10,000,000 entries take 1 GB in the server.
local longest = either(10000000, 300000)
for line in io.lines("/proc/meminfo") do
  local kib = line:match("^MemAvailable:%s*(%d+)")
  if kib and tonumber(kib) < 3000000 then longest = math.min(longest, 3000000) end
end

--- 1234567 as 1,234,567
local function grouped(n)
  local text = string.format("%d", n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

--- A work whose "programs" are points of growth. points: { count, extra, name,
--- repeats }
local function growth(work, points)
  work.programs, work.jobs = {}, {}
  for i, point in ipairs(points) do
    work.programs[i] = point.name
    work.jobs[point.name] = point
  end
  return work
end

local lengths = {}
for _, n in ipairs { 1000, 10000, 100000, 1000000, longest } do
  if n <= longest and (#lengths == 0 or n > lengths[#lengths].count) then
    table.insert(lengths, {
      name = grouped(n) .. " entries", count = n, extra = math.max(1, 100000 // n),
      repeats = n >= 1000000 and 1 or 3,
    })
  end
end

local crowds = {}
for i, n in ipairs { 1, 10, 100, 1000 } do
  crowds[i] = { name = grouped(n) .. (n == 1 and " follower" or " followers"),
    count = either(5000, 2000), extra = n, repeats = either(3, 2) }
end

M.list = {
  { id = "add1", title = "add, one entry a call", work = "add", size = 1,
    count = either(10000, 3000), slow_count = either(5000, 2000),
    metrics = RATE, programs = lone_adders },
  { id = "add100", title = "add_many, 100 a call", work = "add", size = 100,
    count = either(100000, 30000), slow_count = either(20000, 10000),
    metrics = RATE, programs = adders },
  { id = "add1000", title = "add_many, 1,000 a call", work = "add", size = 1000,
    count = either(200000, 60000), slow_count = either(40000, 20000),
    metrics = RATE, programs = adders },
  { id = "follow", title = "follow a log from its start", work = "follow",
    reads = true, count = M.entries, slow_count = either(100000, 20000),
    metrics = RATE, programs = readers },
  { id = "tail", title = "tail() of a whole log, all kept", work = "tail",
    reads = true, count = M.entries, repeats = { [OURS_51] = 3, [OURS_JIT] = 3 },
    metrics = RATE, programs = { TABLES, OURS, OURS_51, OURS_JIT } },
  { id = "last100", title = "tail_n(100)", work = "tail_n", reads = true,
    count = either(2000, 500), slow_count = either(500, 200),
    metrics = TIMES, programs = { C, BARE, table.unpack(readers, 2) } },
  { id = "latency", title = "to a follower, 1 event a ms", work = "latency",
    count = either(1000, 400), slow_count = either(500, 400),
    metrics = TIMES, programs = readers },
  { id = "throughput", title = "follow a writer in C, 100 a batch",
    work = "throughput", count = either(200000, 50000),
    slow_count = either(50000, 20000),
    metrics = RATE, programs = readers },
  growth({ id = "packed", title = "memory in Redis", work = "packed",
    metrics = { "bytes" } }, {
    { name = "fields in random order", count = 100000, extra = 1, repeats = 1 },
    { name = "fields sorted by name", count = 100000, extra = 0, repeats = 1 },
  }),
  growth({ id = "lengths", title = "eventlog 5.4, longer logs", work = "length",
    metrics = { "add", "add_cpu", "follow", "follow_cpu", "p50", "peak" } }, lengths),
  growth({ id = "followers", title = "eventlog 5.4, more followers",
    work = "followers", metrics = { "cpu", "server_cpu", "batch", "peak" } }, crowds),
}

for _, work in ipairs(M.list) do work.reference = work.programs[1] end

--- The work with this id.
function M.find(id)
  for _, work in ipairs(M.list) do
    if work.id == id then return work end
  end
end

--- The arguments of a work for a program.
---@param work table
---@param program string
---@param port string
---@param key string
function M.arguments(work, program, port, key)
  local job = work.jobs and work.jobs[program]
  if job then return work.work, port, key, job.count, job.extra end
  local name = program == TABLES and "tables" or work.work
  local count = slow[program] and work.slow_count or work.count
  return name, port, key, count, work.size or 0
end

--- How often a program does a work.
function M.repeats_of(work, program)
  local job = work.jobs and work.jobs[program]
  return job and job.repeats or work.repeats and work.repeats[program] or M.repeats
end

return M
