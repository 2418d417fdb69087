--- A client: a server's address, and connections to it. An operation has one to
--- itself; idle ones wait in a pool, and go by their age. Connections that are in
--- use are held by their users only: a coroutine that is dropped takes its
--- half-read connection along to the garbage collector, and never into the pool.

local core = require "eventlog.core"
local Connection = require "eventlog.session.connection"
local Error = require "eventlog.base.error"
local Pool = require "eventlog.topology.pool"
local Tokens = require "eventlog.log.tokens"
local address = require "eventlog.base.address"
local backoff = require "eventlog.base.backoff"
local driver = require "eventlog.driver"
local events = require "eventlog.base.events"
local misuse = require "eventlog.base.misuse"
local options = require "eventlog.base.options"
local system = require "eventlog.base.system"

local Client = {}
Client.__index = Client
Client.__name = "eventlog.Client"

function Client:__tostring()
  return "eventlog client of " .. address.of(self.settings)
end

local check_self = misuse.class(Client, "client", "eventlog.connect()")

local M = {}

--- Weak: what is in use does not live longer because the client knows it.
local function weak_set()
  return setmetatable({}, { __mode = "k" })
end

local function close(connection)
  connection:close()
end

local function forget() end

--- eventlog.connect. Does no I/O; misuse raises.
---@param target string|table|nil
---@param level integer as for error(): whose mistake misuse is
---@return eventlog.Client
function M.new(target, level)
  local settings = options.client(target, level + 1)
  local most, seconds = settings.pool_size, settings.pool_idle
  return setmetatable({
    settings = settings,
    driver = driver.find(settings.driver),
    idle = Pool.new(most, seconds, close), -- connections
    in_use = weak_set(), -- connections
    followers = weak_set(),
    requests = Pool.new(most, seconds, forget), -- empty ones
    time = system.now(), -- when a connection was released last
    tokens = Tokens.new(),
    events = settings.on_event and events.new(settings.on_event),
    -- Whether the first connection is yet to be waited for.
    waits_for_first = settings.retry_first_connection,
    has_multi = false, -- whether a unit has met MULTI on the server (writer.lua)
    closed = false,
    down = false,
    next_attempt = 0, -- to reconnect while it is down, of system.now()
  }, Client)
end

---@param target any
---@return boolean
function M.is(target)
  return getmetatable(target) == Client
end

-- While the server is down, how many attempts to connect a second its followers
-- make together.
local ATTEMPTS = 15

--- The server was found down, or answers again.
function Client:note_down()
  self.down = true
end

function Client:note_up()
  self.down = false
end

--- The server has answered for the first time.
function Client:note_ready()
  self.waits_for_first = false
end

--- Whether a follower may try to reconnect now: always when the server is up,
--- else as often as all followers together may.
function Client:may_reconnect()
  local now = system.now()
  if not self.down then return true end
  if now < self.next_attempt then return false end
  self.next_attempt = now + 1 / ATTEMPTS
  return true
end

--- Tells on_event; while it is being told of another event, after that.
---@param kind "connected"|"disconnected"|"reconnecting"|"gap"|"reset"|"degraded"
---@param log string? the name of the log it happened for
---@param message string
function Client:tell(kind, log, message)
  local all = self.events
  if all then all:tell({ kind = kind, log = log, message = message }) end
end

local function closed_error()
  return Error.new("closed", "the client is closed")
end

--- The next usable connection of the pool, or nil. Drops what has died, and
--- what a parent process opened.
local function take_idle(self)
  local idle, now = self.idle, system.now()
  local connection = idle:take(now)
  while connection do
    if connection:is_alive() then
      connection.reused, connection.answered = true, false
      return connection
    end
    connection:close()
    connection = idle:take(now)
  end
end

--- A connection for its caller alone, perhaps not established yet: call
--- connection:establish(deadline), and give it back with release().
---@param fresh boolean? whether it must not have waited in the pool
---@return table|nil connection
---@return eventlog.Error? err
function Client:checkout(fresh)
  if self.closed then return nil, closed_error() end
  local connection = not (fresh or self.driver.has_pool) and take_idle(self)
  if not connection then
    local settings = self.settings
    if settings.tls then
      return nil, Error.new("unsupported", "this version has no TLS: use " ..
        "redis:// or a TLS proxy such as stunnel")
    end
    local transport, err = self.driver.open(settings)
    if not transport then return nil, err end
    connection = Connection.new(transport, settings)
  end
  self.in_use[connection] = true
  return connection
end

--- Establishes a connection that was checked out, and tells of it.
---@param connection table
---@param log string? name
---@param deadline number? of system.now()
---@return true|nil ok
---@return eventlog.Error? err
function Client:establish(connection, log, deadline)
  if connection:is_established() then return true end
  local ok, err = connection:establish(deadline)
  if ok and connection.fresh then
    connection.fresh = false
    self:tell("connected", log, "connected to " ..
      address.of(self.settings))
  end
  return ok, err
end

--- Whether the server answers what it is asked, as one that still loads its data
--- does not. Returns true, or nil, err.
local function check_answer(self, connection)
  local request = self:take_request()
  request:command("PING")
  local ok, err = connection:send(request, 1)
  local kind
  if ok then kind, err = connection:reply() end
  if not kind then return nil, err end
  self:give_request(request)
  if kind == "error" then
    err = Error.from_server(connection.decoder:value())
    if Error.passes(err) then return nil, err end -- else it is ready, and strict
  end
  self:note_ready()
  return true
end

--- A connection that is established, or nil, err.
local function acquire(self, log)
  local connection, err = self:checkout()
  if not connection then return nil, err end
  local ok = connection.reused -- then it was established before
  if not ok then ok, err = self:establish(connection, log) end
  if ok and self.waits_for_first then ok, err = check_answer(self, connection) end
  if ok then return connection end
  self:release(connection, log)
  return nil, self.closed and closed_error() or err
end

--- A connection that is established, for one operation on a log. The first one is
--- waited for if the option retry_first_connection says so.
---@param log string name
function Client:acquire(log)
  local connection, err = acquire(self, log)
  if connection or not self.waits_for_first then return connection, err end
  local give_up = system.now() + self.settings.reconnect_timeout
  local delay = backoff.FIRST
  while not connection and Error.passes(err) and system.now() + delay <= give_up do
    self:tell("reconnecting", log, err.message)
    local pause, ok
    pause, delay = backoff.step(delay, backoff.LONGEST)
    ok, err = self:pause(pause)
    if not ok then return nil, err end
    connection, err = acquire(self, log)
  end
  return connection, err
end

--- Takes a connection back, whatever state it is in.
---@param connection table
---@param log string? name
function Client:release(connection, log)
  self.in_use[connection] = nil
  self.time = system.now()
  local was_lost = connection:is_lost()
  if connection:was_silent() then self.idle:clear() end
  if self.closed or not connection:is_clean() then
    connection:close()
  elseif self.driver.has_pool then
    connection:keep(self.settings.pool_size, self.settings.pool_idle)
  else
    self.idle:put(connection, self.time)
  end
  if was_lost then
    self:tell("disconnected", log, "lost the connection to " ..
      address.of(self.settings))
  end
end

--- Suspends the caller for some seconds. Returns true, or nil, err.
---@param seconds number
function Client:pause(seconds)
  if self.closed then return nil, closed_error() end
  local why = self.driver.interrupted and self.driver.interrupted()
  if why then return nil, Error.new("exiting", why) end
  local transport, err = self.driver.open(self.settings)
  if not transport then return nil, err end
  local time = system.now() + seconds
  local ok
  ok, err = Connection.new(transport, self.settings):sleep_until(time)
  transport:close()
  return ok, err
end

--- An empty request; give it back when its replies have come.
function Client:take_request()
  return self.requests:take(self.time) or core.request()
end

function Client:give_request(request)
  request:clear()
  self.requests:put(request, self.time)
end

--- Ends its followers, closes what it holds. What waits in another coroutine
--- returns kind "closed", as does every later call. Idempotent.
function Client:close()
  check_self(self, "close")
  self.closed = true
  for follower in pairs(self.followers) do follower:close() end
  for connection in pairs(self.in_use) do connection:abort() end
  self.idle:clear()
end

return M
