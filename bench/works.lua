--- What is measured: each work with its arguments, by whom it is done, and what
--- of it is shown. Peers that are slow do less of it, which changes no rate.

local quick = os.getenv("BENCH_QUICK") == "1"

local C, OURS, OURS_51, OURS_JIT = "C on hiredis", "eventlog 5.4", "eventlog 5.1",
  "eventlog LuaJIT"
local SPIN_OFF, TABLES = "eventlog 5.4, spin off", "tables in C"
local slow = {
  ["redis-lua 5.4"] = true, ["redis-lua 5.1"] = true, ["lua-resty-redis"] = true,
  ["redis-py"] = true,
}

local M = { quick = quick, repeats = quick and 3 or 5 }

--- One number for a whole run, the other for a quick one.
local function either(whole, short)
  return quick and short or whole
end

-- The log that follow, tail and tail_n read.
M.entries = either(1000000, 100000)

local RATE = { "rate", "cpu", "server_cpu", "peak" }
local TIMES = { "p50", "p99", "cpu", "server_cpu", "peak" }

--- reference: whose result is 1 in the ratios.
M.list = {
  { id = "add1", title = "add, one entry a call", work = "add", size = 1,
    count = either(10000, 3000), slow_count = either(5000, 2000), metrics = RATE,
    reference = C,
    programs = { C, OURS, SPIN_OFF, OURS_51, OURS_JIT, "redis-benchmark",
      "redis-lua 5.4", "redis-lua 5.1", "lua-resty-redis", "redis-py" } },
  { id = "add100", title = "add_many, 100 a call", work = "add", size = 100,
    count = either(100000, 30000), slow_count = either(20000, 10000), metrics = RATE,
    reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-benchmark", "redis-lua 5.4",
      "redis-lua 5.1", "lua-resty-redis", "redis-py" } },
  { id = "add1000", title = "add_many, 1,000 a call", work = "add", size = 1000,
    count = either(200000, 60000), slow_count = either(40000, 20000), metrics = RATE,
    reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-benchmark", "redis-lua 5.4",
      "redis-lua 5.1", "lua-resty-redis", "redis-py" } },
  { id = "follow", title = "follow a whole log from its start", work = "follow",
    reads = true, count = M.entries, slow_count = M.entries // 5, metrics = RATE,
    reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-lua 5.4", "redis-lua 5.1",
      "lua-resty-redis", "redis-py" } },
  { id = "tail", title = "tail() of a whole log, all kept", work = "tail",
    reads = true, count = M.entries, metrics = RATE, reference = TABLES,
    programs = { TABLES, OURS, OURS_51, OURS_JIT } },
  { id = "tail_n", title = "the last 100 entries", work = "tail_n", reads = true,
    count = either(2000, 500), slow_count = either(500, 200), metrics = TIMES,
    reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-lua 5.4", "redis-lua 5.1",
      "lua-resty-redis", "redis-py" } },
  { id = "latency", title = "from a writer's clock to a follower, 1 event a ms",
    work = "latency", count = either(1000, 500), metrics = TIMES, reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-lua 5.4", "redis-lua 5.1",
      "lua-resty-redis", "redis-py" } },
  { id = "throughput", title = "follow a writer in C, batches of 100",
    work = "throughput", count = either(200000, 50000),
    slow_count = either(50000, 20000), metrics = RATE, reference = C,
    programs = { C, OURS, OURS_51, OURS_JIT, "redis-lua 5.4", "redis-lua 5.1",
      "lua-resty-redis", "redis-py" } },
}

--- The arguments of a work for a program.
---@param work table
---@param program string
---@param port string
---@param key string
function M.arguments(work, program, port, key)
  local name = program == TABLES and "tables" or work.work
  local count = slow[program] and work.slow_count or work.count
  return name, port, key, count, work.size or 0
end

return M
