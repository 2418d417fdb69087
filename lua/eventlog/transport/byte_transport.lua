--- Moves a connection's bytes over a stream that somebody else owns, such as an
--- OpenResty cosocket: it brings and takes strings, and waits by itself.
--- The methods are those of fd_transport.lua, and, if the stream has a pool:
---
---   transport:keep(size, seconds)  gives it to that pool, of so many, which
---                         keeps each for so long, or closes it
---
--- and, if a stream belongs to whoever opened it:
---
---   transport:is_anothers() whether it is still used by another request
---
--- A stream has:
---   stream:connect(timeout)     -> true | nil, "timeout" | nil, why
---   stream:send(bytes, timeout) -> true | nil, why (it sends all, or fails)
---   stream:receive(timeout)     -> bytes | nil, "timeout" | nil, why
---   stream:sleep(seconds)
---   stream:close()
---   stream:is_reused(), stream:keep(size, seconds): if it has a pool
---   stream:is_anothers(): if it belongs to whoever opened it
--- Timeouts are in seconds; 0 does not wait, as far as the stream can do that.

local system = require "eventlog.base.system"

local Transport = {}
Transport.__index = Transport
Transport.__name = "eventlog.ByteTransport"

local M = {}

---@param stream table
---@param slice number? seconds: if nobody can wake the caller that waits in the stream,
---  receive() returns so often, for the caller to look around
function M.new(stream, slice)
  return setmetatable({ stream = stream, slice = slice, open = true, last_read = 0,
    is_stuck = false }, Transport)
end

local function left(deadline)
  return math.max(0, deadline - system.now())
end

-- Seconds before a Unix socket whose backlog is full is tried again, at first and
-- at most.
local FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1

function Transport:connect(_, give_up)
  local pause = FIRST_PAUSE
  while true do
    local ok, why = self.stream:connect(left(give_up))
    if ok then return true end
    if why == "timeout" then return false end
    why = tostring(why)
    if not why:find("temporarily unavailable", 1, true) then -- EAGAIN
      return nil, "connection", "cannot connect: " .. why
    end
    if left(give_up) == 0 then return false end
    self.stream:sleep(math.min(pause, left(give_up)))
    pause = math.min(2 * pause, LONGEST_PAUSE)
  end
end

local function lost(why)
  return nil, "connection", "connection lost: " .. tostring(why)
end

--- A send that ran out of time has sent who knows how much: nothing can follow it,
--- but what the server says is still read.
function Transport:send(request, deadline, give_up, decoder)
  local bytes = request:bytes()
  if bytes == "" then return true, 0 end
  if self.is_stuck then return decoder ~= nil and self:reply(decoder, deadline) end
  local ok, why = self.stream:send(bytes, left(give_up))
  if why == "timeout" then
    self.is_stuck = true
    return false
  end
  if not ok then return lost(why) end
  request:sent(#bytes)
  return true, 0
end

function Transport:reply(decoder, deadline)
  local kind, failure, why = decoder:next()
  if kind ~= false then return kind, failure, why end
  local bytes
  bytes, why = self.stream:receive(math.min(left(deadline), self.slice or math.huge))
  if bytes then
    self.last_read = system.now()
    local ok
    ok, failure, why = decoder:feed(bytes)
    if not ok then return nil, failure, why end
    kind, failure, why = decoder:next()
    return kind == false or kind, failure, why
  end
  if why == "timeout" then return false end
  return lost(why)
end

function Transport:sleep(seconds)
  self.stream:sleep(seconds)
end

function Transport:last_read_at()
  return self.last_read
end

function Transport:is_reused()
  local stream = self.stream
  return stream.is_reused ~= nil and stream:is_reused()
end

function Transport:is_anothers()
  local stream = self.stream
  return self.open and stream.is_anothers ~= nil and stream:is_anothers()
end

function Transport:keep(size, seconds)
  if size == 0 then return self:close() end
  self.open = false
  self.stream:keep(size, seconds)
end

function Transport:idle()
  return self.open
end

--- Whoever waits in the stream notices when its wait ends: nobody else may
--- touch the stream before.
function Transport:shutdown() -- luacheck: no self
end

function Transport:close()
  if not self.open then return end
  self.open = false
  self.stream:close()
end

return M
