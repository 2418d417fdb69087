--- What a reader knows of a log up to where it is, and how it learns more: from page to
--- page, and from the states that stand behind these. Does no I/O.
---
--- Counts (Redis 7): `added`, how many entries the log was ever given, and
--- `removed`, how many of these are not there any more. Each entry has an index, the
--- value of `added` when it came. A reader that counts on from page to page misses
--- the entries that were deleted unread: its index is then too low, and never too
--- high. So it may know how many entries are missing at most, and if that is none,
--- no gap is told. XDEL leaves the highest id that it ever took: when that is not
--- above the id up to which the index was exact, it still is exact.
--- Counts begin with the log, or when a Redis before 7 hands it over to a later
--- one (a file, RESTORE, a replica): then `added` is the length, whatever was
--- removed until then. So counts are compared only with counts.

local core = require "eventlog.core"

local compare = core.id_compare

---@class eventlog.Known what a reader knows of the log up to where it is
---@field index integer? how many entries were added up to there, at least
---@field covered string? the id up to which the index has deleted ones behind there, too
---@field index_known_at string? the last id up to which the server's counts told that
---@field entry boolean? whether it saw an entry there, and not just a last id
---@field had boolean? whether it ever did, though that may have been taken out since
---@field claim string? id of an entry that the log had, as the caller says
---@field first string? id of the oldest entry when it was first probed
---@field seen eventlog.State? of the log when it was probed last
---@field level boolean? whether it had read all that there was then
---@field recent string[]? ids of the entries that were delivered last, without counts
---@field beginning boolean? whether it begins there: nothing can be missing; `seen` is
---  of the log in which that place was found
---@field begins boolean? whether it begins behind that id, which `seen` is of

local M = {}

-- How many ids are kept of a log without counts.
local RECENT = 32

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
    index = state.added, index_known_at = state.added and state.last,
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

--- What is known behind the id that a reader begins at.
---@param state eventlog.State with `gone` for the claim, or for the id if there is none
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

--- Counts on over a page of n entries, if the entry before it is still there and the log
--- is so long that nothing can have been taken out since the last state.
---@param known eventlog.Known is changed; index_known_at must be set
---@param n integer
---@param length integer of the log
---@return boolean whether it is so
function M.count_on(known, n, length)
  local index = known.index + n
  if length < index - known.seen.removed then return false end
  if n > 0 then known.index, known.entry, known.claim = index, true, nil end
  return true
end

--- Whether XDEL has taken an entry behind a place, which did not come with the page
--- and is not in known.index: 1, or 0.
function M.taken_behind(known, place, batch, state)
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
function M.taken_within(known, after, batch, state)
  if compare(state.deleted, batch[#batch].id) > 0 then return 0 end
  return M.taken_behind(known, after, batch, state)
end

--- The index of the page's last entry (of `after` if it has none): exactly, or
--- nil; and at most.
function M.count_last(known, after, batch, more, state)
  local n, first = #batch, state.first
  local last = n > 0 and batch[n].id or after
  if not more and last == state.last then return state.added, state.added end
  -- What was deleted behind it is none of those up to it.
  local deleted = M.taken_behind(known, last, batch, state)
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

local function copy(known)
  local new = {}
  for key, value in pairs(known) do new[key] = value end
  return new
end

--- What is known behind the page.
function M.advance(known, after, batch, state, exact)
  local n, first = #batch, state.first
  if n == 0 and not exact and state.added and not known.index and
    not known.beginning then
    return copy(known) -- counts that are new are taken up with entries
  end
  local last = n > 0 and batch[n].id or after
  local new = {
    first = known.first or first or n > 0 and batch[1].id or nil,
    seen = state, recent = known.recent,
  }
  if n == 0 then
    new.claim, new.beginning = known.claim, known.beginning
    new.had = known.had or known.entry
    new.entry = known.entry and not (state.added and state.gone)
  else -- it may have been taken out between the page and the probe
    new.had = true
    new.entry = last == state.newest or
      first and compare(first, last) <= 0 and compare(state.deleted, last) < 0
  end
  if exact then
    new.index, new.index_known_at, new.covered = exact, last, n == 0 and known.covered or nil
  elseif not state.added then
    new.recent = {}
    for _, id in ipairs(known.recent or {}) do new.recent[#new.recent + 1] = id end
    for i = math.max(1, n - RECENT + 1), n do new.recent[#new.recent + 1] = batch[i].id end
    while #new.recent > RECENT do table.remove(new.recent, 1) end
  elseif known.beginning and n == 0 then
    -- It begins here, behind all that there was.
    local is_end = not state.newest or compare(state.newest, after) <= 0
    new.index, new.covered = is_end and state.added or state.removed, state.last
    new.index_known_at = is_end and state.last or nil
  else
    new.index, new.covered = (known.index or 0) + n, known.covered
    if last == state.newest then
      -- What came behind it has been deleted, and is missed no more.
      new.index, new.covered = state.added, state.last
    end
    -- What was trimmed unread, if anything, is not in it.
    local trimmed = not first or compare(first, after) > 0
    new.index_known_at = not (n > 0 and trimmed) and known.index_known_at or nil
  end
  new.level = new.index ~= nil and new.index == state.added
  return new
end

return M
