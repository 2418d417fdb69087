--- What is measured, for the workers in Lua: time, this process's CPU, the
--- server's CPU and the peak memory, as one line of name=value.

local core = require "eventlog.core"

local M = {}

local server -- its port
local began, cpu_before, server_before

--- Seconds of CPU that the server has taken.
local function server_cpu()
  local pipe = assert(io.popen("redis-cli -p " .. server .. " info cpu"))
  local info = pipe:read("*a")
  pipe:close()
  return info:match("used_cpu_sys:([%d.]+)") + info:match("used_cpu_user:([%d.]+)")
end

--- The most memory that this process ever had resident, in KiB.
local function peak()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmHWM:%s*(%d+)")
    if kib then return tonumber(kib) end
  end
end

---@param port integer
function M.server(port)
  server = port
end

function M.start()
  collectgarbage()
  server_before = server_cpu()
  cpu_before = os.clock()
  began = core.now()
end

---@param entries integer
---@param times number[]? of single calls or events, in seconds
---@param since number? when it began, if that was not start()
function M.stop(entries, times, since)
  local seconds, cpu = core.now() - (since or began), os.clock() - cpu_before
  local line = string.format("entries=%d seconds=%.9f cpu=%.6f server_cpu=%.6f peak=%d",
    entries, seconds, cpu, server_cpu() - server_before, peak())
  if times then
    table.sort(times)
    local n = #times
    line = line .. string.format(" p50=%.1f p99=%.1f",
      times[math.floor(n / 2) + 1] * 1e6, times[math.floor(n * 0.99) + 1] * 1e6)
  end
  return line
end

--- Starts one that writes while we follow; keys: how many, for its "rounds".
function M.spawn_writer(work, port, key, count, keys)
  local ok = os.execute(string.format("%s %s %d %s %d %d &",
    os.getenv("BENCH_WRITER"), work, port, key, count, keys or 0))
  assert(ok == true or ok == 0, "no writer")
end

return M
