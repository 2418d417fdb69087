--- Whether a follower's batch is right, if it came after a place and was read from
--- an epoch of the truth. Does no I/O.
---
--- A place is where a follower is: an epoch (nil: there was no log), and the index
--- of the last entry that it has seen there, somewhere from `low` to `high`; `exact`
--- where it was handed out, `counted` where the follower was at the log's end since
--- it began, and so could know how many entries the log ever had; `skipped` where
--- it passed deleted entries since then, and so may know too few.
---
--- `now` is the first position that the server had surely not passed when the batch
--- had come. Each check returns nil where all is well, or a rule and what broke it.

local truths = require "spec.faults.truth"

local before, index_at = truths.before, truths.index_at

local M = {}

---@class spec.Batch
---@field time number when next() had returned it
---@field entries { id: string, at: string }[]
---@field caught_up boolean?
---@field gap { after: string, before: string, missed: integer? }?
---@field reset string?

---@class spec.Place
---@field epoch spec.Epoch?
---@field low integer
---@field high integer
---@field exact boolean?
---@field counted boolean?
---@field skipped boolean?

--- Whether an entry may have been gone by then, and for that reason.
local function gone(epoch, index, now, why)
  local removed = epoch.removed[index]
  return removed and removed.pos < now and (not why or removed.why == why)
end
M.gone = gone

--- Whether the epoch has all entries of a batch, in this order.
---@param epoch spec.Epoch
---@param batch spec.Batch
function M.has(epoch, batch)
  local last = 0
  for _, entry in ipairs(batch.entries) do
    local known = epoch.by_id[entry.id]
    if not known or known.at ~= entry.at or known.index <= last then return false end
    last = known.index
  end
  return true
end

--- Whether a place, if it is at an index, is one in another epoch, too: the same
--- one, or one that was rolled back to a moment behind it.
local function joins(place, index, epoch)
  local from = place.epoch
  if not from or from == epoch then return true end
  return index > 0 and from.entries[index] == epoch.entries[index]
end

--- Whether there was no log for a moment: it was deleted, and that was rolled back.
---@param epochs spec.Epoch[]
---@param from integer
---@param now number
local function was_missing(epochs, from, now)
  for _, epoch in ipairs(epochs) do
    local died, followed = epoch.died, false
    if from < died and died < now then
      for _, other in ipairs(epochs) do
        followed = followed or other.born <= died and other.died > died
      end
      if not followed then return true end
    end
  end
  return false
end

--- Whether a follower at a place may have found another log there, or none, if only
--- for a moment.
---@param place spec.Place
---@param epochs spec.Epoch[]
---@param from integer
---@param now number
function M.was_another(place, epochs, from, now)
  local alive = 0
  for _, epoch in ipairs(epochs) do
    if epoch.born < now and epoch.died > from then
      alive = alive + 1
      if not joins(place, place.high, epoch) then return true end
    end
  end
  return not place.epoch and alive > 1 or was_missing(epochs, from, now)
end

--- Whether entries from an index up to the batch's last were deleted before they
--- could be handed out.
function M.skips(epoch, index, batch, now)
  local came = {}
  for _, entry in ipairs(batch.entries) do came[entry.id] = true end
  for i = index, epoch.by_id[batch.entries[#batch.entries].id].index do
    if gone(epoch, i, now, "deleted") and not came[epoch.entries[i].id] then return true end
  end
  return false
end

--- Whether any entry from an id on may have been deleted.
function M.deleted_from(epoch, id, now)
  for index, entry in ipairs(epoch.entries) do
    if not before(entry.id, id) and gone(epoch, index, now, "deleted") then return true end
  end
  return false
end

function M.index_of_first(epoch, batch)
  return epoch.by_id[batch.entries[1].id].index
end

--- The first of the entries from index `first` to `last` that is missing, and
--- neither deleted nor in the batch's gap nor excused(entry). As a broken rule.
local function loss(epoch, first, last, batch, now, excused)
  local gap = batch.gap
  for index = first, last do
    local entry = epoch.entries[index]
    local covered = gap and gone(epoch, index, now) and before(gap.after, entry.id) and
      before(entry.id, gap.before)
    if not covered and not gone(epoch, index, now, "deleted") and
      not (excused and excused(entry)) then
      return "loss", string.format("%s (%s) was not handed out", entry.id,
        tostring(entry.at))
    end
  end
end
M.loss = loss

--- Within a batch only what was deleted is missing: it was read in one go.
---@param epoch spec.Epoch
---@param batch spec.Batch
---@param now number
function M.within(epoch, batch, now)
  for i = 2, #batch.entries do
    local from = epoch.by_id[batch.entries[i - 1].id].index
    local to = epoch.by_id[batch.entries[i].id].index
    local rule, what = loss(epoch, from + 1, to - 1, { entries = {} }, now)
    if rule then return rule, what end
  end
end

--- Whether a gap is what is missing. The server may be unable to tell a gap from
--- none where `unsure` is set, where entries behind gap.after were deleted unread
--- (handed out and deleted, if more came before the probe behind the page), or where
--- the whole batch was trimmed away before that look: then it lies somewhere among all
--- that was.
---@param epoch spec.Epoch
---@param batch spec.Batch
---@param now number
---@param unsure boolean?
function M.gap(epoch, batch, now, unsure)
  local gap, missing, trimmed, deleted = batch.gap, 0, 0, false
  if not gap then return end
  if gap.before ~= batch.entries[1].id then
    return "gap", "a gap ends at " .. gap.before .. ", not at the batch"
  end
  local first = M.index_of_first(epoch, batch)
  local last = epoch.by_id[batch.entries[#batch.entries].id].index
  local settled = batch.caught_up and index_at(epoch, now - 1) == last
  local came = {}
  for _, entry in ipairs(settled and batch.entries or {}) do came[entry.id] = true end
  unsure = unsure or gone(epoch, last, now, "trimmed")
  for index = #epoch.entries, 1, -1 do
    local id = epoch.entries[index].id
    if not before(gap.after, id) then break end
    deleted = deleted or not came[id] and gone(epoch, index, now, "deleted")
    if index < first then
      missing = missing + 1
      if gone(epoch, index, now, "trimmed") then trimmed = trimmed + 1 end
    end
  end
  if gap.missed and gap.missed ~= missing then
    return "gap", string.format("a gap after %s says %d, and %d are missing", gap.after,
      gap.missed, missing)
  elseif not gap.missed and trimmed == 0 and not deleted and not unsure then
    return "gap", "a gap after " .. gap.after .. " where nothing was trimmed"
  end
end

--- Whether no server could tell, at any moment up to `now`, the epoch of the batch
--- from that of the place: the numbers of the entries go on, and all up to the
--- place's may have been trimmed; or that one was deleted, and what is there before
--- it is what was there (a log was rolled back).
local function indistinguishable(place, epoch, batch, now)
  local from = place.epoch
  local at = from.entries[place.low]
  if not at then return false end
  if place.counted and M.index_of_first(epoch, batch) <= place.low then
    -- As many were taken out as were read and are not of this log, and one more if XDEL
    -- shows one of them.
    local removed, deleted, shared = 0, 0, 0
    while shared < place.low and from.entries[shared + 1] == epoch.entries[shared + 1] do
      shared = shared + 1
    end
    for index, entry in ipairs(epoch.entries) do
      if gone(epoch, index, now) then removed = removed + 1 end
      if gone(epoch, index, now, "deleted") and before(at.id, entry.id) then deleted = 1 end
    end
    if removed < place.low - shared + deleted then return false end
  end
  if epoch.by_id[at.id] then return true end -- the very same id once more
  local deleted = M.deleted_from(epoch, at.id, now)
  for index, entry in ipairs(epoch.entries) do
    if not before(entry.id, at.id) then break end
    local known = deleted and from.by_id[entry.id] == entry
    if not known and not gone(epoch, index, now) then return false end
  end
  return true
end

--- A batch that begins a log that was made anew: with its beginning, or with the last
--- max_length entries.
---@param epoch spec.Epoch
---@param batch spec.Batch
---@param now number
---@param max_length integer?
function M.begins(epoch, batch, now, max_length)
  if batch.gap then return "gap", "a gap beside a reset" end
  if max_length and #batch.entries > max_length then
    return "excess", string.format("%d entries with a reset, and not %d", #batch.entries,
      max_length)
  end
  local hidden = max_length and index_at(epoch, now - 1) - max_length or 0
  return loss(epoch, 1, M.index_of_first(epoch, batch) - 1, batch, now, function(entry)
    return entry.index <= hidden or gone(epoch, entry.index, now)
  end)
end

--- A batch that came after a place. Returns nil and "indistinguishable" where that
--- is why it is right.
---@param place spec.Place
---@param epoch spec.Epoch
---@param batch spec.Batch
---@param now number
---@param unsure boolean? as for gap()
---@param was_another boolean
---@param max_length integer?
function M.follows(place, epoch, batch, now, unsure, was_another, max_length)
  local first = M.index_of_first(epoch, batch)
  if batch.reset then
    if joins(place, place.high, epoch) and not was_another then
      return "reset", "a reset, and the log is the same"
    end
    return M.begins(epoch, batch, now, max_length)
  elseif not joins(place, place.low, epoch) then
    if indistinguishable(place, epoch, batch, now) then
      local at = place.epoch.entries[place.low].id
      local rule, what = loss(epoch, 1, first - 1, batch, now, function(entry)
        return not before(at, entry.id) or gone(epoch, entry.index, now)
      end)
      return rule, what or "indistinguishable"
    end
    return "reset", string.format("no reset, and the log is another one: its life %d, " ..
      "and not %d", epoch.number, place.epoch.number)
  elseif first <= place.low then
    return "twice", batch.entries[1].id .. " was handed out before"
  end
  local rule, what = loss(epoch, place.high + 1, first - 1, batch, now)
  if rule then return rule, what end
  local gap = batch.gap
  if gap and place.exact and gap.after ~= epoch.entries[place.low].id then
    return "gap", "a gap begins at " .. gap.after .. ", not at the last entry"
  end
  return M.gap(epoch, batch, now, unsure)
end

return M
