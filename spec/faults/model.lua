--- The judge of a soak: holds the journals of all its processes against the truth.
--- Does no I/O.

local followers = require "spec.faults.model_follower"
local writers = require "spec.faults.model_writer"

local M = {}

--- The writer of the entries by which the conductor ends a soak, and the one of
--- those that it adds while it breaks things.
M.END, M.CONDUCTOR = "end", "c"

local function list_of(text)
  local list = {}
  for id in text:gmatch("[^,]+") do list[#list + 1] = id end
  return list
end

--- The adds of a writer's journal; what it could not do goes to violations.
---@param lines string[][] of journal.lua
---@param name string
---@param logs table<string, { expires: boolean? }>
---@param adds spec.Add[] to add to
---@param violations table[]
function M.read_writer(lines, name, logs, adds, violations)
  local open = {}
  for _, line in ipairs(lines) do
    local what, time, unit = line[1], tonumber(line[2]), line[3]
    local add = open[unit]
    if what == "add" then
      add = {
        unit = unit, log = line[4], n = tonumber(line[5]), idempotent = line[6] == "once",
        expected = line[7] ~= "-" and line[7] or nil, time = time,
        expires = logs[line[4]].expires,
      }
      open[unit], adds[#adds + 1] = add, add
    elseif what == "ids" then
      add.outcome, add.ids, add.answered = "ids", list_of(line[4]), time
    elseif what == "none" or what == "unknown" then
      add.outcome, add.answered = what, time
      add.err = { kind = line[4], code = line[5], message = line[6] }
    elseif what == "broke" then
      violations[#violations + 1] = {
        rule = "raised", what = unit, who = name, log = "-", time = time,
      }
    end
  end
end

local function read_entry(word)
  local id, at = word:match("^(.-)=(.*)$")
  return { id = id, at = at }
end

local function read_batch(line)
  local batch = { time = tonumber(line[2]), caught_up = line[4] == "caught_up", entries = {} }
  local after, before, missed = line[5]:match("^gap,(.*),(.*),(.*)$")
  if after then batch.gap = { after = after, before = before, missed = tonumber(missed) } end
  if line[6] ~= "-" then batch.reset = line[6] end
  for i = 7, #line do batch.entries[#batch.entries + 1] = read_entry(line[i]) end
  return batch
end

--- The lives of the followers in one process's journal.
---@param lines string[][]
---@param name string
---@param logs table<string, { expires: boolean?, max_length: integer? }>
---@param lives spec.Life[] to add to
---@param violations table[]
function M.read_follower(lines, name, logs, lives, violations)
  local open = {}
  for _, line in ipairs(lines) do
    local what, time, number = line[1], tonumber(line[2]), line[3]
    local life = open[number]
    if what == "start" then
      local log = line[4]
      life = {
        follower = name .. "/" .. number, log = log, start = line[5], started = time,
        max_length = logs[log].max_length, expires = logs[log].expires, batches = {},
      }
      if life.start == "n" then life.n = tonumber(line[6]) end
      if life.start == "after" or life.start == "from" then life.id = line[6] end
      open[number], lives[#lives + 1] = life, life
    elseif what == "batch" then
      table.insert(life.batches, read_batch(line))
    elseif what == "failed" then
      life.failed = { kind = line[4], code = line[5], message = line[6], time = time }
    elseif what == "bad" or what == "broke" then
      violations[#violations + 1] = {
        rule = what == "bad" and "bytes" or "raised", what = line[#line], who = name,
        log = life and life.log or "-", time = time,
      }
    end
  end
end

--- Whether the last life of each follower of a log has come to the end.
local function check_ends(lives, wanted, violations)
  local ended = {}
  for _, life in ipairs(lives) do
    for _, batch in ipairs(life.batches) do
      for _, entry in ipairs(batch.entries) do
        if entry.at:match("^[^:]+") == M.END then
          ended[life.follower:match("^[^/]+") .. " " .. life.log] = true
        end
      end
    end
  end
  for _, each in ipairs(wanted) do
    if not ended[each.who .. " " .. each.log] then
      violations[#violations + 1] = {
        rule = "end", what = "it has not come to the end", who = each.who, log = each.log,
      }
    end
  end
end

--- Judges it all.
---@param truth table of truth.lua, with its clock set
---@param adds spec.Add[]
---@param lives spec.Life[]
---@param wanted { who: string, log: string }[] who must have come to the end of what
---@param violations table[] to add to: { rule, what, who, log, time }
---@return table<string, integer> counts
function M.judge(truth, adds, lives, wanted, violations)
  local counts = {}
  writers.judge(truth, adds, violations, counts, { [M.END] = true, [M.CONDUCTOR] = true })
  for _, life in ipairs(lives) do followers.judge(truth, life, violations, counts) end
  check_ends(lives, wanted, violations)
  return counts
end

return M
