--- Whether what a follower reads joins what it handed out: finds gaps (entries
--- trimmed away before they were read) and resets (the log was deleted,
--- recreated or rolled back). Does no I/O: scripts.state brings the facts.
---
--- Behind each page comes a look at the log. As a rule the entry that was
--- handed out last is still there, and then nothing was lost. Where it is not,
--- counts tell what happened: Redis 7 counts all entries that were ever added,
--- and so each entry has a number, its index, which neither trimming nor
--- deleting changes. Who counts on from batch to batch misses what was deleted
--- in between: his index is then too low, and never too high.

local core = require "eventlog.core"

local compare = core.id_compare

---@class eventlog.Gap
---@field after string id of the last entry handed out before it
---@field before string id of the first one after it
---@field missed integer? how many entries are missing; nil: the server cannot tell

---@class eventlog.Known what a follower knows of the log up to where it is
---@field index integer? of the entry there, at least
---@field counted string? the last id whose index the server's counts told
---@field entry boolean? whether there was an entry, and not just a last id
---@field first string? id of the oldest entry when it first looked
---@field beginning boolean? whether it begins there: nothing can be missing

local M = {}

-- What scripts.state answers, in order.
M.STATE_SIZE = 7

-- What each of these must be.
local function id_or_none(text) return text == "" or core.id(text) end
local function count(text) return text:find("^%d+$") end
local function count_or_none(text) return text == "" or count(text) end
local function flag(text) return text == "0" or text == "1" end
local STATE = { core.id, id_or_none, id_or_none, count, count_or_none, id_or_none,
  flag }

--- A state, of what scripts.state answers; nil where that cannot be its answer.
---@param list string[]
function M.parse(list)
  for i, check in ipairs(STATE) do
    if not check(list[i]) then return nil end
  end
  return {
    last = list[1], -- id that was generated last; "0-0": no log
    first = list[2] ~= "" and list[2] or nil, -- id of the oldest entry
    newest = list[3], -- id of the newest entry; "": none
    length = tonumber(list[4]),
    added = tonumber(list[5]), -- ever; nil before Redis 7
    deleted = list[6] ~= "" and list[6] or "0-0", -- highest id that XDEL took
    gone = list[7] == "1", -- whether the entry that was asked for is not there
  }
end
--- For a follower that goes back to what it handed out.
---@param known eventlog.Known
---@return eventlog.Known
function M.copy(known)
  return {
    index = known.index, counted = known.counted, entry = known.entry,
    first = known.first, beginning = known.beginning,
  }
end

--- The index of the batch's last entry, where the counts tell it.
local function count_last(batch, more, state)
  if not state.added then return nil end
  if not more and batch[#batch].id == state.last then return state.added end
  if not state.first or compare(state.deleted, state.first) >= 0 then return nil end
  for i, entry in ipairs(batch) do
    if entry.id == state.first then
      return state.added - state.length + 1 + #batch - i
    end
  end
end

--- The same where all of the batch has been trimmed away by now. It is at least
--- the next one after those before it, and at most the last that was taken out.
local function count_gone(known, batch, state)
  if not state.added or not known.index or not known.counted then return nil end
  local last = batch[#batch].id
  if state.first and compare(state.first, last) <= 0 or
    compare(state.deleted, known.counted) > 0 then
    return nil
  end
  local index = known.index + #batch
  return index == state.added - state.length and index or nil
end

--- Whether this cannot be the log that was read up to `after`.
local function is_another(known, after, batch, state, trimmed, last_index)
  if not state.added then return false end
  local before = known.index or (known.entry and 1 or 0) -- entries, at least
  local index = last_index or state.added
  -- Numbers that were given out before.
  if index < before + #batch then return true end
  -- All those are gone, but fewer were ever taken out.
  if trimmed then return state.added - state.length < before end
  -- That one is gone, though nothing took it.
  return known.entry and state.gone and compare(state.deleted, after) < 0
end

--- Why the log is another one: rolled back if it still begins with what we
--- know, else made anew.
local function reset_kind(state, known_first, after)
  local same = known_first and state.first and
    compare(state.first, known_first) >= 0 and compare(state.first, after) <= 0
  return same and "rewound" or "recreated"
end

--- A page without entries.
local function judge_empty(known, after, state)
  if compare(state.last, after) < 0 then
    return { reset = reset_kind(state, known.first, after), restart = true }
  end
  -- Equal: the end. Higher: what came is gone again, and the next page that has
  -- entries will count it.
  if state.last == after and state.added then
    return { index = state.added, counted = after, entry = known.entry }
  end
  return { index = known.index, counted = known.counted, entry = known.entry }
end

--- What is missing between `after` and the batch, which was trimmed; or nil.
local function find_gap(known, after, batch, state, last_index)
  local missed
  if last_index and known.index and known.counted and
    compare(state.deleted, known.counted) <= 0 then -- nothing was since
    missed = last_index - #batch - known.index
  end
  local never_lost = state.added and state.added == state.length
  if missed == 0 or (not missed and never_lost) then return nil end
  return { after = after, before = batch[1].id, missed = missed }
end

--- Counts on where the entry before a page of n is still there: nothing was lost.
---@param known eventlog.Known is changed
---@param n integer
function M.count_on(known, n)
  known.index = known.index and known.index + n
  known.entry = true
end

--- Judges a page behind an entry that may be gone.
---@param known eventlog.Known up to `after`
---@param after string id that the page was asked for after
---@param batch table[] its entries, perhaps none
---@param more boolean whether the log had more than these
---@param state table of parse()
---@return table verdict index, counted, entry: to be known of the batch's end;
---  gap; reset; restart: the page is to be dropped, and the log read from its
---  beginning
function M.judge(known, after, batch, more, state)
  local index, first = known.index, batch[1]
  if not first then return judge_empty(known, after, state) end

  local trimmed = not state.first or compare(state.first, after) > 0
  local last_index = count_last(batch, more, state) or
    count_gone(known, batch, state)
  local verdict = { index = last_index, counted = last_index and batch[#batch].id,
    entry = true }
  if not last_index and index and not trimmed then
    verdict.index, verdict.counted = index + #batch, known.counted
  end
  if known.beginning then return verdict end

  if is_another(known, after, batch, state, trimmed, last_index) then
    verdict.reset = reset_kind(state, known.first, after)
    verdict.restart = first.id ~= state.first
  elseif trimmed and (state.added or after ~= "0-0") then
    -- Before Redis 7 who has read nothing cannot know whether he missed anything.
    verdict.gap = find_gap(known, after, batch, state, last_index)
  elseif not state.added and known.entry and state.gone then
    -- Deleted, or another log: before Redis 7 nothing tells.
    verdict.gap = { after = after, before = first.id }
  end
  return verdict
end

return M
