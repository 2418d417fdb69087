--- Reads a log in pages, so that a log of any size is read without stalling the
--- server; and exactly, whatever is added, trimmed and deleted meanwhile: the
--- result is the log as it stood at one moment.
---
--- A single page is that by itself. In front of several pages the reader asks
--- where the log stands: that is the moment. What is added later has higher ids,
--- and is left out. What is taken out later, behind what was read, was there at
--- the moment. So the only fault can be that an entry is missing which was taken
--- out before it was read:
---
--- - of the whole log, as many entries as it had at the moment are all of them;
--- - of a part, none is missing if the state behind the last page tells that none
---   was taken out at all, or none of that part. (Before Redis 7 a state tells
---   only whether the log has become shorter.)
---
--- Otherwise the read starts over. Each page begins with the last entry of the
--- page before it: if that is gone or another one, then the log was trimmed past
--- it or made anew, which shows early.
---
--- self is the reader. A function that returns nil or false without an error says
--- that the read is to start over.

local core = require "eventlog.core"
local moment = require "eventlog.log.moment"
local page = require "eventlog.log.page"

local compare = core.id_compare

local M = {}

-- After so many attempts the log changes faster than it can be read: then all is
-- read in one page, and the server has to bear that.
local ATTEMPTS = 5

--- Drops what is beyond an id.
local function cut(entries, stop)
  for i = #entries, 1, -1 do
    if compare(entries[i].id, stop) <= 0 then break end
    entries[i] = nil
  end
end

--- Those from an index on.
local function from_index(entries, first)
  if first <= 1 then return entries end
  local kept = {}
  for i = first, #entries do kept[#kept + 1] = entries[i] end
  return kept
end

--- Begins an attempt: takes the replies that are still due from the last one.
local function begin(self)
  self.state, self.asked_by = nil, nil
  while self.connection.owed > 0 do
    local kind, err = self.connection:reply()
    if not kind then return nil, err end
  end
  return true
end

--- Sends the question for the state behind the last page.
local function send_for_state(self)
  if self.alone then return true end
  return self:send(self:want_state())
end

--- Takes it.
local function state_after(self)
  if self.asked_by then return page.unless_refused(self:take_state()) end
  return page.unless_refused(self:get_state())
end

--- Whether what was read from an id on is what was there at the moment.
local function is_right(self, entries, from)
  local before = self.state
  if moment.is_all(before, from) then return #entries == before.length end
  local after, err = state_after(self)
  if not after then return nil, err end
  local whole = after.first and compare(after.first, from) <= 0
  return moment.is_untouched(before, after, from, whole)
end

--- One attempt at reading forwards. If `careful`, the state is asked for in front
--- of the first page; else in front of the second one, so that a log of one page
--- costs no question.
local function attempt_forwards(self, from, size, careful)
  local ok, err = begin(self)
  if not ok then return nil, err end
  local entries, is_first, overlap = {}, true, self.alone and 0 or 1
  local asked
  asked, err = page.send_for(self, careful, "XRANGE", from, "+", size)
  while asked do
    local count, first, last = page.take(self, asked)
    if not count then return nil, first end
    local skip, state = 0, self.state
    if not is_first then
      skip = overlap
      if not careful and not moment.stands(state, entries[1].id) then return nil end
      if skip > 0 then
        ok, err = page.joins(self, entries[#entries])
        if not ok then return nil, err end
      end
    elseif count < asked then
      ok, err = page.append(self, entries, 0)
      return ok and entries, err
    end
    local start = last and (overlap > 0 and last or core.id_next(last))
    local at_end = count < asked or not start or
      state ~= nil and compare(last, state.last) >= 0
    local function go_on()
      if at_end then
        return not state or moment.is_all(state, from) or send_for_state(self)
      end
      return page.send_for(self, is_first and not careful, "XRANGE", start,
        state and state.last or "+", size + overlap)
    end
    asked, err = page.append_and(self, entries, skip, go_on)
    if not asked then return nil, err end
    is_first = false
    if at_end then
      if not state then return nil end
      cut(entries, state.last)
      ok, err = is_right(self, entries, from)
      return ok and entries, err
    end
  end
  return nil, err
end

--- All entries from an id on, oldest first.
---@param from string id
---@return table[]|nil entries
---@return eventlog.Error? err
function M.forwards(self, from)
  self.has_entries = true
  for attempt = 1, ATTEMPTS do
    local entries, err = attempt_forwards(self, from, self.page_size, attempt > 1)
    if entries then return entries end
    if err then return nil, err end
  end
  self.whole = true
  return attempt_forwards(self, from, page.WHOLE)
end

--- One attempt at reading the last `limit` entries, newest first; in one page if
--- size allows that, else of a log that had more of them in the state `before`.
local function attempt_backwards(self, limit, size, before)
  local entries, is_first, overlap = {}, true, self.alone and 0 or 1
  local left = limit
  local asked, err = page.send_for(self, false, "XREVRANGE", "+", "-",
    math.min(size, left))
  while asked do
    local count, first, last = page.take(self, asked)
    if not count then return nil, first end
    local ok
    local skip = is_first and 0 or overlap
    if skip > 0 then
      ok, err = page.joins(self, entries[#entries])
      if not ok then return nil, err end
    end
    left = left - (count - skip)
    local start = last and (overlap > 0 and last or core.id_prev(last))
    local at_end = count < asked or left == 0 or not start
    local function go_on()
      if at_end then return not before or send_for_state(self) end
      return page.send_for(self, false, "XREVRANGE", start, "-",
        math.min(size, left) + overlap)
    end
    asked, err = page.append_and(self, entries, skip, go_on)
    if not asked then return nil, err end
    is_first = false
    if at_end and before then
      local after
      after, err = state_after(self)
      if not after then return nil, err end
      ok = left == 0 and moment.is_untouched(before, after, entries[limit].id, true)
      return ok and entries
    elseif at_end then
      return entries
    end
  end
  return nil, err
end

--- One attempt at reading the last `limit` entries, in several pages.
local function attempt_last(self, limit)
  local before, err = page.unless_refused(self:get_state())
  if not before then return nil, err end
  local entries
  if before.length > limit then
    entries, err = attempt_backwards(self, limit, self.page_size, before)
    return entries and core.reverse(entries), err
  end
  entries, err = attempt_forwards(self, "0-0", self.page_size, true)
  return entries and from_index(entries, #entries - limit + 1), err
end

--- The last `limit` entries, oldest first.
---@param limit integer
---@return table[]|nil entries
---@return eventlog.Error? err
function M.last(self, limit)
  self.has_entries = true
  local entries, err
  if limit > self.page_size then
    for _ = 1, ATTEMPTS do
      local ok
      ok, err = begin(self)
      if not ok then return nil, err end
      entries, err = attempt_last(self, limit)
      if entries then return entries end
      if err then return nil, err end
    end
    self.whole = true
  end
  local ok
  ok, err = begin(self)
  if not ok then return nil, err end
  entries, err = attempt_backwards(self, limit, page.WHOLE)
  return entries and core.reverse(entries), err
end

--- Those of the last `limit` entries that are not older than an id.
---@param limit integer
---@param from string id
function M.last_from(self, limit, from)
  local entries, err = M.last(self, limit)
  if not entries then return nil, err end
  local first = 1
  while entries[first] and compare(entries[first].id, from) < 0 do
    first = first + 1
  end
  return from_index(entries, first)
end

return M
