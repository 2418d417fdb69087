--- Shows what was measured: as tables on the terminal, and as bench/RESULTS.md
--- with charts.

local charts = require "bench.charts"
local stats = require "bench.stats"
local targets = require "bench.targets"

local M = {}

local titles = {
  rate = "entries/s", cpu = "client CPU", server_cpu = "server CPU", peak = "peak MB",
  p50 = "p50 µs", p99 = "p99 µs", add = "add µs", add_cpu = "its CPU",
  follow = "follow µs", follow_cpu = "its CPU", batch = "entries/batch",
  bytes = "bytes/entry",
}

-- Metrics with their extremes, and with the ratio to the reference.
local compared = { rate = true, p50 = true, p99 = true, add = true, follow = true,
  bytes = true }

local function number(value)
  if value >= 1e6 then return string.format("%.2fM", value / 1e6) end
  if value >= 1e5 then return string.format("%.0fk", value / 1e3) end
  if value >= 1e3 then return string.format("%.1fk", value / 1e3) end
  return string.format(value >= 100 and "%.0f" or value >= 10 and "%.1f" or "%.2f", value)
end

--- 12.3 (11.9–13.0)
local function spread(summary)
  if not summary then return "" end
  if summary.min == summary.max then return number(summary.median) end
  return string.format("%s (%s–%s)", number(summary.median), number(summary.min),
    number(summary.max))
end

--- A program's row.
local function row_of(work, measured, name)
  local row, runs, reference = { name }, measured[name], measured[work.reference]
  for _, metric in ipairs(work.metrics) do
    local summary = stats.of(runs, metric)
    if compared[metric] then
      table.insert(row, spread(summary))
      table.insert(row, spread(stats.ratio(runs, reference, metric)))
    else
      table.insert(row, summary and number(summary.median) or "")
    end
  end
  return row
end

--- The rows of a work's table, the titles first.
local function rows_of(work, measured)
  local head = { work.title }
  for _, metric in ipairs(work.metrics) do
    table.insert(head, titles[metric])
    -- To whom, the row with the ones says.
    if compared[metric] then table.insert(head, "ratio") end
  end
  local rows = { head }
  for _, name in ipairs(work.programs) do
    table.insert(rows, row_of(work, measured, name))
  end
  return rows
end

local function target_rows(judged)
  local rows = { { "target", "asked", "reached", "bare socket", "" } }
  for _, target in ipairs(judged) do
    table.insert(rows, { target.text, target.target, spread(target.reached),
      spread(target.bound), target.met and "met" or "not met" })
  end
  return rows
end

--- Prints rows as columns; the first one is of text, the others of numbers.
local function show(rows)
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
  print()
end

--- Rows as a table of Markdown.
local function markdown(rows)
  local lines = {}
  for i, row in ipairs(rows) do
    lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |"
    if i == 1 then lines[2] = "|---" .. ("|--:"):rep(#row - 1) .. "|" end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Prints how to read what comes.
function M.legend(works)
  print(("Medians of %d repeats (lowest–highest); ratios to the first row, within a repeat;"
    ):format(works.repeats))
  print("CPU in seconds per million entries.\n")
end

--- Prints what was measured of a work.
function M.work(work, measured)
  show(rows_of(work, measured))
end

--- Prints which targets were met, of those that were measured.
function M.targets(results, works)
  local judged = targets.judge(results, works)
  if #judged > 0 then show(target_rows(judged)) end
end

local HEAD = [[
# Results

What `%s` measured and wrote: a log's works as this library does them,
beside a C program on hiredis and other clients.%s

Entries have 4 fields of 16 bytes; Redis listens on the loopback. Programs are run
one after the other, each in a process of its own, and all of that %d times. Numbers
are medians, with (lowest–highest). A ratio is that to the table's first program
in the same repeat. CPU is in seconds per million entries, which are µs per entry;
client CPU is that of the whole process, server CPU is Redis's. MB are 10^6 bytes.

]]

local NOTES = [[
## How to read it

- C on hiredis makes blocking calls, appends pipelines of XADD, and reads pages of
  1,000 with XREAD into `redisReply`. "tables in C" is one C function that makes the
  tables which `tail()` returns, without Redis, under Lua's own garbage collector.
- "bare socket" is what no client can do without, and nothing else: it sends a request
  that was encoded once, spins, and looks for the reply's end. Of several entries it
  makes a transaction, as `add_many` does.
- The other clients read what they return and convert nothing. redis-lua,
  lua-resty-redis and redis-py do less of each work (of the log they follow a tenth or
  a fifth), since that changes no rate. Their adds, and C's, are pipelines, while
  `add_many` is a transaction.
- redis-benchmark sends one entry again and again; its CPU is known to 10 ms.
- redis-lua is packaged for Lua 5.3 at most, and runs on 5.4 as it is. Debian's
  lua-nginx-redis is lua-resty-redis.
- Latencies are from the writer's clock before XADD to the reader's clock when it
  has the entry: the writer's half of the trip is in them.
- Of 1,000 entries there are 100 logs, of 10,000 there are 10, and each follower
  connects. Of many followers each has a log of its own, in one cqueues loop; entries
  come one each 200 µs. Longer logs and more followers count as flat where no cost is
  above 1.1 times that of the smallest.
]]

local CHARTS = [[
![Speed beside C](charts/speed.svg)
![CPU](charts/cpu.svg)
![Latency](charts/latency.svg)
![Growth](charts/growth.svg)

]]

--- Writes RESULTS.md and its charts.
---@param about table of machine.look
function M.write(about, results, works)
  local file = assert(io.open("bench/RESULTS.md", "w"))
  file:write(HEAD:format(works.quick and "script/bench --quick" or "script/bench",
    works.quick and " A quick run is short and noisy." or "", works.repeats))
  for _, line in ipairs(about) do
    file:write(string.format("- %s: %s\n", line[1], line[2]))
  end
  file:write("\n## Targets\n\n", markdown(target_rows(targets.judge(results, works))),
    "\n## Charts\n\n", CHARTS, "## Measurements\n\n")
  for _, work in ipairs(works.list) do
    file:write(markdown(rows_of(work, results[work.id])), "\n")
  end
  file:write(NOTES)
  file:close()
  charts.draw()
end

return M
