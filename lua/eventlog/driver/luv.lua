--- Waits with a poll handle and a timer of luv's loop, which resume the calling
--- coroutine. Both are closed when the wait ends, however it ends.

local fd_transport = require "eventlog.fd_transport"
local uv = require "luv"

local M = {}

--- The calling coroutine. Raises outside of one.
local function running()
  local me, is_main = coroutine.running()
  if me and not is_main then return me end
  error('eventlog: the driver "luv" waits in coroutines only: make this call ' ..
    "in coroutine.wrap(function() ... end)()", 0)
end

--- Begins to wait: the loop calls ready() once. Returns what ends it before.
local function watch(fd, mode, timeout, ready)
  local poll = assert(uv.new_poll(fd))
  local timer = timeout and uv.new_timer()
  local function stop()
    if not poll then return end
    poll:close()
    if timer then timer:close() end
    poll = nil
  end
  local function wake()
    stop()
    ready()
  end
  poll:start(mode, wake)
  if timer then timer:start(math.ceil(timeout * 1000), 0, wake) end
  return stop
end

function M.open(settings)
  local transport

  local function stop()
    if transport.stop then transport.stop() end
    transport.stop = nil
  end

  --- What the loop calls holds the transport, through stop: should nobody else
  --- do, its socket is not collected, and closed, while the loop watches it.
  local function wait(fd, mode, timeout)
    local me = running()
    transport.stop = watch(fd, mode, timeout, function()
      stop()
      -- Who was closed meanwhile waits no more.
      if coroutine.status(me) ~= "suspended" then return end
      local ok, why = coroutine.resume(me)
      if not ok then error(debug.traceback(me, tostring(why)), 0) end
    end)
    coroutine.yield()
    stop() -- somebody else may have resumed us
  end

  transport = fd_transport.new(settings, wait, stop)
  return transport
end

return M
