--- A follower: hands out a log's entries in batches, as they come.
---
--- It has a connection to itself. While the log goes on behind a page, the next
--- one is asked for before that one is made into tables. What is owed when
--- next() runs into its timeout is still owed at the next call, so nothing is
--- lost or repeated. Where that cannot be (next() was broken off by an error,
--- such as Ctrl-C's; the process was forked), the follower goes back to what it
--- handed out last, on a new connection.
--- What it asks for is said in stages.lua.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local backoff = require "eventlog.backoff"
local continuity = require "eventlog.continuity"
local exchange = require "eventlog.exchange"
local inside = require "eventlog.inside"
local misuse = require "eventlog.misuse"
local options = require "eventlog.options"
local read_stage = require "eventlog.read_stage"
local reading_script = require "eventlog.reading_script"
local stages = require "eventlog.stages"

---@class eventlog.Batch: eventlog.Entry[]
---@field caught_up boolean? true where it reached the log's end when it was read

---@class eventlog.Follower
---@field last_id string? a resume token: id of the last entry handed out; until
---  then, from the first batch on, of where it began ("0-0": at the beginning)
---@operator call: eventlog.Batch?
local Follower = {}
Follower.__index = Follower
Follower.__name = "eventlog.Follower"

local check_self =
  misuse.class(Follower, "follower", "log:tail_and_follow() and its like")

local M = {}

--- To where the last batch ended, or to the start; without a connection.
local function go_back(self)
  exchange.detach(self)
  local out = self.handed_out
  self.position = out and out.position or "0-0" -- XREAD goes on after this
  self.first = not out -- no batch was handed out yet
  self.known = out and continuity.copy(out.known) or { beginning = true }
  self.start = out and out.start or self.origin
  self.more = not (out and out.caught_up) -- whether the log goes on behind that
  self.located = 0 -- entries before the first batch that are to come in it
  self.reset = out and out.reset -- for the next batch that has entries
  self.relocates = out and out.relocates -- whether to find the last max_length first
  self.beyond = nil -- a reset to report: the id to begin at is beyond the end
  self.idle = false -- whether its last wait brought nothing
  self.last_size = nil -- of the last entry, where it came on this connection
  self.suspicious = false -- whether the look behind a page has to be a close one
  self.again = false -- whether a page is read once more
  self.by_body = true -- scripts are sent whole until one was answered
  self.next_stage = self.first and stages.first(self.start) or read_stage
end

---@param log eventlog.Log
---@param start table limit: of the last so many entries; after: those after
---  this id; both, one or neither; id: the id that the caller gave; claim: the
---  same where it names an entry, and not a point in time
---@return eventlog.Follower
function M.new(log, start)
  local self = setmetatable({
    log = log,
    client = log.client,
    origin = start, -- where the caller wants it to begin
    start = start, -- the same, or the beginning of a log that was made anew
    read_stage = read_stage,
    locates = stages.first,
    batch_size = log.settings.batch_size,
    request = core.request(),
    handed_out = nil, -- where the last batch ended: position, known, caught_up;
    -- and reset, which is still to be reported
    was_answered = false, -- whether there ever was a connection that worked
    look_command = nil, -- by which the script was sent last
    refused = nil, -- the error for which it is now sent the other way
    retry = nil, -- while the connection is lost
    connection = nil,
    ended = nil, -- the error that every later next() returns
    caller = nil, -- the thread that is in next(), unless an error broke it off
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

--- The server has answered an error. Returns it, unless another way to send the
--- script may do better: then the follower goes back, and sends it that way.
local function recover(self, err)
  if err.code ~= "NOSCRIPT" then -- else the script is sent whole
    local refusal = reading_script.judge(self.client, self.look_command, err,
      self.refused)
    if refusal then return refusal end
    self.refused = err
  end
  go_back(self)
end

--- A reply has come: a batch, or nothing yet, or nil, err.
local function take(self, kind)
  if kind == "error" then
    return nil, recover(self, Error.from_server(self.connection.decoder:value()))
  end
  self.next_stage = nil
  local batch, err = self.stage.take(self, kind)
  if self.next_stage then self.stage = nil end
  return batch, err
end

-- Seconds between attempts to reconnect, at most.
local LONGEST_DELAY = 0.5

--- The connection is lost: what the follower does next. Returns nothing where
--- it tries again, or err where it does not.
local function plan_retry(self, err)
  if self.connection and self.connection:was_stale() then
    go_back(self) -- and takes another one
    return
  end
  local now, client = core.now(), self.client
  local retry = self.retry
  local may_wait = self.was_answered or client.settings.retry_first_connection
  if not may_wait or not Error.passes(err) then return err end
  if not retry then
    retry = { since = now, delay = backoff.FIRST }
    self.retry = retry
  end
  if now - retry.since > client.settings.reconnect_timeout then return err end
  client:note_down()
  local pause
  pause, retry.delay = backoff.step(retry.delay, LONGEST_DELAY)
  retry.at = now + pause
  go_back(self)
  client:tell("reconnecting", self.log.name, err.message)
end

--- Waits until it may try again. Returns true, or nil, err.
local function wait_for_turn(self, connection, deadline)
  local retry = self.retry
  while retry and retry.at do
    local ok, err = connection:sleep_until(retry.at, deadline)
    if not ok then return nil, err end
    if self.client:may_reconnect() then
      retry.at = nil
    else
      retry.at = core.now() + backoff.FIRST * (1 + backoff.jitter())
    end
  end
  return true
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
  if not connection:is_established() then
    ok, err = wait_for_turn(self, connection, deadline)
    if not ok then return nil, err end
    ok, err = self.client:establish(connection, self.log.name, deadline)
    if not ok then return nil, err end
    if self.ended then return nil, self.ended end -- on_event may close it
  end
  if not self.stage then
    ok, err = exchange.ask(self, self.next_stage)
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
  return why and Error.new("exiting", why)
end

--- The connection works.
local function note_answer(self)
  self.was_answered = true
  if self.retry then
    self.retry = nil
    self.client:note_up()
  end
end

--- Takes replies until there is a batch, or something else has to be asked; or
--- nil, err.
local function converse(self, connection, limit)
  local batch
  repeat
    local kind, err = connection:reply(limit)
    if self.ended then return nil, self.ended end
    if not kind then return nil, err end
    batch, err = take(self, kind)
    if err then return nil, err end
    note_answer(self)
  until batch or not self.stage
  return batch
end

--- Goes on until there is a batch, or nil, err.
local function advance(self, deadline)
  -- Who still catches up is let finish.
  local out = self.handed_out
  local err = out and out.caught_up and interrupted(self)
  if err then return nil, err end
  while true do
    local limit = slice_end(self, deadline)
    local connection, batch
    connection, err = attach(self, limit)
    if connection then batch, err = converse(self, connection, limit) end
    if self.ended then return nil, self.ended end -- on_event may close it
    if batch then return batch end
    if err and err.kind == "timeout" then
      if limit == deadline then return nil, err end
      err = interrupted(self)
    elseif err then
      err = plan_retry(self, err) or interrupted(self)
    end
    if err then return nil, err end
  end
end

--- Notes which thread is in next(). Raises if one is already: another one, or
--- this one, from within the host's wait or on_event.
local function enter(self)
  local me, connection = core.thread(), self.connection
  if connection and connection:is_anothers() then
    misuse.raise(3, "another request, which goes on, uses this follower: " ..
      "a follower belongs to the request or timer that first calls its next()")
  end
  if self.caller then
    if inside.is_inside(self.caller, Follower.next, self, true) then
      misuse.raise(3, self.caller == me and
        "next() from within next() of the same follower (its on_event, or the " ..
        "driver's wait function, called it)" or
        "another coroutine waits in this follower's next(): " ..
        "give each its own follower")
    end
    go_back(self) -- the last next() was broken off by an error
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
  check_self(self, "next")
  timeout = options.timeout(timeout, 2)
  if self.ended then return nil, self.ended end
  enter(self)
  self.polls = timeout == 0
  local batch, err = advance(self, timeout and core.now() + timeout)
  if batch then
    local last = batch[#batch]
    local out = exchange.mark(self, batch.caught_up)
    self.last_id = last and last.id or self.last_id or self.position
    self.handed_out = out -- at once: an error of a hook may come at any step
    self.first = false
    self.caller = nil
    return batch
  end
  self.caller = nil
  if err.kind == "timeout" and not self.ended then return nil, err end
  return finish(self, err)
end

--- For the generic `for`: ends when the follower is closed or the host goes down,
--- raises the error that ends it otherwise.
function Follower:__call()
  local batch, err = self:next()
  if batch then return batch end
  if err.kind == "closed" or err.kind == "exiting" then return nil end
  error(err, 0)
end

--- Ends it and closes its connection. Idempotent. From another coroutine it
--- wakes the one that waits in next(), which returns nil, err (kind "closed").
function Follower:close()
  check_self(self, "close")
  if not self.ended then
    self.ended = Error.new("closed", "the follower is closed")
  end
  self.client.followers[self] = nil
  if not self.connection then return end
  if inside.is_inside(self.caller, Follower.next, self) then
    self.connection:abort()
  else
    finish(self, self.ended)
  end
end

Follower.__close = Follower.close
Follower.__gc = Follower.close

return M
