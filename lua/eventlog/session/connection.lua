--- One connection to Redis: greets it, sends requests, brings replies, and
--- knows how many replies are still owed. Every method that waits can be
--- repeated after "timeout" and goes on where it was, so that next(0) can poll.

local core = require "eventlog.core"
local Error = require "eventlog.base.error"
local secrets = require "eventlog.base.secrets"
local system = require "eventlog.base.system"

local Connection = {}
Connection.__index = Connection
Connection.__name = "eventlog.Connection"

local M = {}

-- A link that breaks after so many seconds without a byte is taken for one that
-- was idle.
local IDLE = 1

--- What every call that ran into its caller's deadline returns.
local TIMEOUT = Error.new("timeout", "nothing yet")
M.TIMEOUT = TIMEOUT

--- On one line.
local function printable(text)
  return core.quote(text):match('^"(.*)"')
end

--- Where the server is, for messages. Never with a password.
---@param settings table
---@return string
function M.address(settings)
  if settings.path then return "unix://" .. printable(settings.path) end
  local host = printable(settings.host)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return string.format("%s://%s:%d", settings.tls and "rediss" or "redis", host,
    settings.port)
end

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
    request = nil, -- what is not sent yet
    broken = nil, -- why sending failed: kind, why
    owed = 0, -- replies
    asked_at = nil, -- when the last request was sent
    stall_at = nil, -- when to give up unless something moves
    patience = 0, -- seconds that the server may be silent over the request
    fresh = false, -- whether establish() has made it, and it is not told of
    reused = false, -- whether it came from a pool
    answered = false, -- whether a reply has come since then
    aborted = false,
    lost = false,
    stalled = false, -- whether it ended since nothing had moved for too long
    silence = 0, -- for how many seconds nothing had come or gone when it ended
    cut_off = false, -- whether the peer closed it while a reply was due
    failure = nil, -- why it ended
  }, Connection)
end

--- Ends it. Returns nil, err, as does every later call.
local function fail(self, kind, message)
  if self.state ~= "closed" then
    self.lost = self.state == "ready" and not self.aborted
    self.stalled = self.stall_at ~= nil and system.now() >= self.stall_at
    if self.asked_at and self.decoder:empty() then
      local moved = math.max(self.asked_at, self.transport:heard())
      self.silence = system.now() - moved
    end
    self.failure = Error.new(kind, M.address(self.settings) .. ": " .. message)
    self.failure.too_large = self.decoder:too_large() or nil
  end
  self:close()
  return nil, self.failure or Error.new("closed", "the connection is closed")
end

--- The peer has so many seconds from now to move something.
local function expect_within(self, seconds)
  self.stall_at = system.now() + seconds
end

--- Why it did not connect, and what to look at: if no server listens
--- at the address, whether one was started.
local function explained(why)
  local text = why:lower()
  if text:find("connection refused", 1, true) or text:find("no such file", 1, true) then
    return why .. " (is Redis running there?)"
  end
  return why
end

--- Connects: until it is done, the caller's deadline passes (nil, TIMEOUT), or
--- time is up. Waits may end early, so only the clock counts.
local function connect(self, deadline)
  local stall_at = self.stall_at
  local limit = deadline and deadline < stall_at and deadline or stall_at
  while true do
    local done, kind, why = self.transport:connect(limit, stall_at)
    -- Somebody may have closed it while we waited: only now may the descriptor
    -- go.
    if self.aborted then return fail(self, "closed", "closed") end
    if done then return true end
    if done == nil then return fail(self, kind, explained(why)) end
    local now = system.now()
    if now >= stall_at then
      return fail(self, "connection", string.format("cannot connect within %g s",
        self.settings.connect_timeout))
    end
    if now >= limit then return nil, TIMEOUT end
  end
end

--- The commands that open a session, in one request; nil where none is needed.
local function greeting(settings)
  local request, count = core.request(), 0
  local function command(...)
    request:command(...)
    count = count + 1
  end
  if settings.username then
    command("AUTH", settings.username, settings.password or "")
  elseif settings.password then
    command("AUTH", settings.password)
  end
  if settings.client_name then
    command("CLIENT", "SETNAME", settings.client_name)
  end
  if settings.db > 0 then command("SELECT", settings.db) end
  if count > 0 then return request, count end
end

--- Connects, and logs in. Returns true, at once where that is done; or nil,
--- err: TIMEOUT where the deadline passed, and it may be called again.
---@param deadline number? of system.now()
function Connection:establish(deadline)
  if self.state == "ready" then return true end
  local settings = self.settings
  if self.state == "new" then
    if not self.stall_at then expect_within(self, settings.connect_timeout) end
    local ok, err = connect(self, deadline)
    if not ok then return nil, err end
    if self.transport:is_reused() then
      self.reused = true
      self.state = "ready"
      return true
    end
    self.fresh = true
    self.state = "greeting"
    local request, count = greeting(settings)
    if request then
      ok, err = self:send(request, count, settings.connect_timeout - settings.timeout)
      if not ok then return nil, err end
    end
  end
  while self.state == "greeting" and self.owed > 0 do
    local kind, err = self:reply(deadline)
    if not kind then return nil, err end
    if kind == "error" then
      self.failure = Error.from_server(self.decoder:value())
      self.failure.message =
        secrets.hide(self.failure.message, settings.password)
      self:close()
      return nil, self.failure
    end
  end
  if self.state == "closed" then return fail(self) end
  self.state = "ready"
  return true
end

--- Before establish(): waits until a time of system.now(), or the deadline.
--- Returns true, or nil, err: TIMEOUT where the deadline came first.
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

--- Begins to send a request, to which `replies` replies will come; the server
--- may take `patience` seconds longer than usual. Returns true: what is left of it
--- is sent by reply(), which also says where sending failed, once it has read what
--- the server said before. Or nil, err. The request is the connection's until the
--- replies have come.
---@param request userdata of core.request
---@param replies integer
---@param patience number seconds
function Connection:send(request, replies, patience)
  if self.state == "closed" then return fail(self) end
  self.owed = self.owed + replies
  self.patience = self.settings.timeout + patience
  self.asked_at = system.now()
  local stall_at = self.asked_at + self.patience
  self.stall_at = stall_at
  self.request = request
  local done, left, why = self.transport:send(request, 0, stall_at)
  if done == nil then
    self.broken = { left, why }
  elseif done and left == 0 then
    self.request = nil
  end
  return true
end

--- The server may be silent for so many seconds longer than usual from now on.
---@param patience number seconds
function Connection:expect(patience)
  self.patience = self.settings.timeout + patience
  expect_within(self, self.patience)
end

--- Whether some of the request is not sent yet: it must not be changed.
function Connection:is_sending()
  return self.request ~= nil
end

-- Seconds beyond the caller's deadline for which what is coming is still taken:
-- whoever only polls is to have what the server sends without a pause.
local GRACE = 0.5

--- A reply has come.
local function take(self, kind)
  self.owed = self.owed - 1
  self.answered = true
  return kind
end

--- Sends the rest of the request. Returns true; or the type of a reply that came
--- meanwhile; or nil, err. A server that refuses a request may say so and hang up
--- before it has read all of it: what it said is read then, and comes before the
--- broken pipe.
local function flush(self, deadline)
  local request, transport = self.request, self.transport
  while request:size() > 0 and not self.broken do
    local stall_at = self.stall_at
    local limit = deadline and deadline < stall_at and deadline or stall_at
    local done, kind, why = transport:send(request, limit, stall_at, self.decoder)
    if self.aborted then return fail(self, "closed", "closed") end
    if done == nil then
      self.broken = { kind, why }
    elseif done and done ~= true then
      return take(self, done)
    else
      local now = system.now()
      if done then
        expect_within(self, self.patience)
      elseif now >= stall_at then
        return fail(self, "connection", string.format(
          "the server took in nothing for %g s", self.patience))
      end
      if deadline and now >= deadline + (done and GRACE or 0) then return nil, TIMEOUT end
    end
  end
  if not self.broken then
    self.request = nil
    return true
  end
  while true do
    local kind = transport:reply(self.decoder, 0)
    if self.aborted then return fail(self, "closed", "closed") end
    local now = system.now()
    if not kind or now >= self.stall_at then
      return fail(self, self.broken[1], self.broken[2])
    end
    if kind ~= true then return take(self, kind) end
    if deadline and now >= deadline + GRACE then return nil, TIMEOUT end
  end
end

--- The next reply's type, as the decoder names it; the decoder holds the reply
--- until the next call. Or nil, err: TIMEOUT where the deadline passed.
---@param deadline number? of system.now()
---@param least integer? how many bytes this reply and those behind it have at
---  least, unless something goes wrong: so that the first one need not wake us
function Connection:reply(deadline, least)
  if self.state == "closed" then return fail(self) end
  if self.request then
    local kind, err = flush(self, deadline)
    if kind ~= true then return kind, err end
  end
  local decoder, transport = self.decoder, self.transport
  while true do
    local stall_at = self.stall_at
    local limit = deadline and deadline < stall_at and deadline or stall_at
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
      if deadline and system.now() >= deadline + GRACE then return nil, TIMEOUT end
    else
      local now, grace = system.now(), self.patience
      if now >= stall_at then
        local heard = transport:heard()
        if heard > self.asked_at then
          grace = math.min(self.settings.timeout, grace)
          self.stall_at = heard + grace
        end
        if now >= self.stall_at then
          return fail(self, "connection", string.format("no answer for %g s", grace))
        end
      end
      if deadline and now >= deadline then return nil, TIMEOUT end
    end
  end
end

--- The next reply's type, if that reply has come whole; nil: call reply().
function Connection:reply_at_hand()
  local kind = self.decoder:next()
  if kind then return take(self, kind) end
end

--- Passes over the replies that come next and are statuses, as far as they are
--- there, and at most so many. Returns how many.
---@param most integer
function Connection:skip_statuses(most)
  local skipped = self.decoder:skip_statuses(most)
  self.owed = self.owed - skipped
  return skipped
end

--- The decoder found that a reply is not what the command answers.
function Connection:reject(kind, why)
  return fail(self, kind, why)
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

--- Whether it was established and broke: not closed because we wanted it.
function Connection:is_lost()
  return self.lost
end

--- Whether it came from a pool and turned out to be dead: the server had closed
--- it, and nobody had heard of that yet. Another one may do better. So may a fresh
--- one if this one was silent, but not what waits in a pool of the host's.
function Connection:was_stale()
  return self.reused and self.lost and not self.answered and
    not (self.stalled and self.transport.keep)
end

--- Whether it was silent for too long: then those that wait in the pool are no
--- better.
function Connection:was_silent()
  return self.lost and self.stalled
end

--- Whether the peer closed it instead of an answer, or within one: as servers do
--- when a reply is too large for them. A link that broke looks the same.
function Connection:was_cut_off()
  return self.cut_off
end

--- Whether a parent process opened it.
function Connection:is_foreign()
  return self.pid ~= system.pid()
end

--- Whether it broke while the server was silent for a while, as it may be: it had
--- answered before on this connection, and nothing of a reply had come.
function Connection:broke_idle()
  return self.lost and self.answered and self.silence >= IDLE
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
