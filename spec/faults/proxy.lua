--- A proxy between a client and a server, proxy.pl: breaks the link between them
--- in every way that a network knows, at a byte of our choosing. A command has
--- come into force when its method returns.
---
--- A connection that ends at the client's side is told to the server as an end,
--- behind all that was passed on; settle() waits until the server has heard it,
--- and so has done all that it was asked for.

local core = require "eventlog.core"
local redis = require "spec.support.redis"

local Proxy = {}
Proxy.__index = Proxy

local M = {}

-- A command that takes longer fails.
local SECONDS = 20

--- Starts one in front of a server. It has url and port. It ends with its last
--- commander, so that none is left behind.
---@param server string|integer a Unix socket's path or a port of 127.0.0.1
function M.start(server)
  local dir = redis.sh("mktemp -d")
  local self = setmetatable({ dir = dir }, Proxy)
  local pid, port = redis.sh("perl spec/faults/proxy.pl %s/control %s", dir, server)
    :match("^(%d+) (%d+)$")
  self.pid, self.port = tonumber(pid), tonumber(port)
  self.url = "redis://127.0.0.1:" .. port
  self.control = assert(core.unix(dir .. "/control"))
  return self
end

local function call(self, ...)
  local socket, decoder, request = self.control, core.decoder(), core.request()
  request:command(...)
  while request:size() > 0 do assert(socket:send(request) ~= nil) end
  local give_up = core.now() + SECONDS
  while true do
    core.wait(socket:fd(), "r", 1)
    local kind = socket:reply(decoder)
    if type(kind) == "string" then break end
    assert(kind ~= nil, "the proxy has gone")
    if core.now() > give_up then error("the proxy does not answer: " .. (...), 3) end
  end
  local answer = decoder:value()
  if answer:find("^failed") then error(answer, 3) end
  return answer
end

---@class spec.Proxy.Cut
---@field direction "request"|"reply"
---@field after integer bytes in that direction that are passed on; 0: when the
---  first one comes
---@field how "close"|"reset"|"stall"|"drop"|nil what happens then: FIN (default),
---  RST, nothing passes any more (until resume()), or nothing in that direction
---@field connections integer? of the next so many connections (default: all)
---@field present boolean? of those that are there instead, counted from now

--- Cuts connections at a byte. Several such rules wait in line: a new connection
--- takes the first one.
---@param rule spec.Proxy.Cut
function Proxy:cut(rule)
  call(self, "cut", rule.direction, rule.after, rule.how or "close",
    rule.connections or 0, rule.present and 1 or 0)
end

--- Passes nothing on, of present and of new connections, in one direction or in
--- both: a dead link, which nobody is told of.
---@param direction "request"|"reply"|nil
function Proxy:stall(direction)
  if direction then
    call(self, "stall", direction)
  else
    call(self, "stall", "request", "reply")
  end
end

--- Ends every stall.
function Proxy:resume() call(self, "resume") end

--- Passes bytes on so many milliseconds late.
---@param late { request: number?, reply: number? }
function Proxy:delay(late)
  call(self, "delay", late.request or 0, late.reply or 0)
end

--- Whether all that the server says is thrown away.
---@param on boolean
function Proxy:drop_replies(on) call(self, "drop_replies", on and 1 or 0) end

--- Stops listening: whoever connects is refused, which cannot be counted.
function Proxy:refuse() call(self, "refuse") end

--- Listens again, on the same port.
function Proxy:accept() call(self, "accept") end

--- Whether new connections are ended at once. These are counted.
---@param how "close"|"reset"|nil nil: no more
function Proxy:turn_away(how) call(self, "turn_away", how or 0) end

--- Whether new connections are accepted, and never read from. They stay so.
---@param on boolean
function Proxy:black_hole(on) call(self, "black_hole", on and 1 or 0) end

--- Ends all present connections.
---@param how "close"|"reset"|nil
function Proxy:kill_connections(how) call(self, "kill_connections", how or "close") end

--- Takes back every fault: but who was refused is not connected, and who is in a
--- black hole stays there.
function Proxy:heal() call(self, "heal") end

---@class spec.Proxy.Counts
---@field attempts integer connections that came
---@field connections integer those that were connected to the server
---@field open integer those that are there
---@field cuts integer rules of cut() that came true
---@field request integer bytes passed on
---@field reply integer bytes passed on
---@field dropped integer bytes thrown away

local function parse(text)
  local counts = {}
  for name, number in text:gmatch("(%a+) (%d+)") do counts[name] = tonumber(number) end
  return counts
end

--- What it has done so far.
---@return spec.Proxy.Counts
function Proxy:counts() return parse(call(self, "counts")) end

--- Waits until the server has done all that was passed on of connections that
--- have ended.
---@return spec.Proxy.Counts
function Proxy:settle() return parse(call(self, "settle")) end

--- Ends it.
function Proxy:stop()
  self.control:close() -- it goes with its last commander
  redis.sh("rm -rf %s", self.dir)
end

return M
