--- Waits with a poll handle and a timer of luv's loop, which resume the calling
--- coroutine. Both are closed when the wait ends, however it ends.
---
--- luv (before 1.45, and on Lua 5.1 up to now) runs every callback on the stack of
--- the thread that loaded it. From there a coroutine cannot resume itself: if the
--- first coroutine that uses a log were the one to load luv, it would never wake.
--- So a thread that runs nothing else loads it.

local fd_transport = require "eventlog.transport.fd_transport"

-- Under this name the thread is never collected: luv holds a bare pointer to it.
local LOADER = "eventlog.driver.luv.loader"

--- The module luv.
local function load_luv()
  if package.loaded.luv then return package.loaded.luv end
  local loader = coroutine.create(function() return pcall(require, "luv") end)
  package.loaded[LOADER] = loader
  local _, found, uv = coroutine.resume(loader)
  if not found then error(uv, 0) end
  return uv
end

local uv = load_luv()

local M = {}

--- The calling coroutine. Raises outside of one.
local function running()
  local me, is_main = coroutine.running()
  if me and not is_main then return me end
  error('eventlog: the driver "luv" waits in coroutines only: make this call ' ..
    "in coroutine.wrap(function() ... end)()", 0)
end

--- Goes on with a coroutine that waits. An error here is luv's to report, as any
--- callback's: by default on standard error.
local function resume(co)
  local status = coroutine.status(co)
  if status == "dead" then return end -- it was closed meanwhile
  if status ~= "suspended" then
    error('eventlog: the driver "luv" cannot wake a coroutine that is ' .. status ..
      ": call uv.run() outside of coroutines that use a log, and require " ..
      '"luv" in the main thread, not in such a coroutine', 0)
  end
  local ok, why = coroutine.resume(co)
  if not ok then error(debug.traceback(co, tostring(why)), 0) end
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
      resume(me)
    end)
    coroutine.yield()
    stop() -- somebody else may have resumed us
  end

  transport = fd_transport.new(settings, wait, stop)
  return transport
end

return M
