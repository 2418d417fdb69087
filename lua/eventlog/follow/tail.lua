--- Reads a log from a position on: the part of a tailer (tailer.lua) that reads what is
--- there, and then what comes. Behind each page it probes the log's state, by which
--- continuity.lua judges the page. Does no I/O.
---
---   page   the page that was asked for is to come
---   probe  the page has come, and its entries are tables; the probe is to come

local continuity = require "eventlog.follow.continuity"
local knowledge = require "eventlog.follow.known"

local Tail = {}
Tail.__index = Tail
Tail.__name = "eventlog.Tail"

local M = {}

-- An entry of at most so many bytes may be sent again, to see whether it is there.
local SMALL = 1000

---@param log eventlog.TailedLog
---@param position string the first page is asked for after this id
---@param known eventlog.Known of the log up to there
---@param more boolean whether the log may go on behind that; false: the server may wait
function M.new(log, position, known, more)
  return setmetatable({
    log = log,
    position = position,
    known = known,
    more = more,
    page = nil, -- the page that has come, in "probe"
    size = nil, -- bytes of the entry at the position, if it came in a page
    reread = false, -- whether the next page is asked for without a wait, although the
    -- log's end was reached
    idle = false, -- whether the last wait brought nothing
    suspicious = false, -- whether a quick probe will not do
  }, Tail)
end

--- Which probe goes behind a page. A log that is quiet is probed fully, since it may
--- have been made anew, just as long, with that very id.
local function probe_kind(self, single, follows)
  if self.more or self.reread or self.idle or self.suspicious or single or follows or
    not self.known.index_known_at then
    return "full"
  end
  local size = self.size
  return size and size <= SMALL and "plain" or "quick"
end

--- Appends the probe behind a page. Returns how many replies it has.
local function ask_probe(self, request, page)
  local known = self.known
  -- Of the place to begin at, it is asked whether that is still the log in which it was
  -- found.
  local begun = known.beginning and not self.page and known.seen
  return self.log.probe:ask(request, begun and begun.last or page.after, page.probe)
end

--- Appends a page, and a probe behind it.
---@param request userdata
---@param wait number? for how many seconds the server may wait for an entry
---@param follows boolean whether that comes behind a wait for the same
---@return table page the question
function Tail:ask(request, wait, follows)
  local log, size, after = self.log, self.log.size, self.position
  local block = wait and not (self.more or self.reread) and wait or nil
  local single = size.single
  local kind = probe_kind(self, single, follows)
  local alone = block and log.abilities.waits_alone or nil
  -- One more than a batch shows whether the batch reached the log's end.
  local replies = request:read(log.name, after, single and 1 or size.limit + 1,
    block and block * 1000, kind == "plain" and not alone)
  local page = {
    after = after,
    size = self.size, -- of the entry there
    limit = size.limit, -- how many of its entries are delivered
    single = single, -- it has one, and the probe tells whether there are more
    at_end = not self.more, -- whether it was asked for behind the log's end
    block = block, -- seconds that the server may wait before it answers
    alone = alone, -- the probe is to be asked for when the page has come, not before
    probe = kind,
    replies = replies, -- how many are to come
    more = nil, -- whether the log goes on behind it
    batch = nil,
    brings = nil, -- whether it has come, with entries
  }
  if kind ~= "plain" and not alone then
    page.replies = replies + ask_probe(self, request, page)
  end
  return page
end

--- Appends the probe of a page that was asked for alone.
function Tail:ask_behind(request)
  local page = self.page
  page.alone, page.block = nil, nil
  page.replies = ask_probe(self, request, page)
  return page
end

--- The page is good: what to deliver.
local function finish(self, page, gap, reset)
  local batch, size = page.batch, self.log.size
  local is_empty = batch[1] == nil
  -- If nothing came behind the log's end, nothing is said of it. A page that was asked
  -- for because the log went on may be empty, too: what was there is deleted.
  self.idle = is_empty and page.at_end
  if self.idle then return "next" end
  if size.too_many and not is_empty then size:grow(page.more) end
  if not page.more then batch.caught_up = true end
  return "batch", batch, gap, reset
end

--- A quick probe has found how long the log is, and the entry before the page. Was
--- something taken out, the page is read again, with a full probe behind it, and so are
--- the next ones, until all is well.
local function judge_length(self, page, length)
  self.page = nil
  if knowledge.count_on(self.known, #page.batch, length) then return finish(self, page) end
  self.position, self.size, self.more = page.after, page.size, false
  self.suspicious, self.reread = true, true
  return "reread"
end

--- A probe has found the state behind the page.
local function judge_state(self, page, state)
  local known, batch = self.known, page.batch
  local seen = known.seen
  self.page = nil
  if page.single and batch[1] then
    page.more = state.newest ~= batch[1].id
    self.more = page.more
  end
  local verdict = continuity.judge(known, page.after, batch, page.more, state)
  if verdict.moved then return "moved", state end
  if verdict.restart or verdict.reset and self.log.max_length then
    return "anew", state, verdict.reset
  end
  self.suspicious = seen ~= nil and seen.removed ~= state.removed
  self.known = verdict.known
  return finish(self, page, verdict.gap, verdict.reset)
end

--- What the probe makes of the page, or of what has come of the probe.
---@param found eventlog.State|integer|nil
local function conclude(self, page, found, failure, why)
  if not found then
    if failure == "error" then return "error" end
    if failure then return "broken", failure, why end
    return "more"
  end
  if page.probe == "plain" or type(found) == "number" then
    return judge_length(self, page, found)
  end
  return judge_state(self, page, found)
end

--- Makes the entries of the page that has come into tables, unless they are. Its reply
--- must still be at hand.
function Tail:build(decoder)
  local page = self.page
  if not page.batch then
    local batch, failure, why = decoder:entries("read", 0, page.limit, nil,
      self.log.fields == "pairs")
    if not batch then return "broken", failure, why end
    page.batch = batch
  end
  if page.alone then return "next" end
  if page.probe ~= "plain" then return "more" end
  return conclude(self, page, self.log.probe:take_at_hand(page, decoder))
end

--- The page has come.
local function take_page(self, page, decoder)
  local count, last, first, size, batch = decoder:page("read", page.limit,
    self.log.fields)
  if not count then return "broken", last, first end
  local more = not batch
  self.page, self.more, self.reread = page, more, false
  page.batch, page.more = batch, more
  if count > 0 then
    self.position, self.size, page.brings = last, size, true
    -- After a quick probe the page may have to be read again.
    if page.probe == "full" and not page.alone and not page.single then
      return "ahead", more
    end
  end
  return self:build(decoder)
end

--- Makes of a reply: "more" of them are to come; ask what comes "next"; the page "ahead"
--- may be asked for (more: the log goes on), then call build(); deliver a "batch", gap,
--- reset; "reread" the page; the place to begin at has "moved", the log is made "anew",
--- each with its state; the reply at hand is an "error"; or "broken", kind, why: it is
--- not what the command answers.
function Tail:take(page, reply, decoder)
  if not self.page then return take_page(self, page, decoder) end
  return conclude(self, page, self.log.probe:take(page, reply, decoder))
end

return M
