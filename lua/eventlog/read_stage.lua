--- The stage in which a follower reads: what is there, then what comes; and
--- behind each page a look at the log, for continuity.lua.

local continuity = require "eventlog.continuity"
local exchange = require "eventlog.exchange"

local M = {}

-- How long the server lets one XREAD wait. It bounds how late a dead link is
-- noticed, with the client's `timeout`, and how late a reset.
local BLOCK = 5

-- Bytes of an entry that may be sent again, to see whether it is still there.
local SMALL = 1000

--- Whether the look behind the page may be a plain XRANGE of the entry that was
--- handed out last: a sixth of what the script costs. It tells no more than
--- whether that entry is still there.
local function may_glance(self)
  return self.waits and self.known.index and not self.suspicious and
    self.last_size and self.last_size <= SMALL
end

function M.ask(self, request)
  -- One more than a batch shows whether the batch reached the log's end.
  local count, name = self.batch_size + 1, self.log.name
  self.waits = not (self.first or self.more or self.again)
  if not self.waits then
    request:command("XREAD", "COUNT", count, "STREAMS", name, self.position)
  else
    request:command("XREAD", "COUNT", count, "BLOCK", BLOCK * 1000, "STREAMS",
      name, self.position)
  end
  self.glances = may_glance(self)
  if self.glances then
    request:command("XRANGE", name, self.position, self.position)
  else
    exchange.look(self, request, self.position, not self.known.index)
  end
  return 2, self.waits and BLOCK
end

--- The page: kept until the look behind it is there.
local function take_page(self)
  local count, last, _, size = exchange.page(self, "read", self.batch_size)
  if not count then return nil, last end
  local pending = {
    after = self.position, size = self.last_size,
    waited = self.waits or self.again,
    glanced = self.glances, more = count > self.batch_size,
  }
  self.pending, self.more, self.again = pending, pending.more, false
  if count > 0 then
    self.position, self.last_size = last, size
    self.first = false
    -- A host that polls has the next batch at its next call only if that was
    -- asked for by now; else the end of the log can be handed out sooner.
    if not self.glances and (pending.more or self.polls) then
      pending.asked = true
      exchange.ask(self, M) -- should that fail, the next reply says so
    end
  end
  local err
  pending.batch, err = exchange.entries_of(self, "read", self.batch_size)
  return nil, err
end

--- The log is another one: it is read from its beginning. What was asked after
--- a page that had entries is of no use.
local function start_over(self, reset, under_way)
  if under_way then exchange.detach(self) end
  -- Here it goes back to, too, should the connection be lost before the reset
  -- was reported.
  if self.handed_out then
    self.handed_out = { position = "0-0", known = { beginning = true },
      caught_up = true, reset = reset }
  end
  self.reset = reset
  self.position, self.more = "0-0", false
  self.known = { beginning = true }
  self.next_stage = M
end

--- A glance has found the entry gone: the page is read again, and the whole
--- state behind it; and so are the next ones, until all is well.
local function look_closely(self, pending)
  self.suspicious = true
  self.position, self.last_size = pending.after, pending.size
  self.again = true -- do not wait
  self.next_stage = M
end

--- What the look behind the page says: state, or true where the entry before
--- the page is still there; false where only a closer look can tell; nil, err.
local function take_state(self, kind)
  if not self.pending.glanced then return exchange.looked(self, kind) end
  local count, err = exchange.page(self, "range", 1)
  if not count then return nil, err end
  return count == 1
end

--- The look behind the page.
local function take_look(self, kind)
  local state, err = take_state(self, kind)
  if err then return nil, err end
  local pending = self.pending
  self.pending = nil
  if not state then return look_closely(self, pending) end
  local batch, known = pending.batch, self.known
  local gap, reset
  if state == true then
    self.suspicious = false
    continuity.count_on(known, #batch)
  else
    local verdict = continuity.judge(known, pending.after, batch, pending.more, state)
    if verdict.restart then return start_over(self, verdict.reset, pending.asked) end
    known.index, known.counted = verdict.index, verdict.counted
    known.entry = verdict.entry
    gap, reset = verdict.gap, verdict.reset
    known.first = not reset and known.first or state.first
    -- The very entry that was to come first: nothing is missing before it.
    if gap and batch[1].id == self.start.id then gap = nil end
  end
  if not pending.asked then self.next_stage = M end
  known.first = known.first or batch[1] and batch[1].id
  -- Where it did not wait and nothing was there, that is the log's end: what
  -- was beyond the last batch has been deleted meanwhile.
  if #batch == 0 and pending.waited then return end
  known.beginning = false
  if not pending.more then
    batch.caught_up = true
    self.connection.decoder:trim() -- it may wait long for the next one
  end
  if #batch > 0 then
    reset, self.reset = self.reset or reset, nil
  end
  local clamped = self.clamp_state
  if clamped then
    self.clamp_state = nil
    batch, err = exchange.clamped(self, batch, clamped)
    if not batch then return nil, err end
  end
  return exchange.report(self, batch, gap, reset)
end

function M.take(self, kind)
  if self.pending then return take_look(self, kind) end
  return take_page(self)
end

return M
