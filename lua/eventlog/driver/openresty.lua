--- OpenResty: bytes move over cosockets, so that a wait suspends one light
--- thread and never the worker. Encoding and decoding stay in the C module.
---
--- A cosocket belongs to the request or timer that made it, so idle connections
--- wait in nginx's own pools. While one light thread reads a cosocket nobody
--- else can close it: whoever waits looks around every `slice` seconds.

local ngx = _G.ngx
if not ngx then error("this is no OpenResty", 0) end

local Error = require "eventlog.base.error"
local core = require "eventlog.core"
local semaphore = require "ngx.semaphore"
local byte_transport = require "eventlog.transport.byte_transport"

local M = {}

-- nginx keeps idle connections, and watches whether they are closed.
M.has_pool = true

-- Under a second, so that a reload is not held up by a follower.
M.slice = 0.5

-- Milliseconds are an int to nginx; from here on settimeout() raises.
local LONGEST_MS = 2 ^ 31 - 1

-- The most that is taken from a cosocket at once.
local CHUNK = 64 * 1024

--- Whether followers are to end by themselves.
function M.interrupted()
  return ngx.worker.exiting() and "the nginx worker is exiting" or nil
end

--- What tells one pool from another: connections of one pool are logged in the
--- same way. Only nginx sees it.
local function pool_name(settings)
  -- Quoted, so that no two of them read the same.
  return "eventlog" .. string.format(("%q"):rep(6),
    settings.path or settings.host .. ":" .. settings.port,
    settings.tls and "tls" or "plain", tostring(settings.db),
    settings.client_name or "", settings.username or "",
    ngx.md5(settings.password or ""))
end

--- Seconds as the milliseconds of a cosocket's timeout, of which 0 means the
--- default; up, so that a wait does not end just before its time.
local function to_ms(seconds)
  return math.min(math.max(1, math.ceil(seconds * 1000)), LONGEST_MS)
end

local Stream = {}
Stream.__index = Stream

function Stream:connect(timeout)
  local settings, socket = self.settings, self.socket
  socket:settimeout(to_ms(timeout))
  local options = { pool = pool_name(settings) }
  if settings.path then
    return socket:connect("unix:" .. settings.path, options)
  end
  local host = settings.host
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  local ok, why = socket:connect(host, settings.port, options)
  if not ok and why:find("no resolver", 1, true) then
    why = why .. " (give an address, or set nginx's resolver directive)"
  end
  return ok, why
end

--- Whether the connection came from the pool, and so is logged in.
function Stream:is_reused()
  return (self.socket:getreusedtimes() or 0) > 0
end

-- What surely goes at once, or nearly so.
local SMALL = 64 * 1024

-- Milliseconds that the reader beside a large send waits at a time.
local LOOK = 10

--- Whether a light thread has ended: by itself, or killed by its parent.
local function is_over(thread)
  local status = coroutine.status(thread)
  return status == "dead" or status == "zombie"
end

-- Seconds between two looks at whether a sender still lives.
local WATCH = 0.1

--- Takes what the server says while `sender` sends, until is_done() says that it
--- has. A light thread that is killed while it sends takes the socket along, and
--- nginx then never wakes who reads it, nor ends the request before that one has
--- ended: so somebody watches, who is the reader's parent and may kill it.
local function read_beside(sender, done, read)
  local reader = ngx.thread.spawn(read)
  local posted
  repeat posted = done:wait(WATCH) until posted or is_over(sender)
  if posted then return ngx.thread.wait(reader) end
  ngx.thread.kill(reader)
end

--- Sends all of it, or fails. Beside a large send light threads take what the
--- server says meanwhile, so that neither waits for the other.
function Stream:send(bytes, timeout)
  local socket, ms = self.socket, to_ms(timeout)
  if #bytes <= SMALL then
    socket:settimeout(ms)
    return socket:send(bytes)
  end
  socket:settimeouts(ms, ms, LOOK)
  local early, is_sent, done = self.early, false, semaphore.new()
  local beside = ngx.thread.spawn(read_beside, core.thread(), done, function()
    repeat
      local piece, why = socket:receiveany(CHUNK)
      if piece then early[#early + 1] = piece end
    until is_sent or not piece and why ~= "timeout"
  end)
  local ok, why = socket:send(bytes)
  is_sent = true
  done:post()
  ngx.thread.wait(beside)
  return ok, why
end

function Stream:receive(timeout)
  if self.early[1] then return table.remove(self.early, 1) end
  self.socket:settimeout(to_ms(timeout))
  return self.socket:receiveany(CHUNK)
end

--- Whether another request that is still alive made the socket: nginx then raises
--- "bad request". Once that one has ended, the socket is merely closed.
function Stream:is_anothers()
  local ok, why = pcall(self.socket.receive, self.socket, 0) -- takes nothing
  return not ok and tostring(why):find("bad request", 1, true) ~= nil
end

function Stream:sleep(seconds) -- luacheck: no self
  ngx.sleep(math.min(seconds, M.slice))
end

--- Gives the connection to nginx's pool.
function Stream:keep(size, seconds)
  local ok = self.socket:setkeepalive(to_ms(seconds), size)
  if not ok then self.socket:close() end
end

--- A cosocket of another request can only be left to that one: touching it
--- raises.
function Stream:close()
  pcall(self.socket.close, self.socket)
end

function M.open(settings)
  local ok, socket = pcall(ngx.socket.tcp)
  if not ok then
    return nil, Error.new("unsupported", string.format(
      "nginx has no cosockets in the phase %s: call this from " ..
      "ngx.timer.at(0, function() ... end)", ngx.get_phase()))
  end
  return byte_transport.new(setmetatable(
    { settings = settings, socket = socket, early = {} }, Stream), M.slice)
end

return M
