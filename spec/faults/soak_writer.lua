--- A writer of a soak: adds units of entries to logs, and journals each before it
--- is sent and when its outcome is known. Gets the path of its config:
---   name, life, journal, seed   who it is
---   target                      eventlog.connect's
---   coroutines                  nil: it blocks; else so many share the client
---   pace                        seconds between two adds, at least and at most
---   logs                        { name, options, conditional }
---   stop                        the file that ends it

package.path = "./?.lua;lua/?.lua;lua/?/init.lua;" .. package.path

local core = require "eventlog.core"
local eventlog = require "eventlog"
local journals = require "spec.faults.journal"
local plan = require "spec.faults.fault_plan"
local soak_process = require "spec.faults.soak_process"

local config = dofile(arg[1])
local name = config.name .. "." .. config.life
local journal = journals.open(config.journal)
local stopped = soak_process.watch(config.stop)
local client = eventlog.connect(config.target)
local last_unit = 0

local function open_logs()
  local logs = {}
  for i, each in ipairs(config.logs) do
    logs[i] = {
      log = eventlog.new(client, each.name, each.options), name = each.name,
      conditional = each.conditional, idempotent = each.options.idempotent,
    }
  end
  return logs
end

local function size_of_unit(random)
  local x = random:next()
  if x < 0.75 then return 1 end
  if x < 0.95 then return random:integer(2, 6) end
  if x < 0.996 then return random:integer(20, 60) end
  return random:integer(500, 1500)
end

--- Adds a unit to a log, if its last id can be known where that is asked for.
local function add(random, to)
  local n = to.conditional and random:integer(1, 3) or size_of_unit(random)
  local expected
  if to.conditional then
    expected = to.log:last_id()
    if not expected then return end
    if random:chance(0.1) then expected = "1-1" end
  end
  last_unit = last_unit + 1
  local number, entries = last_unit, {}
  for i = 1, n do entries[i] = soak_process.entry(name, number, i, n) end
  local unit = name .. ":" .. number
  journal:write("add", unit, to.name, n, to.idempotent and "once" or "plain", expected or "-")
  local ids, err
  if expected then
    ids, err = to.log:add_if(expected, (table.unpack or unpack)(entries))
  else
    ids, err = to.log:add_many(entries)
  end
  if ids then
    journal:write("ids", unit, table.concat(ids, ","))
  else
    journal:write(err.outcome or "broke", unit, err.kind, err.code or "-", err.message)
  end
end

local function work(random, sleep)
  local logs = open_logs()
  while not stopped() do
    add(random, random:pick(logs))
    sleep(random:chance(0.02) and random:between(0.5, 1.5) or
      random:between(config.pace[1], config.pace[2]))
  end
end

local function main()
  if not config.coroutines then
    return work(plan.random(config.seed .. name), function(seconds)
      core.wait(-1, "r", seconds)
    end)
  end
  local cqueues = require "cqueues"
  local loop = cqueues.new()
  for i = 1, config.coroutines do
    loop:wrap(function() work(plan.random(config.seed .. name .. i), cqueues.sleep) end)
  end
  assert(loop:loop())
end

soak_process.run(journal, main)
