--- Waits with cqueues.poll(), which suspends the calling coroutine of a running
--- controller. Outside of one it blocks, so that a program can use a log before
--- its loop runs.

local cqueues = require "cqueues"
local fd_transport = require "eventlog.transport.fd_transport"

local M = {}

--- Calls f when what holds the result is collected. Lua 5.1 finalizes userdata
--- only.
local function on_collect(f)
  local newproxy = rawget(_G, "newproxy")
  if not newproxy then return setmetatable({}, { __gc = f }) end
  local guard = newproxy(true)
  getmetatable(guard).__gc = f
  return guard
end

--- cqueues must hear of a descriptor before it is closed, or it will mistake the
--- next one of that number for it. So, too, if nobody closed the connection
--- and it is collected: what is younger than the socket is finalized first, so each
--- descriptor has a guard of its own.
function M.open(settings)
  local object = {} -- what cqueues polls
  local guards = {} -- of the descriptors that it knows

  local function forget(fd)
    if guards[fd] then cqueues.cancel(fd) end
    guards[fd] = nil
  end

  --- It cancels unless that was done, and the number is another descriptor's now.
  local function guard(fd)
    guards[fd] = on_collect(function(me)
      if guards[fd] == me then forget(fd) end
    end)
  end

  local function wait(fd, mode, timeout)
    if not guards[fd] then guard(fd) end
    object.pollfd, object.events = fd, mode
    cqueues.poll(object, timeout)
  end

  return fd_transport.new(settings, wait, forget)
end

return M
