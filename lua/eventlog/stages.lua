--- What a follower asks Redis for, and what it makes of the replies. All stages
--- but the last find where to begin:
---
---   last     the last entries, if they fit into one batch
---   locate   else, page by page backwards, where they begin
---   clamp    whether the id to begin at is beyond the log's end
---   read     XREAD: the first time what is there, then what comes; and behind
---            it a look at the log, for continuity.lua
---
--- A stage has ask(self, request), which appends commands and returns how many
--- replies they have and for how many seconds the server may hold them back;
--- and take(self, kind), which reads one reply and returns a batch; or nothing,
--- with next_stage set where the stage is done; or nil, err.
--- self is the follower.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local Reader = require "eventlog.reader"
local continuity = require "eventlog.continuity"
local scripts = require "eventlog.scripts"

local M = {}

-- How long the server lets one XREAD wait. It bounds how late a dead link is
-- noticed, with the client's `timeout`, and how late a reset.
local BLOCK = 5

-- Seconds that a follower grants a silent server beyond BLOCK, whatever the
-- client's `timeout`.
local LONGEST_SILENCE = 10

--- The stage to begin with.
---@param start table of the follower
function M.first(start)
  return start.limit and M.last or start.after and M.clamp or M.read
end

--- Sends a stage's request. What was asked before is at most replied to.
function M.ask(self, stage)
  self.stage = stage
  self.request:clear()
  local replies, patience = stage.ask(self, self.request)
  return self.connection:send(self.request, replies, patience or 0)
end

--- A page of the reply at hand: how many entries it has, the id of the last of
--- its first `limit`, and the first id. Or nil, err.
local function page(self, shape, limit)
  local decoder = self.connection.decoder
  local count, last, first = decoder:page(shape, limit)
  if not count then return self.connection:reject(last, first) end
  return count, last, first
end

--- A list of the reply's first entries; or nil, err.
local function entries_of(self, shape, limit)
  local batch, kind, why = self.connection.decoder:entries(shape, 0, limit)
  if not batch then return self.connection:reject(kind, why) end
  return batch
end

--- Asks where the log stands; only the first time with the script's body.
local function look(self, request, after, always)
  local by, script = "EVALSHA", scripts.state.sha
  if self.by_body then by, script = "EVAL", scripts.state.body end
  request:command(by, script, 1, self.log.name, after, always and 1 or 0)
end

--- What it answers: a state; true where `after` is still there; or nil, err.
local function looked(self, kind)
  self.by_body = false
  if kind == "string" then return true end
  local list, failure, why =
    self.connection.decoder:strings(1, continuity.STATE_SIZE)
  if not list then return self.connection:reject(failure, why) end
  local state = continuity.parse(list)
  self.known.first = self.known.first or state.first
  return state
end

--- The error that ends a follower of a log with on_gap = "error".
local function gap_error(self, message)
  return Error.new("gap", string.format("log %q %s", self.log.name, message))
end

--- Puts a gap or a reset on a batch, and tells of it; or nil, err.
local function report(self, batch, gap, reset)
  local message
  if gap then
    message = string.format("has lost %s entries between %s and %s",
      gap.missed and string.format("%d", gap.missed) or "some", gap.after,
      gap.before)
    batch.gap = gap
    self.client:tell("gap", self.log.name, message)
  end
  if reset then
    message = "was " .. (reset == "rewound" and "rolled back" or "made anew")
    batch.reset = reset
    self.client:tell("reset", self.log.name, message)
  end
  if message and self.log.settings.on_gap == "error" then
    return nil, gap_error(self, message)
  end
  return batch
end

M.last = {}

function M.last.ask(self, request)
  look(self, request, "0-0", true)
  -- One more than a batch shows whether all fit into one.
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT",
    math.max(1, math.min(self.start.limit, self.batch_size + 1)))
  return 2
end

--- Where a follower of the last entries goes on: behind the newest one, or where
--- the log's end was just before. Its index is known unless more came between.
local function settle_behind(self, newest, state)
  self.position, self.known.index = state.last, state.added
  if newest and core.id_compare(newest, state.last) > 0 then
    self.position, self.known.index = newest, nil
  end
  self.known.beginning = false
  self.more = false
end

function M.last.take(self, kind)
  if not self.state then
    local err
    self.state, err = looked(self, kind)
    return nil, err
  end
  local state = self.state
  self.state = nil
  local count, oldest, newest = page(self, "range", self.batch_size + 1)
  if not count then return nil, oldest end
  if count > self.batch_size then
    self.located, self.position = count, oldest
    self.next_stage = M.locate
    return
  end
  local newest_first, err = entries_of(self, "range", self.start.limit)
  if not newest_first then return nil, err end
  self.connection.decoder:trim() -- it may wait long for the next one
  local batch, after = {}, self.start.after
  for _, entry in ipairs(newest_first) do
    if after and core.id_compare(entry.id, after) <= 0 then break end
    batch[#batch + 1] = entry
  end
  Reader.reverse(batch)
  settle_behind(self, newest, state)
  self.next_stage = M.read
  batch.caught_up = true
  return M.clamped(self, batch, state)
end

--- A first batch: with a reset where the id to begin at was beyond the end.
function M.clamped(self, batch, state)
  local id = self.start.id
  if not id or core.id_compare(id, state.last) <= 0 then return batch end
  return report(self, batch, nil,
    state.last == "0-0" and "recreated" or "rewound")
end

M.locate = {}

local function to_locate(self)
  return math.min(self.start.limit - self.located, self.batch_size) + 1
end

function M.locate.ask(self, request)
  request:command("XREVRANGE", self.log.name, self.position, "-", "COUNT",
    to_locate(self))
  return 1
end

--- The page begins with the entry that was the oldest so far, unless that was
--- deleted. Where there is no page, the log was trimmed past it.
function M.locate.take(self)
  local asked, after = to_locate(self), self.start.after
  local count, oldest, newest = page(self, "range", asked)
  if not count then return nil, oldest end
  if count > 0 then
    local again = newest == self.position and 1 or 0
    self.located = self.located + count - again
    self.position = oldest
    if count == asked and self.located < self.start.limit and
      not (after and core.id_compare(oldest, after) <= 0) then
      self.next_stage = M.locate -- once more
      return
    end
  end
  self.position = core.id_prev(self.position) or "0-0"
  if after and core.id_compare(self.position, after) < 0 then
    self.position = after
  end
  self.next_stage = M.read
end

M.clamp = {}

function M.clamp.ask(self, request)
  look(self, request, "0-0", true)
  return 1
end

function M.clamp.take(self, kind)
  local state, err = looked(self, kind)
  if not state then return nil, err end
  local after = self.start.after
  self.known.beginning = after == "0-0" -- who has read nothing misses nothing
  self.position = after
  if core.id_compare(after, state.last) >= 0 then
    self.position, self.known.index = state.last, state.added
  end
  self.clamp_state = state
  self.next_stage = M.read
end

M.read = {}

function M.read.ask(self, request)
  -- One more than a batch shows whether the batch reached the log's end.
  local count, name = self.batch_size + 1, self.log.name
  local patience = 0
  self.waits = not (self.first or self.more)
  if not self.waits then
    request:command("XREAD", "COUNT", count, "STREAMS", name, self.position)
  else
    request:command("XREAD", "COUNT", count, "BLOCK", BLOCK * 1000, "STREAMS",
      name, self.position)
    -- Not longer, so that a dead link is noticed within 15 seconds.
    local timeout = self.client.settings.timeout
    patience = BLOCK + math.min(timeout, LONGEST_SILENCE) - timeout
  end
  look(self, request, self.position, not self.known.index)
  return 2, patience
end

--- The page: kept until the look behind it is there.
local function take_page(self)
  local count, last = page(self, "read", self.batch_size)
  if not count then return nil, last end
  local pending = {
    after = self.position, more = count > self.batch_size, waited = self.waits,
  }
  self.pending, self.more = pending, pending.more
  if count > 0 then
    self.position = last
    self.first = false
    M.ask(self, M.read) -- should that fail, the next reply says so
  end
  local err
  pending.batch, err = entries_of(self, "read", self.batch_size)
  return nil, err
end

--- The log is another one: it is read from its beginning. What was asked after
--- a page that had entries is of no use.
local function start_over(self, reset, under_way)
  if under_way then M.detach(self) end
  self.reset = reset
  self.position, self.more = "0-0", false
  self.known = { beginning = true }
  self.next_stage = M.read
end

--- The look behind the page.
local function take_look(self, kind)
  local state, err = looked(self, kind)
  if not state then return nil, err end
  local pending = self.pending
  self.pending = nil
  local batch = pending.batch
  local verdict = continuity.judge(self.known, pending.after, batch,
    pending.more, state ~= true and state or nil)
  if verdict.restart then return start_over(self, verdict.reset, #batch > 0) end
  if #batch == 0 then self.next_stage = M.read end
  self.known.index = verdict.index
  -- The very entry that was to come first: nothing is missing before it.
  if verdict.gap and batch[1].id == self.start.id then verdict.gap = nil end
  -- Where it did not wait and nothing was there, that is the log's end: what
  -- was beyond the last batch has been deleted meanwhile.
  if #batch == 0 and pending.waited then return end
  self.known.beginning = false
  if not pending.more then
    batch.caught_up = true
    self.connection.decoder:trim() -- it may wait long for the next one
  end
  local reset = verdict.reset
  if #batch > 0 then
    reset, self.reset = self.reset or reset, nil
  end
  local clamped = self.clamp_state
  if clamped then
    self.clamp_state = nil
    batch, err = M.clamped(self, batch, clamped)
    if not batch then return nil, err end
  end
  return report(self, batch, verdict.gap, reset)
end

function M.read.take(self, kind)
  if self.pending then return take_look(self, kind) end
  return take_page(self)
end

--- Lets the connection go, with what is under way on it.
function M.detach(self)
  local connection = self.connection
  self.stage, self.pending, self.state = nil, nil, nil
  if connection then
    self.connection = nil
    connection:close()
    self.client:release(connection, self.log.name)
  end
end

return M
