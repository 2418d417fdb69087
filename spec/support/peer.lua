--- A peer that is no Redis, or a bad one: peer.pl, which listens.

local redis = require "spec.support.redis"

local Peer = {}
Peer.__index = Peer

local M = {}

local function hex(text)
  return (text:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

--- What a peer does on a connection: reads until `awaits` has come ("": it does
--- not wait), sends `says` before it reads on, then closes, or holds the connection
--- in silence.
---@class spec.Peer.Behaviour
---@field awaits string?
---@field says string?
---@field closes boolean?
---@field pours boolean? then says "x", again and again, for ever

--- Starts one that behaves so, or, where it is given a list, so on its first
--- connection, so on its second, and so on, the last one repeated.
--- options.tcp: on a port of 127.0.0.1 instead of a Unix socket; options.deaf:
--- it accepts nobody, and its backlog is full (with tcp).
--- It has url, and path or port.
---@param behaviour spec.Peer.Behaviour|spec.Peer.Behaviour[]
---@param options { tcp: boolean?, deaf: boolean? }?
function M.start(behaviour, options)
  options = options or {}
  local dir = redis.sh("mktemp -d")
  local port = options.tcp and redis.free_port()
  local self = setmetatable({ dir = dir, port = port }, Peer)
  if port then
    self.url = "redis://127.0.0.1:" .. port
  else
    self.path = dir .. "/peer.sock"
    self.url = "unix://" .. self.path
  end
  local script = assert(io.open(dir .. "/script", "w"))
  for _, step in ipairs(behaviour[1] and behaviour or { behaviour }) do
    script:write(step.closes and "close " or step.pours and "pour " or "hold ",
      hex(step.awaits or ""), " ", hex(step.says or ""), "\n")
  end
  script:close()
  self.pid = tonumber(redis.sh("perl spec/support/peer.pl %s %s %s", port or self.path,
    dir, options.deaf and "deaf" or ""))
  return self
end

--- All that it was sent: on its nth connection, "" where there was none; or on
--- all of them.
---@param n integer?
---@return string bytes
function Peer:heard(n)
  if not n then
    local all = {}
    while self:has_met(#all + 1) do all[#all + 1] = self:heard(#all + 1) end
    return table.concat(all)
  end
  local file = io.open(self.dir .. "/heard." .. n, "rb")
  if not file then return "" end
  local bytes = file:read("*a")
  file:close()
  return bytes
end

--- Whether somebody connected for the nth time.
---@return boolean
function Peer:has_met(n)
  local file = io.open(self.dir .. "/heard." .. n, "rb")
  if file then file:close() end
  return file ~= nil
end

function Peer:stop()
  redis.sh("kill %d 2>/dev/null; rm -rf %s", self.pid, self.dir)
end

return M
