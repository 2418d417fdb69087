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
local Error = require "eventlog.base.error"
local exchange = require "eventlog.follow.exchange"
local inside = require "eventlog.base.inside"
local misuse = require "eventlog.base.misuse"
local options = require "eventlog.base.options"
local read_stage = require "eventlog.follow.read_stage"
local reading_script = require "eventlog.command.reading_script"
local retry = require "eventlog.follow.retry"
local stages = require "eventlog.follow.stages"
local system = require "eventlog.base.system"

local Follower = {}
Follower.__index = Follower
Follower.__name = "eventlog.Follower"

local check_self =
  misuse.class(Follower, "follower", "log:tail_and_follow() and its like")

local M = {}

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
    page_size = log.settings.batch_size, -- less where a page was too large
    single = false, -- whether a page may have one entry, and no more
    too_many = nil, -- entries: that page
    cut = false, -- whether the server closed the connection instead of an answer
    request = core.request(),
    handed_out = nil, -- where the last batch ended: position, known, caught_up;
    -- and reset, which is still to be reported
    was_answered = false, -- whether there ever was a connection that worked
    look_command = nil, -- by which the script was sent last
    refused = nil, -- the error for which it is now sent the other way
    retry = nil, -- until there is progress again, once the connection was lost
    polls = false, -- whether the caller of next() does not wait
    left_at = nil, -- when one that polls left
    away = 0, -- for how many seconds it was away lately
    endpoint = nil, -- the server that the log was last asked of
    connection = nil,
    ended = nil, -- the error that every later next() returns
    caller = nil, -- the thread that is in next(), unless an error broke it off
    last_id = nil,
  }, Follower)
  exchange.go_back(self)
  self.client.followers[self] = true
  return self
end

function Follower:__tostring()
  return "eventlog follower of " .. tostring(self.log)
end

--- Ends it: closes the connection, and returns nil, err now and ever after.
local function finish(self, err)
  self.ended = self.ended or err
  exchange.go_back(self)
  return nil, self.ended
end

--- The server has answered an error. Returns it, unless another way to send the
--- script may do better: then the follower goes back, and sends it that way.
local function recover(self, err)
  if err.code ~= "NOSCRIPT" then -- else the script is sent whole
    local refusal = reading_script.judge(self.connection.abilities, self.look_command, err,
      self.refused)
    if refusal then return refusal end
    self.refused = err
  end
  exchange.go_back(self)
end

--- A reply has come: a batch, or nothing yet, or nil, err.
local function take(self, kind, item)
  if kind == "error" then
    return nil, recover(self, Error.from_server(self.connection.decoder:value()))
  end
  self.next_stage = nil
  local batch, err = self.stage.take(self, kind, item)
  if self.next_stage then self.stage = nil end
  return batch, err
end

--- A connection that is established, with a request under way; or nil, err.
local function attach(self, deadline)
  if self.connection and self.connection:is_foreign() then exchange.go_back(self) end
  local err
  if not self.connection then
    self.endpoint, err = self.client.topology:endpoint(self.log.name, deadline)
    if not self.endpoint then return nil, err end
    self.connection, err = self.endpoint:checkout(self.retry ~= nil)
    if not self.connection then return nil, err end
  end
  local connection = self.connection
  local ok
  if not connection:is_established() then
    ok, err = retry.wait_for_turn(self, connection, deadline)
    if not ok then return nil, err end
    ok, err = self.endpoint:establish(connection, self.log.name, deadline)
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
  local limit = system.now() + slice
  return deadline and deadline < limit and deadline or limit
end

--- Whether the host is about to end, and what waits with it.
local function interrupted(self)
  local driver = self.client.driver
  local why = driver.interrupted and driver.interrupted()
  return why and Error.new("exiting", why)
end

--- The next reply: its type; or nil, err.
local function await(self, connection, limit)
  if not self.pending then return connection:reply(limit) end
  while true do
    local at = exchange.nudge_at(self.pending)
    local sooner = at and (not limit or at < limit) and at or limit
    local kind, err = connection:reply(sooner)
    if kind or sooner == limit or err.kind ~= "timeout" then return kind, err end
    exchange.nudge(self, self.pending)
  end
end

--- Takes replies until there is a batch, or something else has to be asked; or
--- nil, err.
local function converse(self, connection, limit)
  local batch
  repeat
    local kind, err = await(self, connection, limit)
    if self.ended then return nil, self.ended end
    if not kind then return nil, err end
    local item = exchange.arrived(self)
    if not item.useless then
      batch, err = take(self, kind, item)
      if err then return nil, err end
    end
    retry.note_answer(self)
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
      err = retry.plan(self, err) or interrupted(self)
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
    exchange.go_back(self) -- the last next() was broken off by an error
  end
  self.caller = me
end

--- A host that polls is there again. What it finds is what it asked for when it
--- left, and not what it asks for now.
local function arrive(self)
  local left_at = self.left_at
  self.left_at = nil
  local away = left_at and system.now() - left_at or 0
  self.away = math.max(away, 0.9 * self.away) -- lately, at most
end

--- It leaves: what it is to find when it is back is asked for now.
local function leave(self)
  self.left_at = system.now()
  local connection = self.connection
  if self.ended or not connection or not connection:is_established() then return end
  if not self.stage then exchange.ask(self, self.next_stage) end
  if self.stage == read_stage then read_stage.leave(self) end
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
  if self.polls then arrive(self) end
  local batch, err = advance(self, timeout and system.now() + timeout)
  if batch then
    retry.note_progress(self)
    local last = batch[#batch]
    local out = exchange.mark(self, batch.caught_up)
    self.last_id = last and last.id or self.last_id or self.position
    self.handed_out = out -- at once: an error of a hook may come at any step
    self.first = false
    if self.polls then leave(self) end
    self.caller = nil
    return batch
  end
  if self.polls then leave(self) end
  self.caller = nil
  if err.kind == "timeout" and not self.ended then return nil, err end
  return finish(self, err)
end

--- next() for the generic `for`. PUC Lua 5.1 cannot yield inside it: there a wait
--- that must yield raises, and the error says what to write instead.
local next_in_for = Follower.next
if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
  function next_in_for(self)
    local ok, batch, err = pcall(Follower.next, self)
    if ok then return batch, err end
    if tostring(batch):find("yield across metamethod", 1, true) then
      misuse.raise(3, "Lua 5.1 cannot wait inside a for loop in a coroutine: " ..
        "call follower:next() in a while loop")
    end
    error(batch, 0)
  end
end

--- For the generic `for`: ends when the follower is closed or the host goes down,
--- raises the error that ends it otherwise.
function Follower:__call()
  local batch, err = next_in_for(self)
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
