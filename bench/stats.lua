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

-- A measurement is what a worker printed: a table of numbers. What is made of
-- one, by name; any other metric is the number of that name.
local metrics = {}

--- Entries a second.
function metrics.rate(run) return run.entries / run.seconds end

--- Seconds of CPU per million entries, which are µs per entry.
function metrics.cpu(run) return run.cpu / run.entries * 1e6 end
function metrics.server_cpu(run) return run.server_cpu / run.entries * 1e6 end

--- MB, which are 10^6 bytes.
function metrics.peak(run) return run.peak and run.peak * 1024 / 1e6 end

--- Bytes in Redis per entry.
function metrics.bytes(run) return run.bytes / run.entries end

--- Entries per batch.
function metrics.batch(run) return run.entries / run.batches end

local function value(run, metric)
  if metrics[metric] then return metrics[metric](run) end
  return run[metric]
end

--- A program's measurements as a summary of this metric; nil where none has it.
---@param runs table[]?
---@param metric string
function M.of(runs, metric)
  local values = {}
  for i, run in ipairs(runs or {}) do values[i] = value(run, metric) end
  return #values > 0 and M.summary(values) or nil
end

--- How many times the reference, repeat by repeat, as a summary.
---@param runs table[]?
---@param reference table[]?
---@param metric string
function M.ratio(runs, reference, metric)
  local values = {}
  for i = 1, math.min(#(runs or {}), #(reference or {})) do
    values[i] = value(runs[i], metric) / value(reference[i], metric)
  end
  return #values > 0 and M.summary(values) or nil
end

return M
