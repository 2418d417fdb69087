--- A follower: hands out a log's entries in batches, as they come.
---
--- It has a connection to itself, on which one request is always under way: the
--- next page is asked for before the last one is made into tables. What is
--- owed when next() runs into its timeout is still owed at the next call, so
--- nothing is lost or repeated. Where that cannot be (next() was broken off by
--- an error, such as Ctrl-C's; the process was forked), the follower goes back
--- to what it handed out last, on a new connection.
---
--- A stage says what to ask for, and what to make of the reply. All but the
--- last stage find where to begin:
---   last     the last entries, if they fit into one batch
---   locate   else, page by page backwards, where they begin
---   clamp    whether the id to begin at is beyond the log's end
---   read     XREAD: the first time what is there, then what comes

local core = require "eventlog.core"
local Error = require "eventlog.error"
local Reader = require "eventlog.reader"
local options = require "eventlog.options"

---@class eventlog.Batch: eventlog.Entry[]
---@field caught_up boolean? true where it reached the log's end when it was read

---@class eventlog.Follower
---@field last_id string? id of the last entry handed out: a resume token
---@operator call: eventlog.Batch?
local Follower = {}
Follower.__index = Follower
Follower.__name = "eventlog.Follower"

local M = {}

-- How long the server lets one XREAD wait. It bounds how late a dead link is
-- noticed: this and the client's `timeout`.
local BLOCK = 5

local stages = {}

--- To where the last batch ended, or to the start; without a connection.
local function go_back(self)
  self.position = self.handed_out or "0-0" -- XREAD goes on after this
  self.first = not self.handed_out -- no batch was handed out yet
  self.located = 0 -- entries before the first batch that are to come in it
  self.stage = nil -- of the request that is under way
  self.next_stage = self.first and self.start.limit and stages.last or
    self.first and self.start.after and stages.clamp or stages.read
  local connection = self.connection
  if connection then
    self.connection = nil
    connection:close()
    self.client:release(connection, self.log.name)
  end
end

---@param log eventlog.Log
---@param start table limit: of the last so many entries; after: those after
---  this id; both, one or neither
---@return eventlog.Follower
function M.new(log, start)
  local self = setmetatable({
    log = log,
    client = log.client,
    start = start,
    batch_size = log.settings.batch_size,
    request = core.request(),
    handed_out = nil, -- the position behind the last batch; nil before one
    connection = nil,
    ended = nil, -- the error that every later next() returns
    caller = nil, -- the coroutine that is in next()
    last_id = nil,
  }, Follower)
  go_back(self)
  self.client.followers[self] = true
  return self
end

function Follower:__tostring()
  return "eventlog follower of " .. tostring(self.log)
end

--- Ends it: closes the connection, and returns nil, err now and ever after.
local function finish(self, err)
  self.ended = self.ended or err
  go_back(self)
  return nil, self.ended
end

--- Sends a stage's request; nothing else is under way.
local function ask(self, stage)
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

-- Each stage: ask(self, request) appends a command, and returns for how many
-- seconds the server may hold its reply back. take(self) reads the reply and
-- returns a batch; or nothing, with next_stage set; or nil, err.

stages.last = {}

function stages.last.ask(self, request)
  -- One more than a batch shows whether all fit into one.
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT",
    math.max(1, math.min(self.start.limit, self.batch_size + 1)))
end

function stages.last.take(self)
  local count, oldest, newest = page(self, "range", self.batch_size + 1)
  if not count then return nil, oldest end
  if count > self.batch_size then
    self.located, self.next_stage = count, stages.locate
    self.position = oldest
    return
  end
  local limit = self.start.limit
  local after = self.start.after
  self.position = newest or "0-0"
  self.next_stage = stages.read
  local batch, err = batch_of(self, "range", limit, true)
  if not batch then return nil, err end
  Reader.reverse(batch)
  while after and batch[1] and core.id_compare(batch[1].id, after) <= 0 do
    table.remove(batch, 1)
  end
  return batch
end

stages.locate = {}

function stages.locate.ask(self, request)
  request:command("XREVRANGE", self.log.name, self.position, "-", "COUNT",
    math.min(self.start.limit - self.located, self.batch_size) + 1)
end

--- The page begins with the entry that was the oldest so far. Where it is gone,
--- the log was trimmed past it, and begins after it.
function stages.locate.take(self)
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
  self.next_stage = stages.read
end

stages.clamp = {}

function stages.clamp.ask(self, request)
  request:command("XREVRANGE", self.log.name, "+", "-", "COUNT", 1)
end

function stages.clamp.take(self)
  local count, newest = page(self, "range", 1)
  if not count then return nil, newest end
  newest = newest or "0-0"
  local after = self.start.after
  self.position = core.id_compare(after, newest) < 0 and after or newest
  self.next_stage = stages.read
end

stages.read = {}

function stages.read.ask(self, request)
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

function stages.read.take(self)
  local count, last = page(self, "read", self.batch_size)
  if not count then return nil, last end
  self.next_stage = stages.read
  if count == 0 and not self.first then return end -- the wait ran out
  self.position = last or self.position
  self.first = false
  ask(self, stages.read) -- should that fail, the next reply() says so
  return batch_of(self, "read", self.batch_size, count <= self.batch_size)
end

--- The request that was under way was answered: what became of it.
local function take(self, kind)
  if kind == "error" then
    return nil, Error.from_server(self.connection.decoder:value())
  end
  local stage = self.stage
  self.stage = nil
  return stage.take(self)
end

--- Goes on until there is a batch, or nil, err.
local function advance(self, deadline)
  while true do
    local connection = self.connection
    local ok, err
    if connection and connection:is_foreign() then
      go_back(self)
      connection = nil
    end
    if not connection then
      connection, err = self.client:checkout()
      if not connection then return nil, err end
      self.connection = connection
    end
    ok, err = self.client:establish(connection, self.log.name, deadline)
    if not ok then return nil, err end
    if not self.stage then
      ok, err = ask(self, self.next_stage)
      if not ok then return nil, err end
    end
    local kind, batch
    kind, err = connection:reply(deadline)
    if not kind then return nil, err end
    batch, err = take(self, kind)
    if batch or err then return batch, err end
  end
end

--- Notes who is in next(). Raises where another coroutine is; one that died in
--- there, or that is here again after an error, is not.
local function enter(self)
  local caller = self.caller
  local me = coroutine.running() or "main"
  if caller then
    if caller ~= me and
      (caller == "main" or coroutine.status(caller) ~= "dead") then
      options.misuse(3, "another coroutine waits in this follower's next(): " ..
        "give each its own follower")
    end
    go_back(self)
  end
  self.caller = me
end

--- The next batch. Returns nil, err with kind "timeout" where there is none in
--- time: the next call goes on, with nothing lost or repeated. An error that
--- ends the follower is returned again by every later call.
---@param timeout number? seconds; nil: as long as it takes; 0: never waits
---@return eventlog.Batch|nil batch
---@return eventlog.Error? err
function Follower:next(timeout)
  timeout = options.timeout(timeout, 2)
  if self.ended then return nil, self.ended end
  enter(self)
  local batch, err = advance(self, timeout and core.now() + timeout)
  if batch then
    local last = batch[#batch]
    if last then self.last_id = last.id end
    self.handed_out, self.first = self.position, false
    self.caller = nil
    return batch
  end
  self.caller = nil
  if err.kind == "timeout" and not self.ended then return nil, err end
  return finish(self, err)
end

--- For the generic `for`: ends when the follower is closed, raises the error
--- that ends it otherwise.
function Follower:__call()
  local batch, err = self:next()
  if batch then return batch end
  if err.kind == "closed" then return nil end
  error(err, 0)
end

--- Ends it and closes its connection. Idempotent. From another coroutine it
--- wakes the one that waits in next(), which returns nil, err (kind "closed").
function Follower:close()
  if not self.ended then
    self.ended = Error.new("closed", "the follower is closed")
  end
  self.client.followers[self] = nil
  if not self.connection then return end
  if self.caller and self.caller ~= (coroutine.running() or "main") then
    self.connection:abort()
  else
    finish(self, self.ended)
  end
end

Follower.__close = Follower.close
Follower.__gc = Follower.close

return M
