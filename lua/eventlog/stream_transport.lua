--- Moves a connection's bytes over a stream that somebody else owns, such as an
--- OpenResty cosocket: it brings and takes strings, and waits by itself.
--- The methods are those of fd_transport.lua.
---
--- A stream has:
---   stream:connect(timeout)       -> true | nil, "timeout" | nil, why
---   stream:send(bytes)            -> true | nil, why (it sends all or fails)
---   stream:receive(timeout)       -> bytes | nil, "timeout" | nil, why
---   stream:idle() -> boolean; stream:shutdown(); stream:close()
--- Timeouts are in seconds, and 0 does not wait, where the stream can do that.

local core = require "eventlog.core"

local Transport = {}
Transport.__index = Transport
Transport.__name = "eventlog.StreamTransport"

local M = {}

function M.new(stream)
  return setmetatable({ stream = stream, closed = false }, Transport)
end

--- What a stream returned, as a transport returns it.
local function outcome(self, result, why)
  if result then return result end
  if self.closed then return nil, "closed", "closed" end
  if why == "timeout" then return false end
  return nil, "connection", "connection lost: " .. tostring(why)
end

local function left(deadline)
  return math.max(0, deadline - core.now())
end

function Transport:connect(deadline)
  local ok, why = self.stream:connect(left(deadline))
  if not ok and why ~= "timeout" then
    return nil, "connection", "cannot connect: " .. tostring(why)
  end
  return outcome(self, ok, why)
end

function Transport:send(request)
  local bytes = request:bytes()
  if bytes == "" then return true end
  local ok, why = self.stream:send(bytes)
  if ok then request:sent(#bytes) end
  return outcome(self, ok, why)
end

function Transport:receive(decoder, deadline)
  local bytes, kind, why = outcome(self, self.stream:receive(left(deadline)))
  if not bytes then return bytes, kind, why end
  return decoder:feed(bytes)
end

function Transport:idle()
  return not self.closed and self.stream:idle()
end

function Transport:shutdown()
  self.closed = true
  self.stream:shutdown()
end

function Transport:close()
  if self.closed == "done" then return end
  self.closed = "done"
  self.stream:close()
end

return M
