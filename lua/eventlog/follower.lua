--- A follower: hands out a log's entries in batches, as they come.
---
--- It has a connection to itself, on which one request is always under way: the
--- next page is asked for before the last one is made into tables. What is
--- owed when next() runs into its timeout is still owed at the next call, so
--- nothing is lost or repeated. Where that cannot be (next() was broken off by
--- an error, such as Ctrl-C's; the process was forked), the follower goes back
--- to what it handed out last, on a new connection.
--- What it asks for is said in stages.lua.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local options = require "eventlog.options"
local stages = require "eventlog.stages"

---@class eventlog.Batch: eventlog.Entry[]
---@field caught_up boolean? true where it reached the log's end when it was read

---@class eventlog.Follower
---@field last_id string? id of the last entry handed out: a resume token
---@operator call: eventlog.Batch?
local Follower = {}
Follower.__index = Follower
Follower.__name = "eventlog.Follower"

local M = {}

--- To where the last batch ended, or to the start; without a connection.
local function go_back(self)
  self.position = self.handed_out or "0-0" -- XREAD goes on after this
  self.first = not self.handed_out -- no batch was handed out yet
  self.located = 0 -- entries before the first batch that are to come in it
  self.stage = nil -- of the request that is under way
  self.next_stage = self.first and stages.first(self.start) or stages.read
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
    caught_up = nil, -- whether that one reached the log's end
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

--- The request that was under way was answered: what became of it.
local function take(self, kind)
  if kind == "error" then
    return nil, Error.from_server(self.connection.decoder:value())
  end
  local stage = self.stage
  self.stage = nil
  return stage.take(self)
end

--- A connection that is established, with a request under way; or nil, err.
local function attach(self, deadline)
  if self.connection and self.connection:is_foreign() then go_back(self) end
  local err
  if not self.connection then
    self.connection, err = self.client:checkout()
    if not self.connection then return nil, err end
  end
  local connection = self.connection
  local ok
  ok, err = self.client:establish(connection, self.log.name, deadline)
  if not ok then return nil, err end
  if not self.stage then
    ok, err = stages.ask(self, self.next_stage)
    if not ok then return nil, err end
  end
  return connection
end

--- Where the driver cannot wake us, waits are cut into slices: the end of the
--- next one.
local function slice_end(self, deadline)
  local slice = self.client.driver.slice
  if not slice then return deadline end
  local limit = core.now() + slice
  return deadline and deadline < limit and deadline or limit
end

--- Whether the host is about to end, and what waits with it.
local function interrupted(self)
  local driver = self.client.driver
  local why = driver.interrupted and driver.interrupted()
  return why and Error.new("closed", why)
end

--- Goes on until there is a batch, or nil, err.
local function advance(self, deadline)
  -- Who still catches up is let finish.
  local err = self.caught_up and interrupted(self)
  if err then return nil, err end
  while true do
    local connection
    connection, err = attach(self, deadline)
    if not connection then return nil, err end
    local limit = slice_end(self, deadline)
    local kind, batch
    kind, err = connection:reply(limit)
    if kind then
      batch, err = take(self, kind)
      if batch or err then return batch, err end
    elseif err.kind ~= "timeout" or limit == deadline then
      return nil, err
    else
      err = interrupted(self)
      if err then return nil, err end
    end
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
    self.caught_up = batch.caught_up
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
