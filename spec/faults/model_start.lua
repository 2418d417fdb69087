--- Whether a follower began right: at the beginning of its log, at the last n
--- entries, or at an id. Does no I/O. `from` is a position that the server had surely
--- passed when the follower was made; `now` is one that it had surely not passed when
--- the first batch had come.

local batches = require "spec.faults.model_batch"
local truths = require "spec.faults.truth"

local index_at, before = truths.index_at, truths.before
local gone = batches.gone

local M = {}

--- Whether an entry lies before an id that a life begins at.
local function is_before_start(life, id)
  return life.id and (before(id, life.id) or life.start == "after" and id == life.id)
end

--- More entries than were wanted: of those that were there all the time.
local function excess(epoch, first, limit, from, now)
  local there = 0
  for index = first, limit and index_at(epoch, from) or 0 do
    if not gone(epoch, index, now) then there = there + 1 end
  end
  if there > (limit or 0) then
    return "excess", string.format("it began %d entries before the end, and not %d", there,
      limit)
  end
end

--- Whether the log's last id lay before an id between two positions: always, and
--- ever.
local function beyond_the_end(epochs, id, from, now)
  local always, ever, alive_since = true, false, from
  local function moment(last)
    local is_beyond = before(last, id)
    always, ever = always and is_beyond, ever or is_beyond
  end
  local function last_at(epoch, pos)
    local entry = epoch.entries[index_at(epoch, pos)]
    return entry and entry.id or "0-0"
  end
  for _, epoch in ipairs(epochs) do
    if epoch.born < now and epoch.died > from then
      if epoch.born > alive_since then moment("0-0") end
      moment(last_at(epoch, math.max(from, epoch.born)))
      moment(last_at(epoch, math.min(now, epoch.died) - 1))
      alive_since = epoch.died
    end
  end
  if alive_since < now then moment("0-0") end
  return always, ever
end

--- Whether between two positions the log cannot have had the entry with an id, since
--- newer ones are there and nothing was ever taken out: always, and ever.
local function refuted(epochs, id, from, now)
  local always, ever, alive_since = id ~= "0-0", false, from
  for _, epoch in ipairs(epochs) do
    if id ~= "0-0" and epoch.born < now and epoch.died > from then
      always = always and epoch.born <= alive_since and not epoch.by_id[id]
      alive_since = epoch.died
      -- When the first newer one came; when the first one was taken out.
      local newer, removed = math.huge, math.huge
      for _, entry in ipairs(epoch.entries) do
        if before(id, entry.id) then newer = math.min(newer, entry.pos) end
      end
      for _, each in pairs(epoch.removed) do removed = math.min(removed, each.pos) end
      local since = math.max(from, epoch.born, newer)
      always = always and newer <= from and removed >= now
      ever = ever or not epoch.by_id[id] and since < removed and since < now and
        since < epoch.died
    end
  end
  return always and alive_since >= now, ever
end

--- Whether an entry older than the one with an id is there all the time: then nothing
--- behind that was trimmed.
local function has_older(epoch, id, now)
  for index, entry in ipairs(epoch.entries) do
    if not before(entry.id, id) then return false end
    if not gone(epoch, index, now) then return true end
  end
  return false
end

--- A first batch that has entries, if it was read from an epoch.
---@param life spec.Life
---@param epoch spec.Epoch
---@param epochs spec.Epoch[]
---@param batch spec.Batch
---@param from integer
---@param now number
---@return string? rule
---@return string? what
function M.with_entries(life, epoch, epochs, batch, from, now)
  if batch.reset and life.id and not select(2, beyond_the_end(epochs, life.id, from, now)) then
    return batches.begins(epoch, batch, now, life.max_length)
  end
  local limit = life.start ~= "after" and life.max_length or nil
  if life.start == "n" then limit = math.min(life.n, limit or life.n) end
  local newest = index_at(epoch, now - 1)
  local first = batches.index_of_first(epoch, batch)
  local rule, what = batches.loss(epoch, 1, first - 1, batch, now,
    function(entry)
      return batch.reset or -- then it goes on from the end
        is_before_start(life, entry.id) or
        limit and entry.index <= newest - limit or
        gone(epoch, entry.index, now) and (not life.id or limit or life.id == "0-0")
    end)
  if rule or batch.reset then return rule, what end
  if is_before_start(life, batch.entries[1].id) then
    return "twice", batch.entries[1].id .. " comes before the beginning, " .. life.id
  end
  rule, what = excess(epoch, first, limit, from, now)
  if rule then return rule, what end
  -- Behind an id whose entry is not there, no server can tell a gap from none; unless
  -- an older one is, and that one was deleted.
  local at = epoch.by_id[life.id]
  local unsure = life.id and not (at and not gone(epoch, at.index, now)) and
    not (at and has_older(epoch, life.id, now))
  return batches.gap(epoch, batch, now, unsure)
end

--- Where a follower may be after an empty first batch: at the log's end.
---@return spec.Place[]
function M.places_at_end(life, epochs, from, now)
  local places, alive_since, none = {}, from, life.expires
  for _, epoch in ipairs(epochs) do
    if epoch.born < now and epoch.died > from then
      none = none or epoch.born > alive_since
      alive_since = epoch.died
      places[#places + 1] = {
        epoch = epoch, low = index_at(epoch, from),
        high = index_at(epoch, math.min(now, epoch.died) - 1),
      }
    end
  end
  if none or alive_since < now then places[#places + 1] = { low = 0, high = 0 } end
  return places
end

--- An empty first batch: none of the entries that were there all the time should
--- have been in it.
function M.without_entries(life, batch, epochs, from, now)
  if life.expires or batch.reset or life.n == 0 then return end
  for _, epoch in ipairs(epochs) do
    if epoch.born <= from and epoch.died >= now then
      return batches.loss(epoch, 1, index_at(epoch, from), batch, now, function(entry)
        return gone(epoch, entry.index, now) or is_before_start(life, entry.id)
      end)
    end
  end
end

--- Whether a first batch says rightly that the id is beyond the log's end, or that the
--- log cannot have had it; or, of any follower, that the log was another one when it
--- was read than when it was looked at.
function M.reset(life, batch, epochs, from, now)
  local changed = false
  for _, epoch in ipairs(epochs) do
    changed = changed or epoch.born > from and epoch.born < now
  end
  if not life.id then
    if batch.reset and not changed then return "reset", "a reset at the beginning" end
    return
  end
  local always, ever = beyond_the_end(epochs, life.id, from, now)
  local always_refuted, ever_refuted = refuted(epochs, life.id, from, now)
  ever = ever or ever_refuted
  if life.expires then -- it may be out of sight before it is gone
    ever = true
  end
  if batch.reset and not (ever or changed) then
    return "reset", "a reset at the beginning, and " .. life.id .. " is not beyond the end"
  elseif not batch.reset and always then
    return "reset", "no reset, and " .. life.id .. " is beyond the log's end"
  elseif not batch.reset and always_refuted and not life.expires then
    return "reset", "no reset, and the log cannot have had " .. life.id
  end
end

return M
