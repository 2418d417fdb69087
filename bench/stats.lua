--- What is made of repeated measurements: medians with their extremes, and
--- ratios of what two programs did in the same repeat.

local M = {}

---@param values number[]
---@return { median: number, min: number, max: number }
function M.summary(values)
  local sorted = { table.unpack(values) }
  table.sort(sorted)
  local n = #sorted
  local middle = (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
  return { median = middle, min = sorted[1], max = sorted[n] }
end

-- A measurement is what a worker printed: a table of numbers. What can be made
-- of one, by name.
local metrics = {}
M.metrics = metrics

--- Entries a second.
function metrics.rate(run) return run.entries / run.seconds end

--- Seconds of CPU per million entries, which are µs per entry.
function metrics.cpu(run) return run.cpu / run.entries * 1e6 end
function metrics.server_cpu(run) return run.server_cpu / run.entries * 1e6 end

--- Microseconds.
function metrics.p50(run) return run.p50 end
function metrics.p99(run) return run.p99 end

--- MB, which are 10^6 bytes.
function metrics.peak(run) return run.peak * 1024 / 1e6 end

--- A program's measurements as a summary of this metric; nil where there are
--- none.
---@param runs table[]?
---@param metric string
function M.of(runs, metric)
  if not runs or #runs == 0 then return nil end
  local values = {}
  for i, run in ipairs(runs) do values[i] = metrics[metric](run) end
  return M.summary(values)
end

--- How many times the reference, repeat by repeat, as a summary.
---@param runs table[]?
---@param reference table[]?
---@param metric string
function M.ratio(runs, reference, metric)
  local values = {}
  for i = 1, math.min(#(runs or {}), #(reference or {})) do
    values[i] = metrics[metric](runs[i]) / metrics[metric](reference[i])
  end
  return #values > 0 and M.summary(values) or nil
end

return M
