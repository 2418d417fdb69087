--- Whether what a reader reads joins what was delivered before: finds gaps (entries
--- trimmed away before they were read) and resets (the log was deleted, recreated or
--- rolled back). Does no I/O: log_state.lua has the facts, known.lua what was known.
---
--- Behind each page the log is probed. Two kinds of facts judge the page.
---
--- Ids: a log only grows at its end and is only trimmed at its beginning. So while
--- the entry before the page, or any older one, is still there, nothing behind it
--- was trimmed; and a log that begins with an older entry than it ever did is
--- another log.
---
--- Counts, of servers that count: known.lua.

local core = require "eventlog.core"
local knowledge = require "eventlog.follow.known"

local compare = core.id_compare
local taken_within = knowledge.taken_within

local M = {}

--- Whether a log cannot have had an entry that the caller says it had: it is
--- another one. Returns what happened to it.
---@param state eventlog.State with `gone` for the claim
---@param claim string
---@return "recreated"|"rewound"|nil reset
function M.refutes(state, claim)
  if state.gone and state.removed == 0 and compare(claim, state.last) < 0 then
    local older = state.first and compare(state.first, claim) < 0
    return older and "rewound" or "recreated"
  end
end

--- Whether an older entry is there that was never delivered, though it would have
--- been.
local function is_foreign(recent, id)
  if not recent or not recent[1] or not id or compare(id, recent[1]) < 0 then
    return false
  end
  for _, known_id in ipairs(recent) do
    if known_id == id then return false end
  end
  return true
end

--- The same of a log without counts.
local function was_replaced_by_ids(known, state)
  local first, was_first = state.first, known.seen.first
  if not first then return false end
  if known.first and compare(first, known.first) < 0 then return true end
  return known.entry and state.gone and (was_first and compare(first, was_first) < 0 or
    is_foreign(known.recent, state.older))
end

--- Whether a state, and the page before it, are not of the log that was read up to
--- `after`: that what was delivered is not in it. What it lost behind that, or got
--- back (a failover did it), is of no matter.
local function was_replaced(known, after, batch, state, exact, most)
  local seen, n, first = known.seen, #batch, state.first
  if compare(state.last, n > 0 and batch[n].id or after) < 0 then return true end
  if not seen then return false end
  if not (state.added and seen.added) then return was_replaced_by_ids(known, state) end
  local index = known.index or 0
  local came = n > 0 and n + taken_within(known, after, batch, state) or 0 -- at least
  if most < index + came then return true end -- numbers that were given out before
  if n == 0 and exact and exact ~= index and known.index_known_at and
    compare(state.deleted, known.index_known_at) <= 0 and (first ~= seen.first or
    state.length ~= index - seen.removed or state.deleted ~= seen.deleted) then
    return true -- the last id is the same, and yet the log was given others
  end
  if state.removed == seen.removed and (known.entry and state.gone or
    known.level and (exact and exact ~= index + n or
    seen.first and first ~= seen.first)) then
    return true -- though nothing was taken out
  end
  if not (state.gone and first) then return false end
  -- Or it begins with an older one than it did, and the last one is gone; or an older
  -- one is there, and that one is gone, though nothing ever took it.
  return known.entry and seen.first and compare(first, seen.first) < 0 or
    (known.entry or known.had) and compare(first, after) < 0 and
    compare(state.deleted, after) < 0
end

--- Whether a log is not the one any more that it was in the state before.
---@param gone boolean? whether that one's last id is gone
local function has_become_another(before, state, gone)
  state = setmetatable({ gone = gone }, { __index = state })
  local known, after = knowledge.at_end(before), before.last
  local exact, most
  if state.added then exact, most = knowledge.count_last(known, after, {}, false, state) end
  return was_replaced(known, after, {}, state, exact, most)
end

--- What became of a log that is another one now: rolled back if it still begins
--- with what was read, else made anew.
local function reset_kind(known, after, state)
  local first, seen = state.first, known.seen
  if not known.first or not first or compare(first, known.first) < 0 or
    compare(first, after) > 0 then
    return "recreated"
  end
  local is_later = seen and seen.first and compare(first, seen.first) > 0
  -- Then what was before it has been taken out.
  if is_later and state.removed and seen.removed and state.removed <= seen.removed then
    return "recreated"
  end
  return "rewound"
end

--- What is missing between `after` and the page, because it was trimmed; or nil.
local function find_gap(known, after, batch, state, exact, most)
  local claim, n = known.claim, #batch
  -- There may be no room for one.
  if claim == batch[1].id or core.id_next(after) == batch[1].id then return nil end
  local gap = { after = after, before = batch[1].id }
  local trimmed = not state.first or compare(state.first, after) > 0
  if not (state.added and known.seen.added) then
    local lost = claim and (claim ~= after or state.gone) or
      known.entry and state.gone
    -- Trimmed, deleted, or another log: nothing tells.
    return (trimmed or lost) and gap or nil
  end
  if not trimmed then
    -- An older entry is there, so that nothing behind it was trimmed; unless the
    -- log never had the one that the caller knows.
    return claim and compare(state.deleted, claim) < 0 and gap or nil
  end
  local index = known.index or 0
  if most - n - index - taken_within(known, after, batch, state) <= 0 then
    return nil
  end
  if exact and known.index_known_at and compare(state.deleted, known.index_known_at) <= 0 then
    gap.missed = exact - n - index
  end
  return gap
end

--- Judges a page, by the probe behind it.
---@param known eventlog.Known up to `after`
---@param after string id that the page was asked for after
---@param batch table[] its entries, perhaps none
---@param more boolean whether the log had more than these
---@param state eventlog.State with `gone` for `after`; while known.beginning, for
---  the last id of known.seen
---@return table verdict known: up to the batch's end; gap; reset; restart: the page
---  is to be dropped, and the log read from its beginning; moved: the page is to be
---  dropped, since the place to begin at was found in another log
function M.judge(known, after, batch, more, state)
  local exact, most
  if state.added then exact, most = knowledge.count_last(known, after, batch, more, state) end
  local new = knowledge.advance(known, after, batch, state, exact)
  local verdict = { known = new }
  if known.seen and (known.beginning or known.begins) then
    verdict.moved = has_become_another(known.seen, state,
      known.beginning and state.gone or false)
  end
  if known.beginning or verdict.moved then return verdict end
  local first = batch[1]
  if was_replaced(known, after, batch, state, exact, most) then
    verdict.reset = reset_kind(known, after, state)
    verdict.restart = not first or first.id ~= state.first
    new.first, new.recent = state.first, nil
    -- Else the index is of the log that was before; the batch is all that is known
    -- to be in this one.
    if not exact and (not first or batch[#batch].id ~= state.newest) then
      new.index = state.added and #batch or nil
      new.index_known_at, new.covered, new.level = nil, nil, false
    end
  elseif first and known.seen then
    verdict.gap = find_gap(known, after, batch, state, exact, most)
  end
  return verdict
end

return M
