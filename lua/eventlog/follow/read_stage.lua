--- The stage in which a follower reads: what is there, then what comes; and
--- behind each page a look at the log, for continuity.lua.

local Error = require "eventlog.base.error"
local continuity = require "eventlog.follow.continuity"
local exchange = require "eventlog.follow.exchange"
local retry = require "eventlog.follow.retry"
local system = require "eventlog.base.system"

local M = {}

-- How long the server lets one XREAD wait. It bounds how late a dead link is
-- noticed, with the client's `timeout`, and how late a reset. A host that polls may
-- be away for a while, in which the server is to wait for entries all the time: then
-- it is longer, and the next XREAD is asked for before it ends.
local BLOCK, BLOCK_POLLED = 5, 9

-- For how many seconds the server is to wait when a host that polls leaves; or for
-- twice as long as that host was away lately, but not for longer than this.
local AWAY, LONGEST_AWAY = 8, 60

-- Bytes of an entry that may be sent again, to see whether it is still there.
local SMALL = 1000

--- Appends the look behind a page. It may be a glance: it sees no more than whether
--- the entry that was handed out last is still there, and how long the log is.
--- What it cannot tell is told by a closer look. A log that is quiet is looked at
--- closely, since it may have been made anew, just as long, with that very id.
--- Returns how many replies it has.
local function ask_look(self, request, page)
  page.glances = not page.single and page.waits and self.known.counted and not self.suspicious and
    not page.idle
  -- Plain commands cost a fraction of the script, but send the entry again.
  page.plain = page.glances and page.size and page.size <= SMALL
  if page.plain then
    request:command("XRANGE", self.log.name, page.after, page.after)
    request:command("XLEN", self.log.name)
    return 2
  end
  -- Of the place to begin at, it is asked whether that is still the log in which it
  -- was found.
  local begun = self.known.beginning and not self.pending and self.known.seen
  exchange.look(self, request, begun and begun.last or page.after, not page.glances)
  return 1
end

--- Asks for a page, and for a look behind it. What it returns is kept as the page's,
--- until the look is there.
function M.ask(self, request)
  local waits = not (self.first or self.more or self.again)
  local follows = exchange.is_due(self) -- on a wait for the same
  local page = {
    after = self.position, size = self.last_size, -- of the entry there
    limit = self.page_size, -- how many of its entries are handed out
    single = self.single, -- it has one, and the look tells whether there are more
    waits = waits, waited = waits or self.again, idle = self.idle or follows,
  }
  -- One more than a batch shows whether the batch reached the log's end.
  local count, name = page.single and 1 or page.limit + 1, self.log.name
  if waits then
    local block = self.polls and BLOCK_POLLED or BLOCK
    request:command("XREAD", "COUNT", count, "BLOCK", block * 1000, "STREAMS",
      name, page.after)
    page.till = block + (follows and self.due[#self.due].till or system.now())
    page.alone = self.connection.abilities.waits_alone
    if page.alone then return 1, page end
  else
    request:command("XREAD", "COUNT", count, "STREAMS", name, page.after)
  end
  return 1 + ask_look(self, request, page), page
end

--- A host that polls leaves: sees to it that the server waits for long enough.
function M.leave(self)
  local due, now = self.due, system.now()
  local last = due[#due]
  if self.pending or not last or not last.till or last.useless or last.alone or
    last.single or self.connection:is_sending() then
    return
  end
  local away = math.max(AWAY, math.min(LONGEST_AWAY, 2 * self.away))
  while due[#due].till - now < away and exchange.ask(self, M) and
    not self.connection:is_sending() do end
end

--- The page has come.
local function take_page(self, page)
  local count, last, _, size = exchange.page(self, "read", page.limit)
  if not count then return nil, last end
  page.more = count > page.limit
  self.pending, self.more, self.again = page, page.more, false
  if page.waits then
    retry.note_progress(self)
    page.came = not page.alone and system.now()
  end
  if page.alone then
    self.request:clear()
    page.replies = ask_look(self, self.request, page)
    page.till = nil
    exchange.send(self, page)
  end
  if count > 0 then
    self.position, self.last_size = last, size
    self.first = false
    exchange.disregard(self, page) -- it was asked for what came, too
    -- A host that polls has the next batch at its next call only if that was
    -- asked for by now; else the end of the log can be handed out sooner.
    if not page.glances and not page.single and (page.more or self.polls) then
      exchange.ask(self, M) -- should that fail, the next reply says so
    end
  end
  local err
  page.batch, err = exchange.entries_of(self, "read", page.limit)
  return nil, err
end

--- A glance has found that something was taken out: the page is read again, and
--- the whole state behind it; and so are the next ones, until all is well.
local function look_closely(self, pending)
  self.suspicious = true
  self.position, self.last_size = pending.after, pending.size
  self.again = true -- do not wait, nor behind what waits
  if exchange.is_due(self) then exchange.detach(self) end
  self.next_stage = M
end

--- What the look behind the page says: a state; or the log's length, where the
--- entry before the page is still there; nothing while a reply is due; or nil,
--- err.
local function take_state(self, pending, kind)
  if not pending.plain then return exchange.looked(self, kind, not pending.glances) end
  if not pending.there then
    local count, err = exchange.page(self, "range", 1)
    if not count then return nil, err end
    pending.there = count
    kind = self.connection:reply_at_hand() -- as a rule: both come at once
    if not kind then return end
    exchange.arrived(self)
    if kind == "error" then
      return nil, Error.from_server(self.connection.decoder:value())
    end
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
  if verdict.moved then
    if self.due[1] then exchange.detach(self) end
    exchange.begin_again(self, state)
    return nil, nil, true
  end
  if verdict.restart or verdict.reset and self.log.settings.max_length then
    -- What was asked for behind that page is of no use.
    if self.due[1] then exchange.detach(self) end
    exchange.start_over(self, verdict.reset, state)
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
  if pending.nudged then exchange.degrade(self) end
  local batch, gap, reset = pending.batch, nil, nil
  if type(seen) == "table" then
    local dropped
    if pending.single and batch[1] then
      pending.more = seen.newest ~= batch[1].id
      self.more = pending.more
    end
    gap, reset, dropped = judge(self, pending, batch, seen)
    if dropped then return end
  elseif seen >= continuity.least_length(known, #batch) then
    continuity.count_on(known, #batch)
  else
    return look_closely(self, pending)
  end
  if #batch > 0 and self.relocates then
    if self.due[1] then exchange.detach(self) end
    self.known = { beginning = true }
    self.next_stage = self.locates(self.start)
    return
  end
  if not exchange.is_due(self) then self.next_stage = M end
  -- Where it did not wait and nothing was there, that is the log's end: what
  -- was beyond the last batch has been deleted meanwhile.
  self.idle = #batch == 0 and pending.waited
  if self.idle then return end
  if #batch > 0 then retry.note_page(self, pending.more) end
  if not pending.more then
    batch.caught_up = true
    self.connection.decoder:trim() -- it may wait long for the next one
  end
  reset = self.beyond or reset
  self.beyond = nil
  return exchange.hand_out(self, batch, gap, reset)
end

function M.take(self, kind, page)
  if self.pending then return take_look(self, kind) end
  return take_page(self, page)
end

return M
