--- The charts of RESULTS.md, drawn by gnuplot as SVG, from the tables of that
--- file, which they can so not contradict. To draw them again:
---   LUA_PATH='./?.lua' lua5.4 -e 'require("bench.charts").draw()'
--- Of a work there are bars of those programs that do it, and of no others.

local M = {}

local RESULTS = "bench/RESULTS.md"
local DIRECTORY = "bench/charts"

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

--- 1.4k as 1400: a cell's number; nil if it has none.
local function number(cell)
  local digits, unit = cell:match("^([%d.]+)([kM]?)")
  return digits and tonumber(digits) * (({ k = 1e3, M = 1e6 })[unit] or 1)
end

--- The tables of RESULTS.md, by their titles: { names, [name] = { [metric] = median } }.
--- "p50 µs ratio" is the ratio beside "p50 µs".
local function read_tables()
  local tables, current, metrics = {}, nil, nil
  for line in io.lines(RESULTS) do
    local cells = {}
    for cell in line:gmatch("| ([^|]-) %f[|]") do cells[#cells + 1] = cell end
    if #cells == 0 then
      if not line:find("^|%-") then current = nil end -- not the rule below titles
    elseif not current then
      current, metrics = { names = {} }, cells
      for i, title in ipairs(cells) do
        if title == "ratio" then metrics[i] = cells[i - 1] .. " ratio" end
      end
      tables[cells[1]] = current
    else
      local row = {}
      for i = 2, #cells do row[metrics[i]] = number(cells[i]) end
      table.insert(current.names, cells[1])
      current[cells[1]] = row
    end
  end
  return tables
end

--- The power of ten at or below all values: where a logarithmic axis begins.
local function floor_of(clusters)
  local least = math.huge
  for _, cluster in ipairs(clusters) do
    for _, value in pairs(cluster.values) do least = math.min(least, value) end
  end
  return 10 ^ math.floor(math.log(least, 10))
end

--- Clusters of bars: each { label, values = { [program] = value } }.
local function bars(clusters)
  local x, ticks, points = 0, {}, {}
  for _, cluster in ipairs(clusters) do
    local first = x + 1
    for _, name in ipairs(order) do
      if cluster.values[name] then
        x = x + 1
        points[name] = points[name] or {}
        table.insert(points[name], string.format("%d %g", x, cluster.values[name]))
      end
    end
    table.insert(ticks, string.format("%s %g", quote(cluster.label), (first + x) / 2))
    x = x + 2
  end
  local data, plots = {}, {}
  for _, name in ipairs(order) do
    if points[name] then
      local block = "$bars" .. #data + 1
      table.insert(data, string.format("%s << END\n%s\nEND", block,
        table.concat(points[name], "\n")))
      table.insert(plots, string.format("%s using 1:2 with boxes title %s linecolor rgb %s",
        block, quote(name), quote(colours[name])))
    end
  end
  return string.format([[
set boxwidth 1
set style fill solid 0.9 noborder
set key outside right
set xrange [0:%d]
set xtics nomirror (%s)
%s
plot %s
]], x, table.concat(ticks, ", "), table.concat(data, "\n"), table.concat(plots, ", \\\n  "))
end

--- A cluster: of a table, the value of each program that has one.
local function cluster(label, rows, value)
  local values = {}
  for _, name in ipairs(rows.names) do values[name] = value(rows[name]) end
  return { label = label, values = values }
end

local function of(metric)
  return function(row) return row[metric] end
end

-- The works' tables, and what stands under their bars.
local WORKS = {
  { "add, one entry a call", "add 1" }, { "add_many, 100 a call", "add 100" },
  { "add_many, 1,000 a call", "add 1000" }, { "follow a log from its start", "follow" },
  { "tail_n(100)", "tail_n(100)" }, { "follow a writer in C, 100 a batch", "follow a writer" },
}

local function speed(tables)
  local clusters = {}
  for i, work in ipairs(WORKS) do
    clusters[i] = cluster(work[2], tables[work[1]], function(row)
      if row["p50 µs ratio"] then return 1 / row["p50 µs ratio"] end
      return row["entries/s ratio"]
    end)
  end
  plot("speed", "Speed: how many times that of C on hiredis", 420,
    "set yrange [0:]\n" .. bars(clusters))
end

local function cpu(tables)
  local clusters = {}
  for _, work in ipairs(WORKS) do
    if work[1] ~= "tail_n(100)" then
      table.insert(clusters, cluster(work[2], tables[work[1]], of "client CPU"))
    end
  end
  plot("cpu", "Client CPU per entry in µs, on a logarithmic scale", 420,
    string.format("set logscale y\nset yrange [%g:]\n", floor_of(clusters)) .. bars(clusters))
end

local function latency(tables)
  local rows = tables["to a follower, 1 event a ms"]
  local clusters = { cluster("p50", rows, of "p50 µs"), cluster("p99", rows, of "p99 µs") }
  plot("latency",
    "From the writer's clock to the follower, 1 event a ms, in µs, on a logarithmic scale", 360,
    string.format("set logscale y\nset yrange [%g:]\n", floor_of(clusters)) .. bars(clusters))
end

--- Points of growth, one a line: how many, and each metric.
local function points_of(rows, ...)
  local lines = {}
  for i, name in ipairs(rows.names) do
    local cells = { (name:match("^[%d,]+"):gsub(",", "")) }
    for _, metric in ipairs { ... } do table.insert(cells, rows[name][metric]) end
    lines[i] = table.concat(cells, " ")
  end
  return table.concat(lines, "\n")
end

local function growth(tables)
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
]], points_of(tables["eventlog 5.4, longer logs"], "add µs", "follow µs"),
    points_of(tables["eventlog 5.4, more followers"], "client CPU")))
end

--- Draws all of them, of the run of all works that RESULTS.md has.
function M.draw()
  local tables = read_tables()
  os.execute("mkdir -p " .. DIRECTORY)
  speed(tables)
  cpu(tables)
  latency(tables)
  growth(tables)
end

return M
