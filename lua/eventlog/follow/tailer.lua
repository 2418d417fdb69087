--- A tailer: where a reader is in a log, what it knows of the log, what it asks the
--- server next, and what a reply makes of it. It does no I/O, and knows no connection,
--- clock or client: a pump (pump.lua) sends what it asks for, and brings the replies. One
--- pump may serve many tailers.
---
--- Its states: three that locate where to begin (locate.lua), two that read (tail.lua):
---
---   with a limit --> last ---- all fit into one batch ---+
---                     | more than that                   |
---                     v                                  v
---                    back (page by page) -----------> page <--> probe
---                                                        ^        |
---   without one --> place -------------------------------+        |
---                                                                 v
---     the place to begin at was found in another log: last, or place
---     the log was made anew: page, from its beginning; with max_length, once it has
---     entries: last
---
--- probe leads back to page with a batch, with nothing new, or to read a page again.
--- restart() leads to page, behind the last batch that was delivered; or, if none was, to
--- the first state.
---
--- Each question that a tailer asks is a table. Questions are answered in the order in
--- which they are asked. A question that became useless is void, and its replies are
--- passed over: two waits for an entry were asked for, say, and the first one brought it.

local Error = require "eventlog.base.error"
local Locate = require "eventlog.follow.locate"
local Probe = require "eventlog.follow.probe"
local PageLimit = require "eventlog.follow.page_limit"
local Tail = require "eventlog.follow.tail"
local batches = require "eventlog.follow.batch"
local knowledge = require "eventlog.follow.known"

---@class eventlog.TailedLog what the parts of a tailer know of its log: name; its
---  settings max_length, fields, on_gap; abilities of the servers that have it; probe
---  (probe.lua); size (page_limit.lua), how many entries to ask for at a time

---@class eventlog.Question
---@field replies integer how many of its replies are to come
---@field block number? for how many seconds the server may wait before the first one
---@field epoch integer the tailer's when it was asked

---@class eventlog.Tailer
local Tailer = {}
Tailer.__index = Tailer
Tailer.__name = "eventlog.Tailer"

local M = {}

---@param name string of the log
---@param start eventlog.Start where the caller wants to begin
---@param settings table of the log: batch_size, max_length, fields, on_gap
---@param abilities eventlog.Abilities what was found out about the servers
---@return eventlog.Tailer
function M.new(name, start, settings, abilities)
  local self = setmetatable({
    log = {
      name = name, max_length = settings.max_length, on_gap = settings.on_gap,
      fields = settings.fields, abilities = abilities,
      probe = Probe.new(name, abilities), size = PageLimit.new(settings.batch_size),
    },
    origin = start,
    start = start, -- the same, or the beginning of a log that was made anew
    delivered = nil, -- where the last batch ended that was delivered; nil: none was
    part = nil, -- Locate or Tail: where it is now
    anew = nil, -- the log is another one than before: reset, to be reported with the next
    -- batch that has entries; relocates: whether its last max_length entries are to be
    -- found once it has some. Never changed, but replaced
    beyond = nil, -- reset to be reported with the next batch
    epoch = 0, -- questions of earlier ones are void
    newest = nil, -- the question that was asked last
  }, Tailer)
  self:restart()
  return self
end

--- The state's name.
function Tailer:state()
  local part = self.part
  return part.state or part.page and "probe" or "page"
end

--- Whether something is asked for that is of use.
function Tailer:is_asking()
  local newest = self.newest
  return newest ~= nil and newest.replies > 0 and newest.epoch == self.epoch
end

--- Whether the reader has been handed all that there was.
function Tailer:is_caught_up()
  return self.delivered ~= nil and self.delivered.caught_up
end

--- Whether the page of a wait has come, and the probe that was asked for behind it not.
function Tailer:awaits_probe()
  local page = self.part.page
  return page ~= nil and page.block ~= nil and not page.alone
end

--- Whether another wait may be asked for behind the one that was asked for last.
function Tailer:can_wait_more()
  local newest = self.newest
  return self:is_asking() and newest.block ~= nil and not newest.alone and
    not newest.single and not self.part.page
end

--- How many entries it asks for at a time.
function Tailer:page_limit()
  return self.log.size
end

--- The id behind which the reader goes on.
function Tailer:position()
  return self.part.position
end

--- Appends what is to be asked next.
---@param request userdata
---@param wait number? for how many seconds the server may wait for an entry, if there is
---  none; nil: it answers at once
---@return eventlog.Question
function Tailer:ask(request, wait)
  local part = self.part
  local question = part.page and part.page.alone and part:ask_behind(request) or
    part:ask(request, wait, self:is_asking())
  question.epoch = self.epoch
  self.newest = question
  return question
end

--- What is asked for, but for one question, is of no use any more.
---@param question table? the one
local function void_others(self, question)
  self.epoch = self.epoch + 1
  if question then question.epoch = self.epoch end
end

--- Reads a log that is another one than before from its beginning; with max_length, as
--- tail() would: once it has entries, the last of them are found.
local function begin_anew(self, state, reset)
  void_others(self)
  self.start = { limit = self.log.max_length }
  self.anew = { reset = reset, relocates = self.log.max_length ~= nil }
  self.beyond = nil
  self.part = Tail.new(self.log, "0-0", knowledge.at_beginning(state),
    self.delivered == nil)
  -- It restarts here, too, if the connection is lost before the reset was reported. If
  -- nothing was delivered yet, all begins as the caller said.
  if self.delivered then self:deliver(true) end
  return "drop"
end

--- Finds where to begin.
local function locate(self)
  void_others(self)
  self.beyond = nil
  self.part = Locate.new(self.log, self.start, self.delivered == nil)
  return "drop"
end

--- The place to begin at was found in a log that is another one now.
local function begin_again(self, state)
  if self.anew then return begin_anew(self, state, self.anew.reset) end
  return locate(self)
end

--- Where to begin is found.
local function begin(self, place)
  local reset = place.reset or self.anew and self.anew.reset
  self.anew = reset and { reset = reset, relocates = place.is_empty }
  self.start, self.beyond = place.start, place.beyond
  self.part = Tail.new(self.log, place.position, place.known, place.more)
end

--- A batch, with the gap and the reset that it tells of; or the error that ends it all.
local function hand_out(self, batch, gap, reset)
  if self.beyond then reset, self.beyond = self.beyond, nil end
  if self.anew and batch[1] then reset, self.anew = self.anew.reset, nil end
  self.part.known.beginning = nil
  if not (gap or reset) then return "batch", batch end
  local events = batches.tell(batch, gap, reset)
  if self.log.on_gap == "error" then
    return "failed", batches.error(self.log.name, events), events
  end
  return "batch", batch, events
end

--- What a part made of a reply, and what that means for the whole.
local outcomes = {
  begin = function(self)
    begin(self, self.part)
    return "next"
  end,
  first = function(self)
    local batch = self.part.batch
    begin(self, self.part)
    batch.caught_up = true
    return hand_out(self, batch)
  end,
  reread = function(self)
    void_others(self)
    return "drop"
  end,
  moved = begin_again,
  anew = begin_anew,
}

--- The server has answered an error: the one to report, unless another way to send the
--- script may do better.
local function take_error(self, decoder)
  local err = self.log.probe:judge(Error.from_server(decoder:value()))
  if err then return "failed", err end
  return "restart"
end

--- What the outcome of a part means for the whole.
local function follow_up(self, decoder, outcome, a, b, c)
  if outcome == "batch" then
    if self.anew and self.anew.relocates and a[1] then return locate(self) end
    return hand_out(self, a, b, c)
  elseif outcome == "error" then
    return take_error(self, decoder)
  end
  local f = outcomes[outcome]
  if f then return f(self, a, b, c) end
  return outcome, a, b
end

--- Makes of a reply to a question one of these:
---
---   "more"                  more replies to it are to come
---   "next"                  ask what comes next
---   "ahead", more           the next page may be asked for now; then call build(),
---                           while the reply is at hand. more: the log goes on
---   "drop"                  ask what comes next; what was asked for is of no use, and
---                           the server may wait over it
---   "batch", batch, events  deliver it; events: what to tell of, if anything
---   "failed", err, events   the server refuses, or a gap ends it
---   "restart"               call restart(), and ask what comes next
---   "broken", kind, why     the reply is not what the command answers
---@param question eventlog.Question
---@param reply string the reply's type
---@param decoder userdata which has the reply
function Tailer:take(question, reply, decoder)
  question.replies = question.replies - 1
  if question.epoch ~= self.epoch then return "more" end
  if reply == "error" then return take_error(self, decoder) end
  local outcome, a, b, c = self.part:take(question, reply, decoder)
  if question.brings and self.newest ~= question then
    void_others(self, question) -- what was asked behind it was asked for the same
  end
  question.brings = nil
  return follow_up(self, decoder, outcome, a, b, c)
end

--- Makes the page that has come into tables: after "ahead". Returns as take().
function Tailer:build(decoder)
  return follow_up(self, decoder, self.part:build(decoder))
end

--- The batch that take() made is delivered: from now on restart() leads behind it.
---@param caught_up boolean?
function Tailer:deliver(caught_up)
  local tail = self.part
  local known = tail.known
  -- A table of its own, set at once: an error of a debug hook may come at any step.
  self.delivered = {
    position = tail.position, caught_up = caught_up, anew = self.anew, known = known,
    index = known.index, entry = known.entry, claim = known.claim,
    beginning = known.beginning, -- these four change in place
  }
end

--- Goes back to where the last batch ended that was delivered, or to the start. What was
--- asked for is void.
function Tailer:restart()
  local delivered = self.delivered
  self.log.probe:restart()
  self.newest = nil
  if not delivered then
    self.start, self.anew = self.origin, nil
    locate(self)
    return
  end
  void_others(self)
  self.anew, self.beyond = delivered.anew, nil
  self.start = self.anew and { limit = self.log.max_length } or self.origin
  local known = delivered.known
  known.index, known.entry, known.claim, known.beginning =
    delivered.index, delivered.entry, delivered.claim, delivered.beginning
  self.part = Tail.new(self.log, delivered.position, known, not delivered.caught_up)
  self.part.reread = delivered.caught_up or false -- an answer first, then a wait
end

return M
