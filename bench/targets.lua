--- The library's targets, and how what was measured compares with them. A target
--- is judged by the median.

local machine = require "bench.machine"
local stats = require "bench.stats"

local C, OURS, BARE = "C on hiredis", "eventlog 5.4", "bare socket"

-- What "flat" is here: the issue gives no number.
local FLAT = 1.1

local M = {}

--- Ours to another program's, of one work and metric.
local function ratio(work, metric, other, ours)
  return function(results)
    local measured = results[work]
    return measured and stats.ratio(measured[ours or OURS], measured[other or C], metric)
  end
end

--- As speed: theirs to ours, of times.
local function speed(work, metric, ours)
  return function(results)
    local measured = results[work]
    return measured and stats.ratio(measured[C], measured[ours or OURS], metric)
  end
end

--- What a bare socket reaches: no client can do better.
local function bound(work, metric) return ratio(work, metric, C, BARE) end

--- Peak memory in MiB beyond a bare interpreter's.
local function memory_above_bare(results)
  if not results.follow then return nil end
  local bare, values = machine.bare_peak(), {}
  for i, run in ipairs(results.follow[OURS]) do values[i] = (run.peak - bare) / 1024 end
  return stats.summary(values)
end

local function peak_of_tail(results, works)
  -- What is meant is 1,000,000 entries.
  if works.quick or not results.tail then return nil end
  return stats.of(results.tail[OURS], "peak")
end

local function packed(results)
  local measured = results.packed
  return measured and stats.ratio(measured["fields sorted by name"],
    measured["fields in random order"], "bytes")
end

--- The highest cost of all points, as a multiple of the first one's.
local function growth(id, ...)
  local metrics = { ... }
  return function(results, works)
    if not results[id] then return nil end
    local work = works.find(id)
    local worst = 1
    for _, metric in ipairs(metrics) do
      local first = stats.of(results[id][work.reference], metric).median
      for _, name in ipairs(work.programs) do
        worst = math.max(worst, stats.of(results[id][name], metric).median / first)
      end
    end
    return { median = worst, min = worst, max = worst }
  end
end

--- least or most: the target; what is compared with it; what is possible at best,
--- where that was measured.
M.list = {
  { "add 1, `spin` on", least = 2, unit = "× C", ratio("add1", "rate"),
    bound("add1", "rate") },
  { "add 1, `spin` off", least = 0.97, unit = "× C", function(results)
    local measured = results.add1
    return measured and stats.ratio(measured["eventlog 5.4, spin off"], measured[C], "rate")
  end },
  { "add_many 100", least = 1, unit = "× C", ratio("add100", "rate"),
    bound("add100", "rate") },
  { "add_many 1000", least = 1, unit = "× C", ratio("add1000", "rate"),
    bound("add1000", "rate") },
  { "add_many 1000", least = 0.85, unit = "× redis-benchmark",
    ratio("add1000", "rate", "redis-benchmark") },
  { "add_many 1000, client CPU", most = 1.5, unit = "× C", ratio("add1000", "cpu") },
  { "follow from the start", least = 1, unit = "× C", ratio("follow", "rate") },
  { "follow from the start, peak memory above a bare interpreter's", most = 16,
    unit = "MiB", memory_above_bare },
  { "tail(), all kept", least = 0.85, unit = "× tables in C",
    ratio("tail", "rate", "tables in C") },
  { "tail() of 1,000,000, peak memory", most = 760, unit = "MB", peak_of_tail },
  { "tail_n(100), speed at p50", least = 0.95, unit = "× C", speed("last100", "p50"),
    speed("last100", "p50", BARE) },
  { "follow, 1 event a ms, p50", most = 1.1, unit = "× C", ratio("latency", "p50") },
  { "follow, 1 event a ms, p99", most = 1.3, unit = "× C", ratio("latency", "p99") },
  { "follow a writer in C", least = 0.97, unit = "× C", ratio("throughput", "rate") },
  { "memory in Redis", most = 0.78, unit = "× shuffled fields", packed },
  { "cost per entry, longest log to shortest", most = FLAT, unit = "×",
    growth("lengths", "add", "follow") },
  { "client CPU per entry, 1,000 followers to 1", most = FLAT, unit = "×",
    growth("followers", "cpu") },
}

--- The targets that were measured: lists of { text, target, reached, bound, met }.
---@param results table
---@param works table
function M.judge(results, works)
  local judged = {}
  for _, target in ipairs(M.list) do
    local reached = target[2](results, works)
    if reached then
      local limit = target.least or target.most
      local met
      if target.least then
        met = reached.median >= limit
      else
        met = reached.median <= limit
      end
      table.insert(judged, {
        text = target[1],
        target = string.format("%s %g %s", target.least and "at least" or "at most",
          limit, target.unit),
        reached = reached,
        bound = target[3] and target[3](results),
        met = met,
      })
    end
  end
  return judged
end

return M
