--- Whether what a follower reads joins what it handed out: finds gaps (entries
--- trimmed away before they were read) and resets (the log was deleted,
--- recreated or rolled back). Does no I/O: scripts.state brings the facts.
---
--- Behind each page comes a look at the log. As a rule the entry that was
--- handed out last is still there, and then nothing was lost. Where it is not,
--- counts tell what happened: Redis 7 counts all entries that were ever added,
--- and so each entry has a number, its index, which trimming does not change.

local core = require "eventlog.core"

---@class eventlog.Gap
---@field after string id of the last entry handed out before it
---@field before string id of the first one after it
---@field missed integer? how many entries are missing; nil: the server cannot tell

local M = {}

-- What scripts.state answers, in order.
M.STATE_SIZE = 5

local function parse(list)
  return {
    last = list[1], -- id that was generated last; "0-0": no log
    first = list[2] ~= "" and list[2] or nil, -- id of the oldest entry
    length = tonumber(list[3]),
    added = tonumber(list[4]), -- ever; nil before Redis 7
    deleted = list[5] ~= "" and list[5] or nil, -- highest id that XDEL took
  }
end
M.parse = parse

--- The index of the batch's first entry, where the counts tell it.
local function index_of_first(batch, more, state)
  if not state.added then return nil end
  for i, entry in ipairs(batch) do
    if entry.id == state.first then
      return state.added - state.length + 2 - i
    end
  end
  local last = batch[#batch]
  if last and not more and last.id == state.last then
    return state.added - #batch + 1
  end
end

--- Why the log has gone back behind `after`: rolled back if it still begins
--- with what we know, else made anew.
local function reset_kind(state, known_first, after)
  local same = known_first and state.first and
    core.id_compare(state.first, known_first) >= 0 and
    core.id_compare(state.first, after) <= 0
  return same and "rewound" or "recreated"
end

--- Judges a page.
---@param known table index: of the entry `after`, or nil; first: id of the
---  oldest entry when we first looked; beginning: whether nothing can be missing
---  because the follower begins here
---@param after string id that the page was asked for after
---@param batch table[] its entries, perhaps none
---@param more boolean whether the log had more than these
---@param state table|nil of parse(); nil: the entry `after` is still there
---@return table verdict index: of the batch's last entry; gap; reset; restart:
---  the page is to be dropped, and the log read from its beginning
function M.judge(known, after, batch, more, state)
  local index = known.index
  if not state then return { index = index and index + #batch } end

  local first = batch[1]
  if not first then
    if core.id_compare(state.last, after) < 0 then
      return { reset = reset_kind(state, known.first, after), restart = true }
    end
    -- Equal: the end. Higher: what came is gone again, and the next page that
    -- has entries will count it.
    if state.last == after and state.added then index = state.added end
    return { index = index }
  end

  local oldest = state.first
  local trimmed = not oldest or core.id_compare(oldest, after) > 0
  local at = index_of_first(batch, more, state)
  local certain = state.added and
    core.id_compare(state.deleted or "0-0", after) <= 0
  -- Where nothing up to `after` was trimmed, the batch joins it.
  local joined = not trimmed and index and index + 1
  local start = certain and at or joined
  local verdict = { index = start and start + #batch - 1 or nil }
  if known.beginning then return verdict end

  if at and index and at <= index then
    -- Numbers that were given out before: another log under the same name.
    verdict.reset = "recreated"
    verdict.restart = not (trimmed and first.id == oldest)
    return verdict
  end
  if not trimmed then return verdict end
  local missed = certain and at and index and at - 1 - index
  local never_lost = state.added == state.length and
    (state.deleted or "0-0") == "0-0"
  if missed == 0 or (not missed and state.added and never_lost) then
    return verdict
  end
  verdict.gap = { after = after, before = first.id, missed = missed or nil }
  return verdict
end

return M
