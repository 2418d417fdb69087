--- Makes up a soak of a few lines of text, for the model to judge. A line is said to
--- have happened after the one above it:
---   server add UNIT[/N] LOG ID ... [keep N] [ttl]
---                         a unit came, of N entries (default: these), in one group
---   server do COMMAND; ...  commands were carried out as one
---   server mark NAME, server rollback NAME
---   w WHAT ...            in the journal of the writer w: journal.lua without times
---   f WHAT ...            in that of the follower f; an id alone stands for the
---                         entry that came with it last
--- Does no I/O.

local model = require "spec.faults.model"
local truths = require "spec.faults.truth"

local M = {}

M.logs = {
  log = {}, other = {}, short = { max_length = 3 }, brief = { expires = true },
}

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

local History = {}
History.__index = History

--- A unit, as the commands of the append-only file.
function History:add(words)
  local unit, log, ids, keep, ttl = words[1], words[2], {}, nil, false
  for i = 3, #words do
    if words[i] == "ttl" then
      ttl = true
    elseif words[i - 1] == "keep" then
      keep = words[i]
    elseif words[i] ~= "keep" then
      ids[#ids + 1] = words[i]
    end
  end
  local name, n = unit:match("^(.*)/(%d+)$")
  local group = {}
  for i, id in ipairs(ids) do
    local at = string.format("%s:%d:%s", name or unit, i, n or #ids)
    self.at[id] = at
    group[i] = keep and { "XADD", log, "MAXLEN", "=", keep, id, "at", at } or
      { "XADD", log, id, "at", at }
  end
  if ttl then group[#group + 1] = { "PEXPIREAT", log, "1" } end
  return group
end

--- The server's clock, at a time.
function History:tick(time)
  local number = #self.times + 1
  self.times[number] = { sent = time, done = time }
  self.truth:apply { { "SET", truths.CLOCK, tostring(number) } }
end

function History:serve(text, time)
  local what, rest = text:match("^(%S+) (.*)$")
  if what == "mark" then
    self.marks[rest] = self.truth.pos
    return
  end
  self:tick(time - 0.25)
  if what == "add" then
    self.truth:apply(self:add(words_of(rest)))
  elseif what == "rollback" then
    self.truth:rollback(self.marks[rest])
  else
    local group = {}
    for command in rest:gmatch("[^;]+") do group[#group + 1] = words_of(command) end
    self.truth:apply(group)
  end
  self:tick(time + 0.25)
end

--- A line of a journal.
function History:note(text, time)
  local words = words_of(text)
  table.insert(words, 2, tostring(time))
  for i = 7, words[1] == "batch" and #words or 0 do
    if not words[i]:find("=", 1, true) then
      words[i] = words[i] .. "=" .. self.at[words[i]]
    end
  end
  return words
end

--- What the model finds wrong, "rule: what; ..."; "clean" where that is nothing.
---@param text string
---@param wanted string? the log that the follower must have followed to its end
---@return string
---@return table<string, integer> counts
function M.judge(text, wanted)
  local history = setmetatable({
    truth = truths.new(), times = {}, marks = {}, at = {},
  }, History)
  local journals, time = { w = {}, f = {} }, 0
  for line in text:gmatch("[^\n]+") do
    local who, what = line:match("^%s*(%S+) (.-)%s*$")
    time = time + 1
    if who == "server" then
      history:serve(what, time)
    elseif who then
      table.insert(journals[who], history:note(what, time))
    end
  end
  history.truth:set_clock(history.times)
  local adds, lives, violations = {}, {}, {}
  model.read_writer(journals.w, "w", M.logs, adds, violations)
  model.read_follower(journals.f, "f", M.logs, lives, violations)
  local counts = model.judge(history.truth, adds, lives,
    wanted and { { who = "f", log = wanted } } or {}, violations)
  for i, violation in ipairs(violations) do
    violations[i] = violation.rule .. ": " .. violation.what
  end
  return #violations == 0 and "clean" or table.concat(violations, "; "), counts
end

return M
