--- Moves a connection's bytes over a socket of its own, whose descriptor
--- somebody waits on: poll(), or the host's scheduler.
---
--- A transport is one of two kinds; byte_transport.lua is the other. Both
--- have these methods, and what uses them knows neither. Deadlines are times of
--- system.now(). `false` means: not by that deadline; the call can be repeated,
--- and goes on where it was. give_up is when the peer has been silent for too
--- long: for a transport that cannot go on with half a connect or send.
---
---   transport:connect(deadline, give_up)       -> true | false | nil, kind, why
---   transport:send(request, deadline, give_up, decoder)
---                         -> true, left | type | false | nil, kind, why
---     true: some of it, or all, is sent, and so many bytes are left. With a decoder,
---     what the server says meanwhile is read, so that it never waits for us while we
---     wait for it: a reply's type; true: some bytes of it came
---   transport:reply(decoder, deadline, least) -> type | true | false | nil, kind, why
---     the next reply's type; true: some bytes of it came. least: how many bytes
---     are to come at least, if that is known
---   transport:last_read_at()  when bytes came last, of system.now()
---   transport:is_reused() whether connect() brought a connection that somebody
---                         kept, logged in already
---   transport:idle()      whether it is open and nothing came unasked; and, with a
---                         socket of our own, no parent process opened it
---   transport:sleep(seconds) before connect(); may end early
---   transport:shutdown()  wakes whoever waits in one of these
---   transport:close()     idempotent

local Connector = require "eventlog.transport.connector"
local core = require "eventlog.core"
local system = require "eventlog.base.system"

local Transport = {}
Transport.__index = Transport
Transport.__name = "eventlog.FdTransport"

local M = {}

---@param settings table where to: path, or host and port
---@param wait? fun(fd: integer, mode: "r"|"w", timeout: number?): boolean?
---  nil: blocks
---@param before_close fun(fd: integer)? for a scheduler that must be told
---@param spin integer? µs that one who blocks looks for an answer before he sleeps;
---  negative: as long as that pays
function M.new(settings, wait, before_close, spin)
  return setmetatable({
    settings = settings,
    wait = wait or core.wait,
    blocks = not wait,
    before_close = before_close,
    spin = spin,
    max_fd = nil, -- the highest descriptor that the scheduler can take
    connector = nil, -- while it connects
    sleeper = nil, -- the socket that pause() waits for
    socket = nil, -- once it is connected
  }, Transport)
end

--- Closes a socket of this transport; the scheduler hears of it before.
function Transport:drop(socket)
  local fd = socket:fd()
  if fd and self.before_close then self.before_close(fd) end
  socket:close()
end

--- Waits for a socket that nothing comes from. Where there is no descriptor
--- left for one, of those that the scheduler can take, blocks: that ends, and an
--- error would not help.
function Transport:pause(seconds)
  local socket = core.silent()
  if socket and self.max_fd and socket:fd() > self.max_fd then
    socket:close()
    socket = nil
  end
  if not socket then
    core.wait(-1, "r", seconds)
    return
  end
  self.sleeper = socket
  self.wait(socket:fd(), "r", seconds)
  self.sleeper = nil
  self:drop(socket)
end

Transport.sleep = Transport.pause

function Transport:connect(deadline)
  if self.socket then return true end
  local connector = self.connector
  if not connector then
    connector = Connector.new(self.settings, self)
    self.connector = connector
  end
  local socket, kind, why = connector:connect(deadline)
  if not socket then return socket, kind, why end
  self.socket, self.connector = socket, nil
  connector:close()
  if self.spin then socket:set_spin(self.spin) end
  return true
end

-- Seconds that a wait for the server to take more lasts, before what it says is
-- looked at again: at first, and at most.
local FIRST_LOOK, LAST_LOOK = 0.001, 0.1

function Transport:send(request, deadline, _, decoder)
  local look = FIRST_LOOK
  while true do
    local socket = self.socket
    if not socket then return nil, "closed", "closed" end
    local done, kind, why = socket:send(request)
    if done ~= false then return done, kind, why end
    local mode, read_mode = kind, kind
    if decoder then
      done, kind, why = socket:reply(decoder)
      if done ~= false then return done, kind, why end
      read_mode = kind
    end
    local left = deadline - system.now()
    if left <= 0 then return false end
    if mode == read_mode then
      self.wait(socket:fd(), mode, left)
    elseif self.blocks then
      self.wait(socket:fd(), "rw", left)
    else -- a host's function waits for one of the two
      self.wait(socket:fd(), mode, math.min(left, look))
      look = math.min(2 * look, LAST_LOOK)
    end
  end
end

function Transport:reply(decoder, deadline, least)
  local socket = self.socket
  if self.blocks and socket then return socket:reply(decoder, deadline, least) end
  while true do
    socket = self.socket
    if not socket then return nil, "closed", "closed" end
    local kind, failure, why = socket:reply(decoder)
    if kind ~= false then return kind, failure, why end
    local left = deadline - system.now()
    if left <= 0 then return false end
    self.wait(socket:fd(), failure, left) -- "r" or "w", as the socket says
  end
end

function Transport:last_read_at()
  return self.socket and self.socket:last_read_at() or 0
end

function Transport:is_reused() -- luacheck: no self
  return false
end

function Transport:idle()
  return self.socket ~= nil and self.socket:idle()
end

function Transport:shutdown()
  if self.connector then self.connector:shutdown() end
  if self.sleeper then self.sleeper:shutdown() end
  if self.socket then self.socket:shutdown() end
end

function Transport:close()
  local connector, sleeper, socket = self.connector, self.sleeper, self.socket
  self.connector, self.sleeper, self.socket = nil, nil, nil
  if connector then connector:close() end
  if sleeper then self:drop(sleeper) end
  if socket then self:drop(socket) end
end

return M
