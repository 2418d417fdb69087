--- Moves a connection's bytes over a socket of its own, whose descriptor
--- somebody waits on: poll(), or the host's scheduler.
---
--- A transport is one of two kinds; stream_transport.lua is the other. Both
--- have these methods, and what uses them knows neither. Deadlines are times of
--- core.now(). `false` means: not by that deadline; the call can be repeated,
--- and goes on where it was. give_up is when the peer has been silent for too
--- long: for a transport that cannot go on with half a connect or send.
---
---   transport:connect(deadline, give_up)       -> true | false | nil, kind, why
---   transport:send(request, deadline, give_up) -> true, left | false | nil, kind, why
---     true: some of it, or all; so many bytes are left
---   transport:reply(decoder, deadline, least) -> type | true | false | nil, kind, why
---     the next reply's type; true: some bytes of it came. least: how many bytes
---     are to come at least, if that is known
---   transport:heard()     when bytes came last, of core.now()
---   transport:is_reused() whether connect() brought a connection that somebody
---                         kept, logged in already
---   transport:idle()      whether it is open and nothing came unasked; and, with a
---                         socket of our own, no parent process opened it
---   transport:sleep(seconds) before connect(); may end early
---   transport:shutdown()  wakes whoever waits in one of these
---   transport:close()     idempotent

local core = require "eventlog.core"

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
    socket = nil, -- until connect()
  }, Transport)
end

--- Calls socket[method](socket, argument) until it says something else than
--- "not yet", waiting in between. Waits may end early, so only the clock counts.
local function repeat_until(self, method, argument, mode, deadline)
  while true do
    local socket = self.socket
    if not socket then return nil, "closed", "closed" end
    local done, kind, why = socket[method](socket, argument)
    if done ~= false then return done, kind, why end
    local left = deadline - core.now()
    if left <= 0 then return false end
    self.wait(socket:fd(), mode, left)
  end
end

--- Waits for a socket that nothing comes from. Where there is no descriptor
--- left for one, of those up to max_fd that the scheduler can take, blocks: that
--- ends, and an error would not help.
function Transport:sleep(seconds)
  local socket = core.silent()
  if socket and self.max_fd and socket:fd() > self.max_fd then
    socket:close()
    socket = nil
  end
  if not socket then
    core.wait(-1, "r", seconds)
    return
  end
  self.socket = socket
  self.wait(socket:fd(), "r", seconds)
  self:close()
end

function Transport:connect(deadline)
  if not self.socket then
    local settings = self.settings
    local socket, kind, why
    if settings.path then
      socket, kind, why = core.unix(settings.path)
    else
      socket, kind, why = core.tcp(settings.host, settings.port)
    end
    if not socket then return nil, kind, why end
    self.socket = socket
    if self.spin then socket:set_spin(self.spin) end
  end
  return repeat_until(self, "finish", nil, "w", deadline)
end

function Transport:send(request, deadline)
  return repeat_until(self, "send", request, "w", deadline)
end

function Transport:reply(decoder, deadline, least)
  if not self.blocks then
    return repeat_until(self, "reply", decoder, "r", deadline)
  end
  local socket = self.socket
  if not socket then return nil, "closed", "closed" end
  return socket:reply(decoder, deadline, least)
end

function Transport:heard()
  return self.socket and self.socket:heard() or 0
end

function Transport:is_reused() -- luacheck: no self
  return false
end

function Transport:idle()
  return self.socket ~= nil and self.socket:idle()
end

function Transport:shutdown()
  if self.socket then self.socket:shutdown() end
end

function Transport:close()
  local socket = self.socket
  if not socket then return end
  self.socket = nil
  local fd = socket:fd()
  if fd and self.before_close then self.before_close(fd) end
  socket:close()
end

return M
