--- Conducts the benchmark, for script/bench, which has built everything and
--- started the servers. Each repeat runs all programs of a work one after the
--- other, each in a process of its own, so that what disturbs the machine
--- disturbs them all.
---
---   run.lua [NAME]...    only these works

local port = os.getenv("BENCH_PORT")
if not port then
  io.stderr:write("bench/run.lua is a part of script/bench, which starts a Redis: run that\n")
  os.exit(2)
end

local machine = require "bench.machine"
local programs = require "bench.programs"
local report = require "bench.report"
local works = require "bench.works"

local build = os.getenv("BENCH_BUILD")
local READ_KEY, WRITE_KEY = "bench:read", "bench:write"

-- Seconds after which a program counts as hung.
local LONGEST = 120

--- What a command prints; fails where it does.
local function output(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("a")
  local ok = pipe:close()
  if not ok then error("failed: " .. command .. "\n" .. text, 0) end
  return text
end

local function redis(...)
  return output("redis-cli -p " .. port .. " " .. table.concat({ ... }, " "))
end

--- Runs a worker; what it measured, by name.
local function run(command)
  local text = output(string.format("timeout --foreground %d env %s", LONGEST, command))
  local measured = {}
  for name, value in text:gmatch("([%w_]+)=(%S+)") do measured[name] = tonumber(value) end
  if not measured.seconds then error("no result: " .. command .. "\n" .. text, 0) end
  return measured
end

--- Whether this name means that work: all of its name, or a part of it where no
--- work is named so.
local function means(name, work)
  if works.find(name) then return work.id == name end
  return work.id:find(name, 1, true) ~= nil
end

--- The works that were asked for. Ends the program where a name means none.
local function wanted()
  if #arg == 0 then return works.list end
  local asked, used = {}, {}
  for _, work in ipairs(works.list) do
    local is_asked = false
    for _, name in ipairs(arg) do
      if means(name, work) then is_asked, used[name] = true, true end
    end
    if is_asked then table.insert(asked, work) end
  end
  for _, name in ipairs(arg) do
    if not used[name] then
      io.stderr:write("script/bench: there is no work ", name, "\n")
      os.exit(2)
    end
  end
  return asked
end

local filled = false

--- The log that is read, made when it is needed first.
local function fill()
  if filled then return end
  filled = true
  output(string.format("%s/writer fill %s %s %d", build, port, READ_KEY, works.entries))
end

--- Empties what the next program is to write to.
local function clear(work)
  if work.jobs then
    redis("flushall")
    filled = false
  elseif not work.reads then
    redis("del", WRITE_KEY)
  end
end

local progress = os.getenv("BENCH_TTY") == "1"

local function note(format, ...)
  if progress then io.stderr:write("\r\27[K", string.format(format, ...)) end
end

--- All repeats of a work: program -> list of what was measured.
local function measure(work)
  local measured = {}
  for _, name in ipairs(work.programs) do measured[name] = {} end
  if work.reads then fill() end
  for i = 1, works.repeats do
    for _, name in ipairs(work.programs) do
      if i <= works.repeats_of(work, name) then
        note("%s, repeat %d of %d: %s", work.title, i, works.repeats, name)
        clear(work)
        local program = work.jobs and programs.growth or programs[name]
        measured[name][i] = run(program(works.arguments(work, name, port,
          work.reads and READ_KEY or WRITE_KEY)))
      end
    end
  end
  clear(work)
  note("")
  return measured
end

local about, results = machine.look(), {}
local asked = wanted()
report.legend(works)
for _, work in ipairs(asked) do
  results[work.id] = measure(work)
  report.work(work, results[work.id])
end
report.targets(results, works)
if #arg == 0 then report.write(about, results, works) end
