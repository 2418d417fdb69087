--- A follower: hands out a log's entries in batches, as they come. It is one tailer
--- (tailer.lua: where it is in the log) and one pump (pump.lua: a connection to itself),
--- and what the user holds of these.

local Error = require "eventlog.base.error"
local Pump = require "eventlog.follow.pump"
local core = require "eventlog.core"
local inside = require "eventlog.base.inside"
local misuse = require "eventlog.base.misuse"
local options = require "eventlog.base.options"
local system = require "eventlog.base.system"
local tailer = require "eventlog.follow.tailer"

local Follower = {}
Follower.__index = Follower
Follower.__name = "eventlog.Follower"

local check_self =
  misuse.class(Follower, "follower", "log:tail_and_follow() and its like")

local M = {}

---@param log eventlog.Log
---@param start eventlog.Start
---@return eventlog.Follower
function M.new(log, start)
  local client = log.client
  local tail = tailer.new(log.name, start, log.settings, client.topology.abilities)
  local self = setmetatable({
    log = log,
    client = client,
    tailer = tail,
    pump = Pump.new(client, tail, log.name),
    ended = nil, -- the error that every later next() returns
    caller = nil, -- the thread that is in next(), unless an error broke it off
    handed = nil, -- whether the batch was caught up that the last next() returned; it is
    -- delivered when the next one is called, unless an error broke that last one off
    last_id = nil,
  }, Follower)
  client.followers[self] = true
  return self
end

function Follower:__tostring()
  return "eventlog follower of " .. tostring(self.log)
end

--- Notes which thread is in next(). Raises if one is already: another one, or
--- this one, from within the host's wait or on_event.
local function enter(self)
  local me, pump = core.thread(), self.pump
  if pump:is_anothers() then
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
    self.handed = nil
    pump:restart() -- the last next() was broken off by an error
  elseif self.handed ~= nil then
    pump:deliver(self.handed)
    self.handed = nil
  end
  self.caller = me
end

--- The next batch. Returns nil, err with kind "timeout" if there is none in time: the
--- next call goes on, with nothing lost or repeated. An error that ends the follower is
--- returned again by every later call.
---@param timeout number? seconds; nil: as long as it takes; 0: never waits
---@return eventlog.Batch|nil batch
---@return eventlog.Error? err
function Follower:next(timeout)
  check_self(self, "next")
  if timeout ~= nil then timeout = options.timeout(timeout, 2) end
  if self.ended then return nil, self.ended end
  enter(self)
  local pump, polls = self.pump, timeout == 0
  pump:arrive(polls)
  local batch, err = pump:next(timeout and system.now() + timeout)
  -- It may have been closed while it waited, or by on_event.
  if batch and not self.ended then
    if polls then pump:leave() end
    local last = batch[#batch]
    local last_id = last and last.id or self.last_id or self.tailer:position()
    self.handed = batch.caught_up or false
    -- An error of a debug hook may come at any step, so nothing comes between these.
    self.last_id = last_id
    self.caller = nil
    return batch
  end
  if self.ended or err.kind ~= "timeout" then
    err = self.ended or err
    self.ended = err
    pump:close(err)
  end
  if polls then pump:leave() end
  self.caller = nil
  return nil, err
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

--- Ends it and closes its connection. Idempotent. From another coroutine it wakes the
--- one that waits in next(), which returns nil, err (kind "closed").
function Follower:close()
  check_self(self, "close")
  if not self.ended then
    self.ended = Error.new("closed", "the follower is closed")
  end
  self.client.followers[self] = nil
  self.pump:close(self.ended, inside.is_inside(self.caller, Follower.next, self))
end

Follower.__close = Follower.close
Follower.__gc = Follower.close

return M
