--- Judges what a follower was handed in its life, batch by batch, against the
--- truth. Does no I/O. Since some epochs of a log share entries, it keeps all the
--- places where the follower may be: a batch is right if it follows from one.

local batches = require "spec.faults.model_batch"
local starts = require "spec.faults.model_start"
local truths = require "spec.faults.truth"

local index_at, before = truths.index_at, truths.before

local M = {}

---@class spec.Life
---@field follower string who
---@field log string
---@field start "all"|"n"|"after"|"from"
---@field n integer? of start "n"
---@field id string? of starts "after" and "from"
---@field max_length integer?
---@field expires boolean? whether the log has a TTL
---@field started number before the follower was made
---@field batches spec.Batch[]
---@field failed { kind: string, code: string, message: string, time: number }?
---  what ended it

local function count(counts, name, n)
  counts[name] = (counts[name] or 0) + n
end

local Judge = {}
Judge.__index = Judge

function Judge:complain(rule, what)
  table.insert(self.violations, {
    rule = rule, what = what, log = self.life.log, who = self.life.follower,
    time = self.time,
  })
end

--- Ids only go up, but for a reset.
local function check_order(batch, last)
  for _, entry in ipairs(batch.entries) do
    if last and not before(last, entry.id) then
      local rule = last == entry.id and "twice" or "order"
      return rule, entry.id .. " came after " .. last
    end
    last = entry.id
  end
end

--- Whether a batch that says it reached the log's end did so at a moment behind a
--- position.
local function check_caught_up(places, from, now)
  local ahead
  for _, place in ipairs(places) do
    local epoch = place.epoch
    if not epoch or epoch.died < now then return end
    ahead = nil
    for index = place.high + 1, index_at(epoch, from) do
      if not batches.gone(epoch, index, now) then
        ahead = epoch.entries[index]
        break
      end
    end
    if not ahead then return end
  end
  if ahead then return "caught_up", "it had caught up, and " .. ahead.id .. " was there" end
end

--- Whether a follower at a place cannot know how many entries were before it: it
--- has counted none, nor read all from the beginning; or missed deleted ones.
function Judge:is_unsure(place, epoch, now)
  return place.skipped or not place.counted and
    (self.life.start ~= "all" or batches.deleted_from(epoch, "0-0", now))
end

--- What is known at the place behind a batch, which followed from another one, if any.
function Judge:note(found, place, batch, now, sure)
  local epoch, at = found.epoch, found.low
  local goes_on = place and sure and not batch.reset
  -- Where more came, it was not counted; and of the last n, only where they end.
  local at_end = batch.caught_up and index_at(epoch, now - 1) == at and
    (place or self.life.start ~= "n")
  found.sure = found.sure or sure
  found.counted = found.counted or at_end or goes_on and place.counted
  found.skipped = found.skipped or
    goes_on and (place.skipped or batches.skips(epoch, place.low + 1, batch, now))
end

--- What is wrong with a batch after one place, or at the beginning.
function Judge:check(place, epoch, batch, now)
  local rule, what = batches.within(epoch, batch, now)
  if rule then return rule, what end
  if place then
    return batches.follows(place, epoch, batch, now, self:is_unsure(place, epoch, now),
      batches.was_another(place, self.epochs, self.asked, now), self.life.max_length)
  end
  return starts.with_entries(self.life, epoch, self.epochs, batch, self.from, now)
end

--- The places behind a batch with entries. Where there are none, why.
function Judge:next_places(batch, now)
  local places, rule, what = {}, nil, nil
  for _, epoch in ipairs(self.epochs) do
    if epoch.born < now and epoch.died > self.from and batches.has(epoch, batch) then
      local at = epoch.by_id[batch.entries[#batch.entries].id].index
      local found
      for _, place in ipairs(self.places or { false }) do
        local why, text = self:check(place, epoch, batch, now)
        if why and not (rule and what and place and place.epoch ~= epoch) then
          rule, what = why, text
        elseif not why then
          found = found or { epoch = epoch, low = at, high = at, exact = true }
          self:note(found, place, batch, now, text ~= "indistinguishable")
        end
      end
      places[#places + 1] = found
    end
  end
  return places, rule or "unknown", what or
    batch.entries[1].id .. " (" .. batch.entries[1].at .. ") ... were never there"
end

--- After a complaint: anywhere the batch may have come from.
function Judge:any_places(batch)
  local places = {}
  for _, epoch in ipairs(self.epochs) do
    local entry = epoch.by_id[batch.entries[#batch.entries].id]
    if entry then
      places[#places + 1] = { epoch = epoch, low = entry.index, high = entry.index }
    end
  end
  return #places > 0 and places or self.places
end

function Judge:take_entries(batch, now)
  local rule, what = check_order(batch, not batch.reset and self.last or nil)
  local places
  if not rule then places, rule, what = self:next_places(batch, now) end
  if places and #places > 0 then
    local sure = false
    for _, place in ipairs(places) do sure = sure or place.sure end
    if not sure then count(self.counts, "indistinguishable", 1) end
  else
    self:complain(rule, what)
    places = self:any_places(batch)
  end
  self.places = places
  self.last = batch.entries[#batch.entries].id
end

--- The first batch.
function Judge:begin(batch, now)
  local rule, what = starts.reset(self.life, batch, self.epochs, self.from, now)
  if not rule and #batch.entries == 0 then
    rule, what = starts.without_entries(self.life, batch, self.epochs, self.from, now)
  end
  if rule then self:complain(rule, what) end
  if #batch.entries == 0 then
    self.places = starts.places_at_end(self.life, self.epochs, self.from, now)
  end
  self.began = true
end

function Judge:take(batch)
  local truth = self.truth
  local now = truth:not_yet(batch.time)
  self.time = batch.time
  if not self.began then self:begin(batch, now) end
  if #batch.entries > 0 then self:take_entries(batch, now) end
  if batch.caught_up and self.places then
    local rule, what = check_caught_up(self.places, self.asked, now)
    if rule then self:complain(rule, what) end
  end
  -- The next page was asked for before this batch came, but after the last one.
  self.asked, self.came = self.came, truth:surely(batch.time)
end

-- Errors of a server that is there and says "not now", of a first connection.
local passing = { LOADING = true, BUSY = true, MASTERDOWN = true }

local function passes(failed)
  return failed.kind == "connection" or failed.kind == "server" and
    (passing[failed.code] or failed.message:find("max_number_of_clients", 1, true))
end

--- Judges a life. Adds to a list of violations, and to counts.
---@param truth table of truth.lua
---@param life spec.Life
---@param violations table[]
---@param counts table<string, integer>
function M.judge(truth, life, violations, counts)
  local from = truth:surely(life.started)
  local judge = setmetatable({
    truth = truth, life = life, violations = violations, counts = counts,
    epochs = truth.logs[life.log] or {}, from = from, asked = from, came = from,
    time = life.started,
    places = nil, -- until the first batch
    last = nil, -- id
  }, Judge)
  for _, batch in ipairs(life.batches) do
    count(counts, "delivered", #batch.entries)
    if batch.gap then count(counts, batch.gap.missed and "gaps" or "gaps_uncounted", 1) end
    if batch.reset then count(counts, batch.reset, 1) end
    judge:take(batch)
  end
  local failed = life.failed
  if failed then
    count(counts, "failed", 1)
    judge.time = failed.time
    if judge.began or not passes(failed) then
      judge:complain("ended", failed.kind .. " " .. failed.code .. " " .. failed.message)
    end
  end
end

return M
