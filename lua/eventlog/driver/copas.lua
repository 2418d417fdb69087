--- Waits with copas.receive() and copas.send(), which suspend the calling
--- coroutine until select() finds a socket ready. They are given something that
--- looks like a socket to them, and is never more than waited for.
---
--- Since copas 3 such a wait has a timeout. Older ones know no time at all:
--- there, a coroutine of ours, the clock, waits for a timer's descriptor, and
--- makes ready for select() whatever waited long enough.

local copas = require "copas"
local core = require "eventlog.core"
local Error = require "eventlog.base.error"
local fd_transport = require "eventlog.transport.fd_transport"
local system = require "eventlog.base.system"
local socket = require "socket"

local M = {}

-- What select() cannot see.
local TOO_LARGE = socket._SETSIZE or 1024

-- Always ready to be written.
local writable = assert((socket.udp4 or socket.udp)())

--- What copas takes for a socket. A fresh one for each wait: copas keeps a wait
--- that ran out in the queue of its socket.
local Waiter = {}
Waiter.__index = Waiter

--- What select() asks. A wait that is over is on a descriptor of ours, which is
--- there whatever became of the connection's.
function Waiter:getfd()
  return self.over and writable:getfd() or self.fd
end

--- Asked of what is to be read: whether it is ready without select().
function Waiter:dirty()
  return self.over
end

--- The first time, copas is told to wait; then, that it is done.
local function pretend(self)
  if self.waited then return true end
  self.waited = true
  return nil, "timeout", 0
end

Waiter.receive = pretend
Waiter.send = pretend

--- Old copas closes what a coroutine that ended waited for last.
function Waiter:close() end -- luacheck: no self

--- Holds the transport, so that its socket is not collected, and closed, while
--- select() looks at it.
local function new_waiter(fd, transport)
  return setmetatable({ fd = fd, transport = transport }, Waiter)
end

local function suspend(waiter, mode)
  if mode == "w" then
    copas.send(waiter, "")
  else
    copas.receive(waiter)
  end
end

-- The clock. It ends when the timer goes off and nobody waits, so that it keeps
-- no loop alive.
local clock = { deadlines = {} } -- of waiters

--- Has the timer go off by then.
function clock.arm(deadline)
  if clock.armed and clock.armed <= deadline then return end
  clock.armed = deadline
  clock.timer:set(math.max(deadline - system.now(), 0))
end

--- What the clock's coroutine does.
function clock.run()
  while next(clock.deadlines) do
    suspend(new_waiter(clock.timer:fd()), "r")
    clock.armed = nil
    clock.timer:set(nil)
    local now, soonest = system.now(), math.huge
    for waiter, deadline in pairs(clock.deadlines) do
      if deadline <= now then
        waiter.over = true
        clock.deadlines[waiter] = nil
      else
        soonest = math.min(soonest, deadline)
      end
    end
    if soonest < math.huge then clock.arm(soonest) end
  end
  clock.running = false
end

--- Makes the timer. Returns true, or nil, err.
function clock.prepare()
  -- A child that was forked would set its parent's timer.
  if clock.pid == system.pid() then return true end
  local timer, kind, why = core.timer()
  if timer and timer:fd() >= TOO_LARGE then
    timer, kind, why = nil, "unsupported", "too many open files for select()"
  end
  if not timer then return nil, Error.new(kind, "copas without timers: " .. why) end
  clock.timer, clock.pid, clock.armed, clock.running = timer, system.pid(), nil, false
  return true
end

function clock.suspend(waiter, mode, timeout)
  local deadline = system.now() + timeout
  clock.deadlines[waiter] = deadline
  clock.arm(deadline)
  if not clock.running then
    clock.running = true
    copas.addthread(clock.run)
  end
  suspend(waiter, mode)
  clock.deadlines[waiter] = nil
end

local has_timeouts = copas.settimeouts ~= nil

local function check_running()
  local me, is_main = coroutine.running()
  if me and not is_main then return end
  error('eventlog: the driver "copas" waits in coroutines only: make this call ' ..
    "in copas.addthread(function() ... end)", 0)
end

function M.open(settings)
  if not has_timeouts then
    local ok, err = clock.prepare()
    if not ok then return nil, err end
  end
  local transport
  local waiter -- of the wait that is under way

  local function wait(fd, mode, timeout)
    check_running()
    waiter = new_waiter(fd, transport)
    if not timeout then
      suspend(waiter, mode)
    elseif has_timeouts then
      timeout = math.max(timeout, 0.001) -- for 0 is for ever
      copas.settimeouts(waiter, nil, timeout, timeout)
      suspend(waiter, mode)
    else
      clock.suspend(waiter, mode, timeout)
    end
    waiter = nil
  end

  local function before_close()
    if waiter then waiter.over = true end
  end

  transport = fd_transport.new(settings, wait, before_close)
  transport.max_fd = TOO_LARGE - 1
  return transport
end

return M
