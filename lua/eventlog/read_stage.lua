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

--- Whether the look behind the page may be a glance: it sees no more than whether
--- the entry that was handed out last is still there, and how long the log is.
--- What it cannot tell is told by a closer look. A log that is quiet is looked at
--- closely, since it may have been made anew, just as long, with that very id.
local function may_glance(self)
  return self.waits and self.known.counted and not self.suspicious and not self.idle
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
  local replies, block = 2, self.waits and BLOCK
  -- Plain commands cost a fraction of the script, but send the entry again.
  if self.glances and self.last_size and self.last_size <= SMALL then
    request:command("XRANGE", name, self.position, self.position)
    request:command("XLEN", name)
    replies = 3
  else
    exchange.look(self, request, self.position, not self.glances)
  end
  self.plain = replies == 3
  return replies, block
end

--- The page: kept until the look behind it is there.
local function take_page(self)
  local count, last, _, size = exchange.page(self, "read", self.batch_size)
  if not count then return nil, last end
  local pending = {
    after = self.position, size = self.last_size,
    waited = self.waits or self.again, plain = self.plain,
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

--- A glance has found that something was taken out: the page is read again, and
--- the whole state behind it; and so are the next ones, until all is well.
local function look_closely(self, pending)
  self.suspicious = true
  self.position, self.last_size = pending.after, pending.size
  self.again = true -- do not wait
  self.next_stage = M
end

--- What the look behind the page says: a state; or the log's length, where the
--- entry before the page is still there; nothing while a reply is due; or nil,
--- err.
local function take_state(self, pending, kind)
  if not pending.plain then return exchange.looked(self, kind, not pending.glanced) end
  if not pending.there then
    local count, err = exchange.page(self, "range", 1)
    if not count then return nil, err end
    pending.there = count
    return
  end
  if kind ~= "integer" then
    return self.connection:reject("protocol", "the reply is not XLEN's")
  end
  -- Of a log that has lost the entry, the length says nothing.
  return pending.there == 1 and self.connection.decoder:value() or -1
end

--- What the state behind the page says: gap, reset; or nothing, and true where
--- the page is not handed out.
local function judge(self, pending, batch, state)
  local was = self.known.seen
  local verdict = continuity.judge(self.known, pending.after, batch, pending.more,
    state)
  if verdict.restart or verdict.reset and self.log.settings.max_length then
    -- What was asked for after a page that had entries is of no use.
    if pending.asked then exchange.detach(self) end
    exchange.start_over(self, verdict.reset)
    self.next_stage = M
    return nil, nil, true
  end
  self.suspicious = was ~= nil and was.removed ~= state.removed
  self.known = verdict.known
  return verdict.gap, verdict.reset
end

--- The look behind the page.
local function take_look(self, kind)
  local pending, known = self.pending, self.known
  local seen, err = take_state(self, pending, kind)
  if not seen then return nil, err end
  self.pending = nil
  local batch, gap, reset = pending.batch, nil, nil
  if type(seen) == "table" then
    local dropped
    gap, reset, dropped = judge(self, pending, batch, seen)
    if dropped then return end
  elseif seen >= continuity.least_length(known, #batch) then
    continuity.count_on(known, #batch)
  else
    return look_closely(self, pending)
  end
  if #batch > 0 and self.relocates then
    if pending.asked then exchange.detach(self) end
    self.known = { beginning = true }
    self.next_stage = self.locates(self.start)
    return
  end
  if not pending.asked then self.next_stage = M end
  -- Where it did not wait and nothing was there, that is the log's end: what
  -- was beyond the last batch has been deleted meanwhile.
  self.idle = #batch == 0 and pending.waited
  if self.idle then return end
  if not pending.more then
    batch.caught_up = true
    self.connection.decoder:trim() -- it may wait long for the next one
  end
  reset = self.beyond or reset
  self.beyond = nil
  return exchange.hand_out(self, batch, gap, reset)
end

function M.take(self, kind)
  if self.pending then return take_look(self, kind) end
  return take_page(self)
end

return M
