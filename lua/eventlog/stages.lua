--- What a follower asks Redis for, and what it makes of the replies. All stages
--- but the last find where to begin:
---
---   last     the last entries, if they fit into one batch
---   locate   else, page by page backwards, where they begin
---   clamp    whether the id to begin at is beyond the log's end
---   read     read_stage.lua: what is there, then what comes
---
--- A stage has ask(self, request), which appends commands and returns how many
--- replies they have and for how many seconds the server may hold them back;
--- and take(self, kind), which reads one reply and returns a batch; or nothing,
--- with next_stage set where the stage is done; or nil, err.
--- self is the follower.

local core = require "eventlog.core"
local exchange = require "eventlog.exchange"
local read_stage = require "eventlog.read_stage"

local M = {}

--- The stage to begin with.
---@param start table of the follower
function M.first(start)
  return start.limit and M.last or start.after and M.clamp or read_stage
end

M.last = {}

function M.last.ask(self, request)
  exchange.look(self, request, "0-0", true)
  -- One more than a batch shows whether all fit into one.
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT",
    math.max(1, math.min(self.start.limit, self.batch_size + 1)))
  return 2
end

--- Where a follower of the last entries goes on: behind the newest one, or where
--- the log's end was just before. Its index is known unless more came between.
local function settle_behind(self, newest, state)
  local known = self.known
  exchange.begin_behind(self, state)
  if newest and core.id_compare(newest, state.last) > 0 then
    self.position, known.entry = newest, true
    known.index, known.counted = nil, nil
  end
  known.first = state.first or newest
  known.beginning = false
  self.more = false
end

function M.last.take(self, kind)
  if not self.state then
    local err
    self.state, err = exchange.looked(self, kind, true)
    return nil, err
  end
  local state = self.state
  self.state = nil
  local count, oldest, newest = exchange.page(self, "range", self.batch_size + 1)
  if not count then return nil, oldest end
  local after = self.start.after
  if count > self.batch_size and
    not (after and core.id_compare(newest, after) <= 0) then
    self.located, self.position = count, oldest
    self.next_stage = M.locate
    return
  end
  local newest_first, err = exchange.entries_of(self, "range", self.start.limit)
  if not newest_first then return nil, err end
  self.connection.decoder:trim() -- it may wait long for the next one
  local batch = {}
  for _, entry in ipairs(newest_first) do
    if after and core.id_compare(entry.id, after) <= 0 then break end
    batch[#batch + 1] = entry
  end
  core.reverse(batch)
  settle_behind(self, newest, state)
  self.next_stage = read_stage
  batch.caught_up = true
  return exchange.clamped(self, batch, state)
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
  local count, oldest, newest = exchange.page(self, "range", asked)
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
  self.next_stage = read_stage
end

M.clamp = {}

function M.clamp.ask(self, request)
  exchange.look(self, request, self.start.after, true)
  return 1
end

function M.clamp.take(self, kind)
  local state, err = exchange.looked(self, kind, true)
  if not state then return nil, err end
  local after = self.start.after
  local known = self.known
  known.beginning = after == "0-0" -- who has read nothing misses nothing
  known.first, known.entry = state.first, not state.gone
  self.position = after
  if core.id_compare(after, state.last) >= 0 then
    exchange.begin_behind(self, state)
  end
  self.clamp_state = state
  self.next_stage = read_stage
end

return M
