--- A process of followers of a soak: follows logs, and journals all that it is
--- handed. Where it was killed, it goes on after what its journal has last. Gets the
--- path of its config:
---   name, life, journal, seed   who it is
---   target, batch_size
---   way         "poll": next(0), each log in turn; "cqueues": a coroutine a log;
---               "loop": the generic for, of one log
---   logs        { name, options, start = { "all" | "n" | "after" | "from", n or id } }
---   slow        seconds between two batches, at least and at most
---   changes     seconds until a follower is closed and another one takes its place
---   draining    the file from when on it is to come to the end fast
--- A follower of a log ends at an entry that says so.

package.path = "./?.lua;lua/?.lua;lua/?/init.lua;" .. package.path

local core = require "eventlog.core"
local eventlog = require "eventlog"
local journals = require "spec.faults.journal"
local model = require "spec.faults.model"
local plan = require "spec.faults.fault_plan"
local soak_process = require "spec.faults.soak_process"

local config = dofile(arg[1])
local before = config.life > 1 and journals.read(config.journal) or {}
local journal = journals.open(config.journal)
local draining = soak_process.watch(config.draining)
local random = plan.random(config.seed .. config.name .. config.life)
local client = eventlog.connect(config.target)
local lives = 0

local function is_end(at)
  return at:match("^[^:]+") == model.END
end

--- What the journal says of a log: the last id, and whether its end has come.
local function remembered(name)
  local last, ended, of_log = nil, false, {}
  for _, line in ipairs(before) do
    if line[1] == "start" then
      of_log[line[3]] = line[4] == name
      lives = math.max(lives, tonumber(line[3]))
    elseif line[1] == "batch" and of_log[line[3]] and line[7] then
      last = line[#line]:match("^(.-)=")
      for i = 7, #line do ended = ended or is_end(line[i]:match("=(.*)$")) end
    end
  end
  return last, ended
end

--- Where the next follower of a log begins.
local function next_start(to, last, resumes)
  if not last then return to.start[1], to.start[2] end
  if resumes or draining() then return "after", last end
  local x = random:next()
  if x < 0.5 then return "after", last end
  if x < 0.65 then return "from", last end
  if x < 0.75 then return "n", 0 end
  if x < 0.9 then return "n", random:integer(1, 200) end
  return "all"
end

local methods = {
  all = "tail_and_follow", n = "tail_n_and_follow", after = "tail_after_and_follow",
  from = "tail_from_and_follow",
}

--- Journals a batch. Returns the last id, and whether the end has come.
local function note(life, batch, follower)
  local words, gap, ended = {}, batch.gap, false
  for i, entry in ipairs(batch) do
    local at = entry.fields.at or "?"
    words[i] = entry.id .. "=" .. at
    ended = ended or is_end(at)
    if not soak_process.is_whole(entry.fields) then
      journal:write("bad", life, entry.id .. "=" .. at)
    end
  end
  local last = batch[#batch]
  if last and follower.last_id ~= last.id then
    journal:write("bad", life, "last_id=" .. tostring(follower.last_id))
  end
  journal:write("batch", life, batch.caught_up and "caught_up" or "-",
    gap and string.format("gap,%s,%s,%s", gap.after, gap.before, gap.missed or "-") or "-",
    batch.reset or "-", (table.unpack or unpack)(words))
  return last and last.id, ended
end

--- Follows until the end has come, true; or the follower has ended, or is to be
--- replaced, false; and the last id.
local function follow(life, follower, next_batch, pause)
  local change_at = config.changes and core.now() + random:between(0.2, config.changes)
  local last
  while true do
    local batch, err = next_batch(follower)
    if batch then
      local id, ended = note(life, batch, follower)
      last = id or last
      if ended then return true, last end
      if config.slow and not draining() then
        pause(random:between(config.slow[1], config.slow[2]))
      end
    elseif err.kind ~= "timeout" then
      journal:write("failed", life, err.kind, err.code or "-", err.message)
      pause(0.1)
      return false, last
    end
    if change_at and core.now() > change_at and not draining() then return false, last end
  end
end

--- Follows one log to its end.
local function run(to, next_batch, pause)
  local log = eventlog.new(client, to.name, to.options)
  local last, ended = remembered(to.name)
  local resumes = last ~= nil
  while not ended do
    lives = lives + 1
    local start, at = next_start(to, last, resumes)
    local life = lives
    journal:write("start", life, to.name, start, at or "-")
    local follower = log[methods[start]](log, at)
    local id
    ended, id = follow(life, follower, next_batch, pause)
    follower:close()
    last = id or last
    resumes = false
  end
end

local ways = {}

function ways.loop()
  run(config.logs[1], function(follower)
    local ok, batch = pcall(follower) -- as `for` calls it
    if ok then return batch end
    return nil, batch
  end, function(seconds) core.wait(-1, "r", seconds) end)
end

function ways.cqueues()
  local cqueues = require "cqueues"
  local loop = cqueues.new()
  for _, to in ipairs(config.logs) do
    loop:wrap(function()
      run(to, function(follower)
        return follower:next(random:chance(0.5) and random:between(0, 1) or
          config.changes and 1 or nil)
      end, cqueues.sleep)
    end)
  end
  assert(loop:loop())
end

--- As a game does it: next(0) for each log, tick by tick.
function ways.poll()
  local tasks = {}
  local function pause(seconds)
    local time = core.now() + seconds
    while core.now() < time do coroutine.yield() end
  end
  for i, to in ipairs(config.logs) do
    tasks[i] = coroutine.create(function()
      run(to, function(follower)
        local batch, err = follower:next(0)
        if not batch and err.kind == "timeout" then coroutine.yield() end
        return batch, err
      end, pause)
    end)
  end
  while #tasks > 0 do
    for i = #tasks, 1, -1 do
      local ok, why = coroutine.resume(tasks[i])
      if not ok then error(debug.traceback(tasks[i], tostring(why)), 0) end
      if coroutine.status(tasks[i]) == "dead" then table.remove(tasks, i) end
    end
    core.wait(-1, "r", 0.01)
  end
end

soak_process.run(journal, ways[config.way])
