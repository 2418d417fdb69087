--- The charts of RESULTS.md, drawn by gnuplot as SVG.

local stats = require "bench.stats"

local M = {}

local DIRECTORY = "bench/charts"
local NONE = "NaN"

-- One colour for each program, ours in blue.
local colours = {
  ["C on hiredis"] = "#888888", ["eventlog 5.4"] = "#08519c",
  ["eventlog 5.4, spin off"] = "#3182bd", ["eventlog 5.1"] = "#6baed6",
  ["eventlog LuaJIT"] = "#bdd7e7", ["redis-benchmark"] = "#444444",
  ["redis-lua 5.4"] = "#e6550d", ["redis-lua 5.1"] = "#fdae6b",
  ["lua-resty-redis"] = "#31a354", ["redis-py"] = "#756bb1",
}
local order = { "C on hiredis", "redis-benchmark", "eventlog 5.4", "eventlog 5.4, spin off",
  "eventlog 5.1", "eventlog LuaJIT", "redis-lua 5.4", "redis-lua 5.1", "lua-resty-redis",
  "redis-py" }

local function quote(text)
  return '"' .. text .. '"'
end

--- Draws: name of the file, title, and gnuplot's own words.
local function plot(name, title, height, script)
  local gnuplot = assert(io.popen("LC_ALL=C.UTF-8 gnuplot", "w"))
  gnuplot:write(string.format([[
set terminal svg size 960,%d font "sans-serif,13" background "white" noenhanced
set encoding utf8
set output "%s/%s.svg"
set title "%s"
set grid y
]], height, DIRECTORY, name, title), script)
  assert(gnuplot:close(), "gnuplot failed")
end

--- Clusters of bars: rows of data, a column for each of `names`.
local function bars(names, columns)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = string.format("$data using %d:xtic(1) title %s linecolor rgb %s", i + 1,
      quote(name), quote(colours[name]))
  end
  return string.format([[
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set key outside right
$data << END
%s
END
plot %s
]], table.concat(columns, "\n"), table.concat(parts, ", \\\n  "))
end

--- A row of data: its label, and value(name) for each name.
local function row(label, names, value)
  local cells = { quote(label) }
  for _, name in ipairs(names) do cells[#cells + 1] = value(name) or NONE end
  return table.concat(cells, " ")
end

local function median(runs, metric)
  local summary = stats.of(runs, metric)
  return summary and summary.median
end

-- What stands under the bars.
local short = { add1 = "add 1", add100 = "add 100", add1000 = "add 1000",
  follow = "follow", last100 = "tail_n(100)", throughput = "follow a writer" }

local function speed(results)
  local rows = {}
  for _, id in ipairs { "add1", "add100", "add1000", "follow", "last100", "throughput" } do
    local measured = results[id]
    table.insert(rows, row(short[id], order, function(name)
      local ratio = stats.ratio(measured[name], measured["C on hiredis"],
        id == "last100" and "p50" or "rate")
      return ratio and (id == "last100" and 1 / ratio.median or ratio.median)
    end))
  end
  plot("speed", "Speed: how many times that of C on hiredis", 420,
    "set yrange [0:]\n" .. bars(order, rows))
end

local function cpu(results)
  local rows = {}
  for _, id in ipairs { "add1", "add100", "add1000", "follow", "throughput" } do
    table.insert(rows, row(short[id], order, function(name)
      return median(results[id][name], "cpu")
    end))
  end
  plot("cpu", "Client CPU per entry in µs, on a logarithmic scale", 420,
    "set logscale y\n" .. bars(order, rows))
end

local function latency(results)
  local rows, names = {}, {}
  for _, name in ipairs(order) do
    if results.latency[name] then names[#names + 1] = name end
  end
  for _, metric in ipairs { "p50", "p99" } do
    table.insert(rows, row(metric, names, function(name)
      return median(results.latency[name], metric)
    end))
  end
  plot("latency", "From the writer's clock to the follower, 1 event a ms, in µs", 360,
    "set yrange [0:]\n" .. bars(names, rows))
end

--- Points of a work's growth, one a line: where, and each metric's median.
local function points(measured, work, at, metrics)
  local lines = {}
  for _, name in ipairs(work.programs) do
    local cells = { work.jobs[name][at] }
    for _, metric in ipairs(metrics) do
      cells[#cells + 1] = median(measured[name], metric) or NONE
    end
    lines[#lines + 1] = table.concat(cells, " ")
  end
  return table.concat(lines, "\n")
end

local function growth(results, works)
  plot("growth", "Cost per entry as things grow, in µs", 360, string.format([[
set logscale x
set yrange [0:]
set key bottom right
set format x "%%.0f"
$lengths << END
%s
END
$followers << END
%s
END
set multiplot layout 1,2
set title "adding and following one log: µs per entry"
set xlabel "entries in the log"
plot $lengths using 1:2 with linespoints linewidth 2 title "add, 1,000 a call", \
  $lengths using 1:3 with linespoints linewidth 2 title "follow from the start"
set title "many followers in a process: client CPU, µs per entry"
set xlabel "followers"
plot $followers using 1:2 with linespoints linewidth 2 notitle
unset multiplot
]], points(results.lengths, works.find("lengths"), "count", { "add", "follow" }),
    points(results.followers, works.find("followers"), "extra", { "cpu" })))
end

--- Draws all of them, of a run of all works.
function M.draw(results, works)
  os.execute("mkdir -p " .. DIRECTORY)
  speed(results)
  cpu(results)
  latency(results)
  growth(results, works)
end

return M
