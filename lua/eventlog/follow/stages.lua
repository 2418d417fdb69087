--- What a follower asks Redis for, and what it makes of the replies. All stages
--- but the last find where to begin:
---
---   last     the last entries, if they fit into one batch
---   locate   else, page by page backwards, where they begin
---   clamp    where the log stands; whether the id to begin at is beyond its end
---   read     read_stage.lua: what is there, then what comes
---
--- A stage has ask(self, request), which appends commands and returns how many
--- replies they have, and a table of what is to be known when they come (nil:
--- nothing), with `till`, when the server answers at the latest if it waits; and
--- take(self, kind, known), which reads one reply and returns a batch; or nothing,
--- with next_stage set where the stage is done; or nil, err.
--- self is the follower.

local continuity = require "eventlog.follow.continuity"
local core = require "eventlog.core"
local exchange = require "eventlog.follow.exchange"

local M = {}

--- The stage to begin with.
---@param start table of the follower
function M.first(start)
  return start.limit and M.last or M.clamp
end

--- Begins to read at the id that the caller gave, or at the log's end if that lies
--- before it; or else at the log's beginning.
local function begin_at(self, state)
  local after = self.start.after
  self.beyond = exchange.beyond(self, state)
  if not after then
    self.position, self.known = "0-0", { beginning = true, seen = state }
  elseif core.id_compare(after, state.last) >= 0 then
    self.position, self.known = state.last, continuity.at_end(state)
  else
    self.position = after
    self.known = continuity.at_start(state, after, self.start.claim)
  end
  self.next_stage = self.read_stage
end

M.last = {}

-- One more than a batch shows whether all fit into one.
local function to_take(self)
  local most = self.single and 1 or self.page_size + 1
  return math.max(1, math.min(self.start.limit, most))
end

function M.last.ask(self, request)
  exchange.look(self, request, self.start.claim or "0-0", true)
  if self.start.limit == 0 then return 1 end -- no entry is looked at
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT", to_take(self))
  return 2
end

--- The last entries, newest first, as a batch: those after an id, if any.
local function batch_of(newest_first, after)
  local batch = {}
  for _, entry in ipairs(newest_first) do
    if after and core.id_compare(entry.id, after) <= 0 then break end
    batch[#batch + 1] = entry
  end
  core.reverse(batch)
  return batch
end

--- Where a follower of the last entries goes on: behind the newest one, or where
--- the log's end was just before.
local function settle_behind(self, newest, newer, state)
  self.position, self.known = state.last, continuity.at_end(state)
  if newest and core.id_compare(newest, state.last) > 0 then
    self.position, self.known = newest, continuity.behind_new(state, newer)
  end
  self.known.first = state.first or newest
  self.more = false
end

--- How many of the entries came after the state was taken.
local function count_newer(newest_first, state)
  local newer = 0
  for i, entry in ipairs(newest_first) do
    if core.id_compare(entry.id, state.last) <= 0 then break end
    newer = i
  end
  return newer
end

--- The first reply: where the log stands.
local function take_first_state(self, kind)
  local state, err = exchange.looked(self, kind, true)
  if not state then return nil, err end
  self.state = state
  local claim = self.start.claim
  local reset = claim and continuity.refutes(state, claim)
  if reset then exchange.start_over(self, reset, state) end
  if self.start.limit ~= 0 then return end
  self.state = nil
  self.connection.decoder:trim() -- it may wait long for the next one
  settle_behind(self, nil, 0, state)
  self.next_stage = self.read_stage
  return exchange.hand_out(self, { caught_up = true }, nil, exchange.beyond(self, state))
end

function M.last.take(self, kind)
  if not self.state then return take_first_state(self, kind) end
  local state = self.state
  self.state = nil
  local asked = to_take(self)
  local count, oldest, newest = exchange.page(self, "range", asked)
  if not count then return nil, oldest end
  if count == 0 and self.relocates and not self.first then
    self.position = "0-0"
    self.next_stage = self.read_stage -- until there is something to locate
    return
  end
  self.relocates = false
  local after = self.start.after
  if after and state.length <= self.start.limit then -- which hides nothing
    begin_at(self, state)
    return
  end
  local all_fit = count <= self.page_size and
    (count < asked or asked >= self.start.limit)
  if count > 0 and not all_fit and
    not (after and core.id_compare(newest, after) <= 0) then
    self.located, self.position = count, oldest
    self.known = { beginning = true, seen = state }
    self.next_stage = M.locate
    return
  end
  local newest_first, err = exchange.entries_of(self, "range", self.start.limit)
  if not newest_first then return nil, err end
  self.connection.decoder:trim() -- it may wait long for the next one
  local batch = batch_of(newest_first, after)
  settle_behind(self, newest, math.max(1, count_newer(newest_first, state)), state)
  self.next_stage = self.read_stage
  batch.caught_up = true
  return exchange.hand_out(self, batch, nil, exchange.beyond(self, state))
end

M.locate = {}

local function to_locate(self)
  if self.single then return 1 end
  return math.min(self.start.limit - self.located, self.page_size) + 1
end

function M.locate.ask(self, request)
  local from = self.position
  if self.single then from = core.id_prev(from) or "0-0" end
  request:command("XREVRANGE", self.log.name, from, "-", "COUNT", to_locate(self))
  return 1
end

--- The page begins with the entry that was the oldest so far, unless that was
--- deleted, or a page may have a single entry only. Where there is no page, the log
--- was trimmed past it.
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
  self.next_stage = self.read_stage
end

M.clamp = {}

function M.clamp.ask(self, request)
  exchange.look(self, request, self.start.claim or self.start.after or "0-0", true)
  return 1
end

function M.clamp.take(self, kind)
  local state, err = exchange.looked(self, kind, true)
  if not state then return nil, err end
  local claim = self.start.claim
  local reset = claim and continuity.refutes(state, claim)
  if reset then
    exchange.start_over(self, reset, state)
    self.next_stage = self.start.limit and M.last or self.read_stage
    return
  end
  begin_at(self, state)
end

return M
