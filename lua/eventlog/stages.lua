--- What a follower asks Redis for, and what it makes of the reply. All stages
--- but the last find where to begin:
---
---   last     the last entries, if they fit into one batch
---   locate   else, page by page backwards, where they begin
---   clamp    whether the id to begin at is beyond the log's end
---   read     XREAD: the first time what is there, then what comes
---
--- A stage has ask(self, request), which appends a command and returns for how
--- many seconds the server may hold its reply back, and take(self), which reads
--- the reply and returns a batch; or nothing, with next_stage set; or nil, err.
--- self is the follower.

local core = require "eventlog.core"
local Reader = require "eventlog.reader"

local M = {}

-- How long the server lets one XREAD wait. It bounds how late a dead link is
-- noticed: this and the client's `timeout`.
local BLOCK = 5

--- The stage to begin with.
---@param start table of the follower
function M.first(start)
  return start.limit and M.last or start.after and M.clamp or M.read
end

--- Sends a stage's request; nothing else is under way.
function M.ask(self, stage)
  self.stage = stage
  self.request:clear()
  return self.connection:send(self.request, 1, stage.ask(self, self.request) or 0)
end

--- A page of the reply at hand: how many entries it has, the id of the last of
--- its first `limit`, and the first id. Or nil, err.
local function page(self, shape, limit)
  local decoder = self.connection.decoder
  local count, last, first = decoder:page(shape, limit)
  if not count then return self.connection:reject(last, first) end
  return count, last, first
end

--- A batch of the reply's first entries.
local function batch_of(self, shape, limit, caught_up)
  local batch, kind, why =
    self.connection.decoder:entries(shape, 0, limit)
  if not batch then return self.connection:reject(kind, why) end
  if caught_up then
    batch.caught_up = true
    self.connection.decoder:trim() -- it may wait long for the next one
  end
  return batch
end

M.last = {}

function M.last.ask(self, request)
  -- One more than a batch shows whether all fit into one.
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT",
    math.max(1, math.min(self.start.limit, self.batch_size + 1)))
end

function M.last.take(self)
  local count, oldest, newest = page(self, "range", self.batch_size + 1)
  if not count then return nil, oldest end
  if count > self.batch_size then
    self.located, self.next_stage = count, M.locate
    self.position = oldest
    return
  end
  local limit = self.start.limit
  local after = self.start.after
  self.position = newest or "0-0"
  self.next_stage = M.read
  local batch, err = batch_of(self, "range", limit, true)
  if not batch then return nil, err end
  Reader.reverse(batch)
  while after and batch[1] and core.id_compare(batch[1].id, after) <= 0 do
    table.remove(batch, 1)
  end
  return batch
end

M.locate = {}

function M.locate.ask(self, request)
  request:command("XREVRANGE", self.log.name, self.position, "-", "COUNT",
    math.min(self.start.limit - self.located, self.batch_size) + 1)
end

--- The page begins with the entry that was the oldest so far. Where it is gone,
--- the log was trimmed past it, and begins after it.
function M.locate.take(self)
  local asked = math.min(self.start.limit - self.located, self.batch_size) + 1
  local count, oldest, newest = page(self, "range", asked)
  if not count then return nil, oldest end
  if count > 0 and newest == self.position then
    self.located = self.located + count - 1
    self.position = oldest
    local after = self.start.after
    if count == asked and self.located < self.start.limit and
      not (after and core.id_compare(oldest, after) <= 0) then
      return -- once more
    end
  end
  self.position = core.id_prev(self.position) or "0-0"
  if self.start.after and
    core.id_compare(self.position, self.start.after) < 0 then
    self.position = self.start.after
  end
  self.next_stage = M.read
end

M.clamp = {}

function M.clamp.ask(self, request)
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT", 1)
end

function M.clamp.take(self)
  local count, newest = page(self, "range", 1)
  if not count then return nil, newest end
  newest = newest or "0-0"
  local after = self.start.after
  self.position = core.id_compare(after, newest) < 0 and after or newest
  self.next_stage = M.read
end

M.read = {}

function M.read.ask(self, request)
  -- One more than a batch shows whether the batch reached the log's end.
  local count = self.batch_size + 1
  if self.first then
    request:command("XREAD", "COUNT", count, "STREAMS", self.log.name,
      self.position)
    return 0
  end
  request:command("XREAD", "COUNT", count, "BLOCK", BLOCK * 1000, "STREAMS",
    self.log.name, self.position)
  return BLOCK
end

function M.read.take(self)
  local count, last = page(self, "read", self.batch_size)
  if not count then return nil, last end
  self.next_stage = M.read
  if count == 0 and not self.first then return end -- the wait ran out
  self.position = last or self.position
  self.first = false
  M.ask(self, M.read) -- should that fail, the next reply() says so
  return batch_of(self, "read", self.batch_size, count <= self.batch_size)
end

return M
