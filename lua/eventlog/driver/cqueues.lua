--- Waits with cqueues.poll(), which suspends the calling coroutine of a running
--- controller. Outside of one it blocks, so that a program can use a log before
--- its loop runs.

local cqueues = require "cqueues"
local fd_transport = require "eventlog.fd_transport"

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
--- next one of that number for it. So, too, where nobody closed the connection
--- and it is collected: what is younger than the socket is finalized first.
function M.open(settings)
  local object = {} -- what cqueues polls; pollfd is nil where it knows of none
  local guard

  local function forget()
    if object.pollfd then cqueues.cancel(object.pollfd) end
    object.pollfd = nil
  end

  local function wait(fd, mode, timeout)
    guard = guard or on_collect(forget)
    object.pollfd, object.events = fd, mode
    cqueues.poll(object, timeout)
  end

  return fd_transport.new(settings, wait, forget)
end

return M
