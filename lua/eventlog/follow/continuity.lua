--- Whether what a follower reads joins what it handed out: finds gaps (entries
--- trimmed away before they were read) and resets (the log was deleted,
--- recreated or rolled back). Does no I/O: log_state.lua has the facts.
---
--- Behind each page comes a look at the log. Two kinds of facts judge it.
---
--- Ids: a log only grows at its end and is only trimmed at its beginning. So while
--- the entry before the page, or any older one, is still there, nothing behind it
--- was trimmed; and a log that begins with an older entry than it ever did is
--- another log.
---
--- Counts (Redis 7): `added`, how many entries the log was ever given, and
--- `removed`, how many of these are not there any more. Each entry has an index, the
--- value of `added` when it came. A follower that counts on from page to page misses
--- the entries that were deleted unread: its index is then too low, and never too
--- high. So it may know how many entries are missing at most, and if that is none,
--- no gap is told. XDEL leaves the highest id that it ever took: when that is not
--- above the id up to which the index was exact, it still is exact.
--- Counts begin with the log, or when a Redis before 7 hands it over to a later
--- one (a file, RESTORE, a replica): then `added` is the length, whatever was
--- removed until then. So counts are compared only with counts.

local core = require "eventlog.core"

local compare = core.id_compare

---@class eventlog.Known what a follower knows of the log up to where it is
---@field index integer? how many entries were added up to there, at least
---@field covered string? the id up to which the index has deleted ones behind there, too
---@field counted string? the last id up to which the server's counts told that
---@field entry boolean? whether it saw an entry there, and not just a last id
---@field claim string? id of an entry that the log had, as the caller says
---@field first string? id of the oldest entry when it first looked
---@field seen eventlog.State? of the log when it looked last
---@field level boolean? whether it had read all that there was then
---@field recent string[]? ids of the entries it handed out last, without counts
---@field beginning boolean? whether it begins there: nothing can be missing; `seen` is
---  of the log in which that place was found
---@field begins boolean? whether it begins behind that id, which `seen` is of

local M = {}

-- How many ids are kept of a log without counts.
local RECENT = 32

--- For a follower that goes back to what it handed out.
---@param known eventlog.Known
---@return eventlog.Known
function M.copy(known)
  return {
    index = known.index, covered = known.covered, counted = known.counted,
    entry = known.entry,
    claim = known.claim, first = known.first, seen = known.seen,
    recent = known.recent, beginning = known.beginning, level = known.level,
    begins = known.begins,
  }
end

--- What is known of a log that is read from where nothing is said of what came before.
---@param state eventlog.State? in which that place was found
---@return eventlog.Known
function M.at_beginning(state)
  return { beginning = true, seen = state }
end

--- What is known behind the log's end.
---@param state eventlog.State
---@return eventlog.Known
function M.at_end(state)
  return {
    index = state.added, counted = state.added and state.last,
    entry = state.newest == state.last, first = state.first, seen = state,
    level = state.added ~= nil,
  }
end

--- What is known behind an entry that came after the state was taken, with so
--- many that came since then, at least.
---@return eventlog.Known
function M.behind_new(state, newer)
  return {
    index = state.added and state.added + newer, entry = true, first = state.first,
    seen = state,
  }
end

--- What is known behind the id that a follower begins at.
---@param state eventlog.State with `gone` for the claim, or for the id where there is none
---@param after string
---@param claim string? the entry that was there, as the caller says
---@return eventlog.Known
function M.at_start(state, after, claim)
  local known = { first = state.first, seen = state, claim = claim, begins = true }
  if not claim then
    known.beginning = true -- nothing is said of what came before
  elseif not state.gone and claim == after then
    known.entry, known.claim = true, nil
    -- It is there, and so were all that were taken out before it.
    known.index = state.added and
      (compare(state.deleted, after) < 0 and state.removed or 0) + 1
  elseif state.added then
    known.index, known.covered = state.deleted == claim and 1 or 0, claim
  end
  return known
end

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

--- Whether XDEL has taken an entry behind a place, which did not come with the page
--- and is not in known.index: 1, or 0.
local function taken_behind(known, place, batch, state)
  local deleted = state.deleted
  if compare(deleted, place) <= 0 or
    known.covered and compare(deleted, known.covered) <= 0 then
    return 0
  end
  for _, entry in ipairs(batch) do
    if entry.id == deleted then return 0 end
  end
  return 1
end

--- The same behind `after`, but before the page's last entry.
local function taken_within(known, after, batch, state)
  if compare(state.deleted, batch[#batch].id) > 0 then return 0 end
  return taken_behind(known, after, batch, state)
end

--- The index of the page's last entry (of `after` where it has none): exactly, or
--- nil; and at most.
local function count_last(known, after, batch, more, state)
  local n, first = #batch, state.first
  local last = n > 0 and batch[n].id or after
  if not more and last == state.last then return state.added, state.added end
  -- What was deleted behind it is none of those up to it.
  local deleted = taken_behind(known, last, batch, state)
  if not first or compare(first, last) > 0 then
    -- All up to it are gone by now, and perhaps others.
    local most = state.removed - deleted
    return known.index == most - n and most or nil, most
  end
  if compare(state.deleted, first) < 0 then
    for i, entry in ipairs(batch) do
      if entry.id == first then
        local index = state.removed + 1 + n - i
        return index, index
      end
    end
  end
  if compare(first, after) <= 0 then return nil, state.added - deleted end
  return nil, state.added - math.max(0, state.length - n) - deleted
end

--- What is known behind the page.
local function advance(known, after, batch, state, exact)
  local n, first = #batch, state.first
  if n == 0 and not exact and state.added and not known.index and
    not known.beginning then
    return M.copy(known) -- counts that are new are taken up with entries
  end
  local last = n > 0 and batch[n].id or after
  local new = {
    first = known.first or first or n > 0 and batch[1].id or nil,
    seen = state, recent = known.recent,
  }
  if n == 0 then
    new.claim, new.beginning = known.claim, known.beginning
    new.entry = known.entry and not (state.added and state.gone)
  else -- it may have been taken out between the page and the look
    new.entry = last == state.newest or
      first and compare(first, last) <= 0 and compare(state.deleted, last) < 0
  end
  if exact then
    new.index, new.counted, new.covered = exact, last, n == 0 and known.covered or nil
  elseif not state.added then
    new.recent = {}
    for _, id in ipairs(known.recent or {}) do new.recent[#new.recent + 1] = id end
    for i = math.max(1, n - RECENT + 1), n do new.recent[#new.recent + 1] = batch[i].id end
    while #new.recent > RECENT do table.remove(new.recent, 1) end
  elseif known.beginning and n == 0 then
    -- It begins here, behind all that there was.
    local is_end = not state.newest or compare(state.newest, after) <= 0
    new.index, new.covered = is_end and state.added or state.removed, state.last
    new.counted = is_end and state.last or nil
  else
    new.index, new.covered = (known.index or 0) + n, known.covered
    if last == state.newest then
      -- What came behind it has been deleted, and is missed no more.
      new.index, new.covered = state.added, state.last
    end
    -- What was trimmed unread, if anything, is not in it.
    local trimmed = not first or compare(first, after) > 0
    new.counted = not (n > 0 and trimmed) and known.counted or nil
  end
  new.level = new.index ~= nil and new.index == state.added
  return new
end

--- Whether an older entry is there that was never handed out, though it would have
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
local function is_another_by_ids(known, state)
  local first, was_first = state.first, known.seen.first
  if not first then return false end
  if known.first and compare(first, known.first) < 0 then return true end
  return known.entry and state.gone and (was_first and compare(first, was_first) < 0 or
    is_foreign(known.recent, state.older))
end

--- Whether a state, and the page before it, are not of the log that was read up to
--- `after`: that what was handed out is not in it. What it lost behind that, or got
--- back (a failover did it), is of no matter.
local function is_another(known, after, batch, state, exact, most)
  local seen, n, first = known.seen, #batch, state.first
  if compare(state.last, n > 0 and batch[n].id or after) < 0 then return true end
  if not seen then return false end
  if not (state.added and seen.added) then return is_another_by_ids(known, state) end
  local index = known.index or 0
  local came = n > 0 and n + taken_within(known, after, batch, state) or 0 -- at least
  if most < index + came then return true end -- numbers that were given out before
  if n == 0 and exact and exact ~= index and known.counted and
    compare(state.deleted, known.counted) <= 0 and (first ~= seen.first or
    state.length ~= index - seen.removed or state.deleted ~= seen.deleted) then
    return true -- the last id is the same, and yet the log was given others
  end
  if state.removed == seen.removed and (known.entry and state.gone or
    known.level and (exact and exact ~= index + n or
    seen.first and first ~= seen.first)) then
    return true -- though nothing was taken out
  end
  if not (known.entry and state.gone and first) then return false end
  -- Or it begins with an older one than it did, and the last one is gone; or an older
  -- one is there, and that one is gone, though nothing took it.
  return seen.first and compare(first, seen.first) < 0 or
    compare(first, after) < 0 and compare(state.deleted, after) < 0
end

--- Whether a log is not the one any more that it was in the state before.
---@param gone boolean? whether that one's last id is gone
local function has_become_another(before, state, gone)
  state = setmetatable({ gone = gone }, { __index = state })
  local known, after = M.at_end(before), before.last
  local exact, most
  if state.added then exact, most = count_last(known, after, {}, false, state) end
  return is_another(known, after, {}, state, exact, most)
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
  if exact and known.counted and compare(state.deleted, known.counted) <= 0 then
    gap.missed = exact - n - index
  end
  return gap
end

--- How many entries the log has at least, behind a page of n, while nothing was
--- taken out since the last look; only where the server counts.
---@param known eventlog.Known
---@param n integer
---@return integer length
function M.least_length(known, n)
  return known.index - known.seen.removed + n
end

--- Counts on where the entry before a page of n is still there: nothing was lost.
---@param known eventlog.Known is changed
---@param n integer
function M.count_on(known, n)
  if n == 0 then return end
  known.index, known.entry, known.claim = known.index + n, true, nil
end

--- Judges a page, by the look behind it.
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
  if state.added then exact, most = count_last(known, after, batch, more, state) end
  local new = advance(known, after, batch, state, exact)
  local verdict = { known = new }
  if known.seen and (known.beginning or known.begins) then
    verdict.moved = has_become_another(known.seen, state,
      known.beginning and state.gone or false)
  end
  if known.beginning or verdict.moved then return verdict end
  local first = batch[1]
  if is_another(known, after, batch, state, exact, most) then
    verdict.reset = reset_kind(known, after, state)
    verdict.restart = not first or first.id ~= state.first
    new.first, new.recent = state.first, nil
    -- Else the index is of the log that was before; the batch is all that is known
    -- to be in this one.
    if not exact and (not first or batch[#batch].id ~= state.newest) then
      new.index = state.added and #batch or nil
      new.counted, new.covered, new.level = nil, nil, false
    end
  elseif first and known.seen then
    verdict.gap = find_gap(known, after, batch, state, exact, most)
  end
  return verdict
end

return M
