--- One conversation with a server: sends requests, brings their replies, and knows
--- to whom each of these is owed. Every method that waits can be repeated after
--- "timeout", and goes on where it was, so that next(0) can poll.
---
--- A silent link is given up when nothing has moved for `read_timeout` seconds: the
--- client's `timeout`, unless a request says otherwise, such as one that the server
--- may answer late. Once a byte of an answer has come, it is given up `timeout`
--- seconds after the last one, or sooner if the request says so.

local Error = require "eventlog.base.error"
local address = require "eventlog.base.address"
local core = require "eventlog.core"
local ending = require "eventlog.session.ending"
local handshake = require "eventlog.session.handshake"
local sending = require "eventlog.session.sending"
local system = require "eventlog.base.system"
local takers = require "eventlog.session.takers"

local TIMEOUT, settle = handshake.TIMEOUT, takers.settle

local Connection = {}
Connection.__index = Connection
Connection.__name = "eventlog.Connection"

local M = {}

--- A connection that establish() will make. Does no I/O.
---@param transport table
---@param settings table of the client
function M.new(transport, settings)
  return setmetatable({
    transport = transport,
    settings = settings,
    decoder = core.decoder(settings.max_reply),
    pid = system.pid(),
    state = "new", -- then "greeting", "ready", "closed"
    request = false, -- what is not sent yet
    broken = nil, -- why sending failed: kind, why
    greeting = nil, -- names of the commands that opened the session
    said = {}, -- what the server answered to them (handshake.lua)
    owed = 0, -- replies
    takers = {}, -- to whom, and how many to each: takers.lua
    counts = {},
    first = 1, -- of takers
    last = 0,
    unasked = nil, -- to whom goes what nobody asked for; nil: that ends it
    asked_at = nil, -- when the last request was sent
    io_deadline = nil, -- when to give up unless something moves
    read_timeout = 0, -- seconds that the server may be silent
    fresh = false, -- whether establish() has made it, and it is not told of
    reused = false, -- whether it came from a pool
    answered = false, -- whether a reply has come since then
    aborted = false,
    failure = nil, -- why it ended; and how: ending.lua
    lost = false,
    stalled = false,
    silence = 0,
    cut_off = false,
  }, Connection)
end

--- Ends it. Returns nil, err, as does every later call.
---@param kind eventlog.ErrorKind
---@param message string
function Connection:fail(kind, message)
  if self.state ~= "closed" then
    ending.note(self)
    self.failure = Error.new(kind, address.of(self.settings) .. ": " .. message)
    self.failure.too_large = self.decoder:too_large() or nil
  end
  self:close()
  return nil, self.failure or Error.new("closed", "the connection is closed")
end

local fail = Connection.fail

--- The decoder found that a reply is not what the command answers: as fail().
Connection.reject = fail

--- Connects, and logs in. Returns true, at once if that is done; or nil,
--- err: TIMEOUT if the deadline passed, and it may be called again.
---@param deadline number? of system.now()
function Connection:establish(deadline)
  if self.state == "ready" then return true end
  local ok, err
  if self.state == "new" then
    ok, err = handshake.connect(self, deadline)
    if not ok then return nil, err end
    if self.transport:is_reused() then
      self.reused = true
      self.state = "ready"
      return true
    end
    self.fresh = true
    self.state = "greeting"
    ok, err = handshake.begin(self)
    if not ok then return nil, err end
  end
  if self.state == "closed" then return fail(self) end
  ok, err = handshake.finish(self, deadline)
  if not ok then return nil, err end
  self.state = "ready"
  return true
end

--- Before establish(): waits until a time of system.now(), or the deadline.
--- Returns true, or nil, err: TIMEOUT if the deadline came first.
function Connection:sleep_until(time, deadline)
  while true do
    if self.aborted then return fail(self, "closed", "closed") end
    local now = system.now()
    if now >= time then return true end
    if deadline and now >= deadline then return nil, TIMEOUT end
    local limit = deadline and deadline < time and deadline or time
    self.transport:sleep(limit - now)
  end
end

--- From now on the server may be silent for so many seconds.
---@param read_timeout number
function Connection:allow(read_timeout)
  self.read_timeout = read_timeout
  self.io_deadline = system.now() + read_timeout
end

--- Begins to send a request. Returns true: what is left of it is sent by reply(),
--- which also says if sending failed, once it has read what the server said before.
--- Or nil, err. The request is the connection's until the replies have come.
---@param request userdata of core.request
---@param replies integer how many will come
---@param read_timeout number? seconds that the server may be silent over it; nil: the
---  client's `timeout`
---@param taker any? whose the replies are, as reply() then says
function Connection:send(request, replies, read_timeout, taker)
  if self.state == "closed" then return fail(self) end
  local owed = self.owed
  if taker or self.last > 0 then takers.enqueue(self, taker or false, replies, owed) end
  self.owed = owed + replies
  self.read_timeout = read_timeout or self.settings.timeout
  self.asked_at = system.now()
  local io_deadline = self.asked_at + self.read_timeout
  self.io_deadline = io_deadline
  self.request = request
  local done, left, why = self.transport:send(request, 0, io_deadline)
  if done == nil then
    self.broken = { left, why }
  elseif done and left == 0 then
    self.request = false
  end
  return true
end

--- Whether some of the request is not sent yet: it must not be changed.
function Connection:is_sending()
  return self.request ~= false
end

Connection.settle = settle

--- A reply has come. Returns its type, and whose it is; or nil, err.
---@param kind string
function Connection:take(kind)
  self.answered = true
  local owed = self.owed
  if owed > 0 and self.last == 0 then -- to nobody in particular
    self.owed = owed - 1
    return kind, false
  end
  if owed > 0 then return kind, settle(self, 1) end
  if self.unasked then return kind, self.unasked end
  return fail(self, "protocol", "the server says what nobody asked for")
end

local take = Connection.take

--- The next reply's type, as the decoder names it, and whose it is; the decoder
--- holds the reply until the next call. Or nil, err: TIMEOUT if the deadline passed.
---@param deadline number? of system.now()
---@param least integer? how many bytes this reply and those behind it have at
---  least, unless something goes wrong: so that the first one need not wake us
function Connection:reply(deadline, least)
  if self.state == "closed" then return fail(self) end
  if self.request then
    local kind, err = sending.flush(self, deadline) -- or the taker
    if kind ~= true then return kind, err end
  end
  local decoder, transport = self.decoder, self.transport
  while true do
    local io_deadline = self.io_deadline
    local limit = deadline and deadline < io_deadline and deadline or io_deadline
    local kind, failure, why = transport:reply(decoder, limit, least)
    if self.aborted then return fail(self, "closed", "closed") end
    if kind == nil then
      self.cut_off = self.state == "ready" and failure == "connection"
      return fail(self, failure, why)
    end
    if kind and kind ~= true then return take(self, kind) end
    if kind then
      least = nil -- the rest may be less
      -- A peer whose bytes never end must not hold the caller.
      if deadline and system.now() >= deadline + sending.GRACE then return nil, TIMEOUT end
    else
      local now, grace = system.now(), self.read_timeout
      if now >= io_deadline then
        local read_at = transport:last_read_at()
        if read_at > self.asked_at then
          grace = math.min(self.settings.timeout, grace)
          self.io_deadline = read_at + grace
        end
        if now >= self.io_deadline then
          return fail(self, "connection", string.format("no answer for %g s", grace))
        end
      end
      if deadline and now >= deadline then return nil, TIMEOUT end
    end
  end
end

--- As reply(), if that reply has come whole; nil: call reply().
function Connection:reply_at_hand()
  local kind = self.decoder:next()
  if kind then return take(self, kind) end
end

--- Passes over the replies that come next and are statuses, as far as they are
--- there, and at most so many. Returns how many.
---@param most integer no more than are owed to the one who takes them
function Connection:skip_statuses(most)
  local skipped = self.decoder:skip_statuses(most)
  if skipped > 0 then settle(self, skipped) end
  return skipped
end

--- Whether it may wait in a pool: nothing is owed, nothing came unasked. Gives
--- back what memory it can.
function Connection:is_clean()
  return self.state == "ready" and self.owed == 0 and not self.aborted and
    not self.request and self.decoder:trim()
end

--- Whether one from the pool can be used: it was left clean, the server has
--- not closed it meanwhile, and no parent process opened it.
function Connection:is_alive()
  return self.transport:idle()
end

function Connection:is_established()
  return self.state == "ready"
end

-- How it ended, and what that says of the server, and of other connections.
Connection.is_lost = ending.is_lost
Connection.was_stale = ending.was_stale
Connection.was_silent = ending.was_silent
Connection.was_cut_off = ending.was_cut_off
Connection.broke_idle = ending.broke_idle

--- Whether a parent process opened it.
function Connection:is_foreign()
  return self.pid ~= system.pid()
end

--- Whether another request of the host's uses it, which alone may: in OpenResty.
function Connection:is_anothers()
  local transport = self.transport
  return transport.is_anothers ~= nil and transport:is_anothers()
end

--- Ends it from another coroutine than the one that may be waiting in it: that
--- one wakes, gets kind "closed", and closes the descriptor.
function Connection:abort()
  self.aborted = true
  if self:is_foreign() then
    self:close()
  else
    self.transport:shutdown()
  end
end

--- Gives it to the driver's own pool, or closes it. It must be clean.
---@param pool_size integer how many that pool holds
---@param pool_idle number seconds that it keeps each
function Connection:keep(pool_size, pool_idle)
  self.state = "closed"
  self.transport:keep(pool_size, pool_idle)
end

--- Closes it. Idempotent.
function Connection:close()
  self.state = "closed"
  self.transport:close()
end

return M
