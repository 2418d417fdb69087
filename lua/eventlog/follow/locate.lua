--- Finds where a tailer begins to read: the part of a tailer (tailer.lua) that comes
--- before the first page. Does no I/O.
---
---   last   asks for the log's state, and for the last entries: if all that are wanted
---          fit into one batch, they are that batch
---   back   counts back from there, page by page, to the oldest entry that is wanted
---   place  asks for the log's state only: whether the id to begin at lies beyond the
---          log's end, or was never in this log

local continuity = require "eventlog.follow.continuity"
local core = require "eventlog.core"
local knowledge = require "eventlog.follow.known"

local compare = core.id_compare

local Locate = {}
Locate.__index = Locate
Locate.__name = "eventlog.Locate"

local M = {}

---@class eventlog.Start where a reader begins
---@field limit integer? with the last so many entries, at most
---@field after string? with those after this id
---@field id string? the id that the caller gave
---@field claim string? the same if it names an entry, and not a point in time

---@param log eventlog.TailedLog
---@param start eventlog.Start
---@param first boolean whether no batch was delivered yet
function M.new(log, start, first)
  return setmetatable({
    log = log,
    start = start,
    first = first,
    state = start.limit and "last" or "place",
    was = nil, -- the log's state, once it is known
    count = 0, -- entries that were counted, in "back"
    oldest = nil, -- id of the oldest one of them
    -- What was found, once take() says "begin" or "first":
    position = nil, -- the first page is asked for after this id
    known = nil, ---@type eventlog.Known
    more = true, -- whether the log may go on behind that
    batch = nil, -- what to deliver before
    beyond = nil, -- the reset to report: the caller's id is beyond the log's end
    reset = nil, -- what happened to the log that the caller's id is of
    is_empty = false, -- whether there was nothing to locate
  }, Locate)
end

--- How many of the last entries to ask for: one more than a batch has shows whether
--- all fit into one.
local function to_take(self)
  local size = self.log.size
  local most = size.single and 1 or size.limit + 1
  return math.max(1, math.min(self.start.limit, most))
end

--- How many to count back by; with the oldest entry that was counted, which begins
--- the page.
local function to_count(self)
  local size = self.log.size
  if size.single then return 1 end
  return math.min(self.start.limit - self.count, size.limit) + 1
end

---@param request userdata
---@return table question
function Locate:ask(request)
  local log, start = self.log, self.start
  if self.state == "place" then
    local id = start.claim or start.after or "0-0"
    return { probe = "full", replies = log.probe:ask(request, id, "full") }
  elseif self.state == "last" then
    local replies = log.probe:ask(request, start.claim or "0-0", "full")
    -- No entry is looked at if none is wanted.
    if start.limit == 0 then return { probe = "full", replies = replies } end
    request:command("XREVRANGE", log.name, "+", "-", "COUNT", to_take(self))
    return { probe = "full", replies = replies + 1 }
  end
  local from = self.oldest
  if log.size.single then from = core.id_prev(from) or "0-0" end
  request:command("XREVRANGE", log.name, from, "-", "COUNT", to_count(self))
  return { replies = 1 }
end

--- What a first batch has to say of the id that the caller gave: that it is beyond the
--- log's end.
local function reset_beyond(self, state)
  local id = self.start.id
  if id and compare(id, state.last) > 0 then
    return state.last == "0-0" and "recreated" or "rewound"
  end
end

--- Begins at the id that the caller gave, or at the log's end if that lies before it;
--- without an id at the log's beginning.
local function begin_at_id(self, state)
  local after = self.start.after
  self.beyond = reset_beyond(self, state)
  if not after then
    self.position, self.known = "0-0", knowledge.at_beginning(state)
  elseif compare(after, state.last) >= 0 then
    self.position, self.known = state.last, knowledge.at_end(state)
  else
    self.position = after
    self.known = knowledge.at_start(state, after, self.start.claim)
  end
  return "begin"
end

--- The log's state has come. Returns it, or nil, kind, why.
local function take_state(self, question, reply, decoder)
  local state, failure, why = self.log.probe:take(question, reply, decoder)
  if not state then return nil, failure, why end
  self.was = state
  local claim = self.start.claim
  local reset = claim and continuity.refutes(state, claim)
  if reset then -- it is read from its beginning; with max_length, as tail() would
    self.reset, self.start = reset, { limit = self.log.max_length }
  end
  return state
end

--- The last entries, newest first, as a batch: those after an id, if any.
local function batch_of(newest_first, after)
  local batch = {}
  for _, entry in ipairs(newest_first) do
    if after and compare(entry.id, after) <= 0 then break end
    batch[#batch + 1] = entry
  end
  core.reverse(batch)
  return batch
end

--- How many of the entries came after the state was taken.
local function count_newer(newest_first, state)
  local newer = 0
  for i, entry in ipairs(newest_first) do
    if compare(entry.id, state.last) <= 0 then break end
    newer = i
  end
  return newer
end

--- All that are wanted are there: they are the first batch, and reading goes on behind
--- the newest one; or at the log's end if that has none.
local function begin_behind(self, newest, newest_first)
  local state = self.was
  self.position, self.known = state.last, knowledge.at_end(state)
  if newest and compare(newest, state.last) > 0 then
    local newer = math.max(1, count_newer(newest_first, state))
    self.position, self.known = newest, knowledge.behind_new(state, newer)
  end
  self.known.first = state.first or newest
  self.batch, self.more = batch_of(newest_first, self.start.after), false
  self.beyond = reset_beyond(self, state)
  return "first"
end

local take = {}

function take.place(self, question, reply, decoder)
  local state, failure, why = take_state(self, question, reply, decoder)
  if not state then return "broken", failure, why end
  if self.start.limit then -- since the log is another one
    self.state, self.was = "last", nil
    return "next"
  end
  return begin_at_id(self, state)
end

function take.last(self, question, reply, decoder)
  local failure, why
  local state = self.was
  if not state then
    state, failure, why = take_state(self, question, reply, decoder)
    if not state then return "broken", failure, why end
    return self.start.limit == 0 and begin_behind(self, nil, {}) or "more"
  end
  local start, log, asked = self.start, self.log, to_take(self)
  local after, size = start.after, log.size
  local count, oldest, newest = decoder:page("range", asked)
  if not count then return "broken", oldest, newest end
  if count == 0 and not self.first then
    self.is_empty, self.more = true, false
    self.position, self.known = "0-0", knowledge.at_beginning()
    return "begin"
  end
  if after and state.length <= start.limit then -- which hides nothing
    return begin_at_id(self, state)
  end
  local all_fit = count <= size.limit and (count < asked or asked >= start.limit)
  if count > 0 and not all_fit and not (after and compare(newest, after) <= 0) then
    self.state, self.count, self.oldest = "back", count, oldest
    return "next"
  end
  local newest_first
  newest_first, failure, why = decoder:entries("range", 0, start.limit, nil,
    log.fields == "pairs")
  if not newest_first then return "broken", failure, why end
  return begin_behind(self, newest, newest_first)
end

--- The page begins with the entry that was the oldest so far, unless that was deleted,
--- or a page may have a single entry only. If there is no page, the log was trimmed
--- past it.
function take.back(self, _, _, decoder)
  local asked, after, limit = to_count(self), self.start.after, self.start.limit
  local count, oldest, newest = decoder:page("range", asked)
  if not count then return "broken", oldest, newest end
  if count > 0 then
    self.count = self.count + count - (newest == self.oldest and 1 or 0)
    self.oldest = oldest
    if count == asked and self.count < limit and
      not (after and compare(oldest, after) <= 0) then
      return "next" -- once more
    end
  end
  self.position = core.id_prev(self.oldest) or "0-0"
  if after and compare(self.position, after) < 0 then self.position = after end
  self.known = knowledge.at_beginning(self.was)
  return "begin"
end

--- Makes of a reply: "more" of them are to come; ask what comes "next"; "begin" to
--- read; deliver the "first" batch, and then begin; or "broken", kind, why: it is not
--- what the command answers.
function Locate:take(question, reply, decoder)
  return take[self.state](self, question, reply, decoder)
end

return M
