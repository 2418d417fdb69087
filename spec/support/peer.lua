--- A peer that is no Redis, or a bad one: peer.pl, which listens, and does the
--- same to whoever connects.

local redis = require "spec.support.redis"

local Peer = {}
Peer.__index = Peer

local M = {}

local function hex(text)
  return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

--- What a peer does: reads until `awaits` has come ("": nothing), sends `says`,
--- then closes, or holds the connection and says no more.
---@class spec.Peer.Options
---@field awaits string?
---@field says string?
---@field closes boolean?
---@field deaf boolean? accepts nobody, and has a full backlog (with tcp)
---@field tcp boolean? on a port of 127.0.0.1 instead of a Unix socket

--- Starts one. It has url, and path or port.
---@param options spec.Peer.Options
function M.start(options)
  local dir = redis.sh("mktemp -d")
  local port = options.tcp and redis.free_port()
  local self = setmetatable({ dir = dir, port = port }, Peer)
  if port then
    self.url = "redis://127.0.0.1:" .. port
  else
    self.path = dir .. "/peer.sock"
    self.url = "unix://" .. self.path
  end
  self.pid = tonumber(redis.sh("perl spec/support/peer.pl %s %s/heard %s %s %s",
    port or self.path, dir, options.deaf and "deaf" or
    options.closes and "close" or "hold", redis.quote(hex(options.awaits or "")),
    redis.quote(hex(options.says or ""))))
  return self
end

--- All that it was sent, by whoever connected, in order of arrival.
function Peer:heard()
  local file = assert(io.open(self.dir .. "/heard", "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

function Peer:stop()
  redis.sh("kill %d 2>/dev/null; rm -rf %s", self.pid, self.dir)
end

return M
