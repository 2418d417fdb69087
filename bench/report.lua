--- Shows what was measured: tables for a terminal.

local stats = require "bench.stats"

local M = {}

local titles = {
  rate = "entries/s", cpu = "client s/M", server_cpu = "server s/M", p50 = "p50 µs",
  p99 = "p99 µs", peak = "peak MB",
}

-- Metrics with a ratio to the reference beside them.
local compared = { rate = true, p50 = true, p99 = true }

local function number(value)
  if value >= 1e6 then return string.format("%.2fM", value / 1e6) end
  if value >= 1e4 then return string.format("%.0fk", value / 1e3) end
  if value >= 1e3 then return string.format("%.1fk", value / 1e3) end
  return string.format(value >= 100 and "%.0f" or value >= 10 and "%.1f" or "%.2f", value)
end

--- 12.3 (11.9–13.0)
local function spread(summary)
  return string.format("%s (%s–%s)", number(summary.median), number(summary.min),
    number(summary.max))
end

--- The rows of a work's table, the titles first.
function M.rows(work, measured)
  local rows = { { work.title } }
  for _, metric in ipairs(work.metrics) do
    table.insert(rows[1], titles[metric])
    if compared[metric] then
      table.insert(rows[1], "× " .. (work.reference:match("^%S+")))
    end
  end
  for _, name in ipairs(work.programs) do
    local runs = measured[name]
    if runs then
      local row = { name }
      for _, metric in ipairs(work.metrics) do
        local summary = stats.of(runs, metric)
        if compared[metric] then
          local ratio = stats.ratio(runs, measured[work.reference], metric)
          table.insert(row, spread(summary))
          table.insert(row, ratio and spread(ratio) or "")
        else
          table.insert(row, number(summary.median))
        end
      end
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- Prints rows as columns; the first one is of text, the others of numbers.
function M.print(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell))
    end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local padding = (" "):rep(widths[i] - utf8.len(cell))
      cells[i] = i == 1 and cell .. padding or padding .. cell
    end
    print((table.concat(cells, "  "):gsub(" +$", "")))
  end
end

--- Prints what was measured of a work.
function M.work(work, measured)
  M.print(M.rows(work, measured))
  print()
end

return M
