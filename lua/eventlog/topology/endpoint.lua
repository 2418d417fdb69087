--- An endpoint: one server's address, and the connections to it. An operation has
--- a connection to itself; idle ones wait in a pool, and go by their age.
--- Connections that are in use are held by their users only: a coroutine that is
--- dropped takes its half-read connection along to the garbage collector, and never
--- into the pool.

local core = require "eventlog.core"
local Connection = require "eventlog.session.connection"
local Error = require "eventlog.base.error"
local Pool = require "eventlog.topology.pool"
local address = require "eventlog.base.address"
local system = require "eventlog.base.system"

---@class eventlog.Endpoint
local Endpoint = {}
Endpoint.__index = Endpoint
Endpoint.__name = "eventlog.Endpoint"

local M = {}

-- While the server is down, how many attempts to connect a second its followers
-- make together.
local ATTEMPTS = 15

local function close(connection)
  connection:close()
end

--- Does no I/O.
---@param settings table of the client; where the server is: path, or host and port
---@param driver table
---@param events eventlog.Events
---@param abilities eventlog.Abilities of the topology
---@return eventlog.Endpoint
function M.new(settings, driver, events, abilities)
  return setmetatable({
    settings = settings,
    driver = driver,
    events = events,
    abilities = abilities, -- each connection has them, too
    idle = Pool.new(settings.pool_size, settings.pool_idle, close), -- connections
    -- Connections. Weak: what is in use does not live longer because of this.
    in_use = setmetatable({}, { __mode = "k" }),
    -- Whether the first connection is yet to be waited for.
    awaits_first = settings.retry_first_connection,
    closed = false,
    down = false,
    next_attempt = 0, -- to reconnect while it is down, of system.now()
  }, Endpoint)
end

--- Where the server is, for messages. Never with a password.
function Endpoint:address()
  return address.of(self.settings)
end

--- The server was found down, or answers again.
function Endpoint:note_down()
  self.down = true
end

function Endpoint:note_up()
  self.down = false
end

--- The server has answered for the first time.
function Endpoint:note_ready()
  self.awaits_first = false
end

--- Whether a follower may try to reconnect now: always when the server is up,
--- else as often as all followers together may.
function Endpoint:may_reconnect()
  local now = system.now()
  if not self.down then return true end
  if now < self.next_attempt then return false end
  self.next_attempt = now + 1 / ATTEMPTS
  return true
end

local function closed_error()
  return Error.new("closed", "the client is closed")
end

--- A connection for its caller alone, perhaps not established yet: call
--- establish(), and give it back with release().
---@param fresh boolean? whether it must not have waited in the pool
---@return table|nil connection
---@return eventlog.Error? err
function Endpoint:checkout(fresh)
  if self.closed then return nil, closed_error() end
  local connection
  if not (fresh or self.driver.has_pool) then
    local idle, now = self.idle, system.now()
    connection = idle:take(now)
    -- What has died is dropped, and what a parent process opened.
    while connection and not connection:is_alive() do
      connection:close()
      connection = idle:take(now)
    end
  end
  if connection then
    connection.reused, connection.answered = true, false
  else
    local transport, err = self.driver.open(self.settings)
    if not transport then return nil, err end
    connection = Connection.new(transport, self.settings)
    connection.abilities = self.abilities
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
function Endpoint:establish(connection, log, deadline)
  if connection:is_established() then return true end
  local ok, err = connection:establish(deadline)
  if ok and connection.fresh then
    connection.fresh = false
    self.events:tell("connected", log, "connected to " .. self:address())
  end
  return ok, err
end

--- Whether the server answers what it is asked, as one that still loads its data
--- does not. Returns true, or nil, err.
local function check_answer(self, connection)
  local request = core.request()
  request:command("PING")
  local ok, err = connection:send(request, 1)
  local kind
  if ok then kind, err = connection:reply() end
  if not kind then return nil, err end
  if kind == "error" then
    err = Error.from_server(connection.decoder:value())
    if Error.passes(err) then return nil, err end -- else it is ready, and strict
  end
  self:note_ready()
  return true
end

--- A connection that is established, for one operation on a log.
---@param log string name
---@return table|nil connection
---@return eventlog.Error? err
function Endpoint:acquire(log)
  local connection, err = self:checkout()
  if not connection then return nil, err end
  local ok, is_ready = connection.reused, not self.awaits_first
  if ok and is_ready then return connection end
  if not ok then ok, err = self:establish(connection, log) end
  if ok and not is_ready then ok, err = check_answer(self, connection) end
  if ok then return connection end
  self:release(connection, log)
  return nil, self.closed and closed_error() or err
end

--- Takes a connection back, whatever state it is in.
---@param connection table
---@param log string? name
function Endpoint:release(connection, log)
  self.in_use[connection] = nil
  if connection:is_clean() and not self.closed then -- and so it is not lost
    if not self.driver.has_pool then return self.idle:put(connection, system.now()) end
    return connection:keep(self.settings.pool_size, self.settings.pool_idle)
  end
  if connection:was_silent() then self.idle:clear() end
  connection:close()
  if connection:is_lost() then
    self.events:tell("disconnected", log, "lost the connection to " .. self:address())
  end
end

--- Suspends the caller for some seconds. Returns true, or nil, err.
---@param seconds number
function Endpoint:pause(seconds)
  if self.closed then return nil, closed_error() end
  local driver = self.driver
  local why = driver.interrupted and driver.interrupted()
  if why then return nil, Error.new("exiting", why) end
  local transport, err = driver.open(self.settings)
  if not transport then return nil, err end
  local time = system.now() + seconds
  local ok
  ok, err = Connection.new(transport, self.settings):sleep_until(time)
  transport:close()
  return ok, err
end

--- Closes what it holds. What waits in another coroutine returns kind "closed", as
--- does every later call. Idempotent.
function Endpoint:close()
  self.closed = true
  for connection in pairs(self.in_use) do connection:abort() end
  self.idle:clear()
end

return M
