--- Tokens of idempotent adds: by them the server knows an add that it has seen.
--- A client has a name nobody else has, and as many lanes as it makes adds at a
--- time; each add takes a lane, and the lane's next number.

local Error = require "eventlog.base.error"
local system = require "eventlog.base.system"

local Tokens = {}
Tokens.__index = Tokens
Tokens.__name = "eventlog.Tokens"

local M = {}

function M.new()
  return setmetatable({
    pid = nil, -- of the process that these are of
    name = nil,
    group_name = nil,
    free = {}, -- lanes
    lanes = 0,
  }, Tokens)
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

--- The name that this process's client has, and nobody else: 128 random bits, as
--- hex digits. Or nil, err if the system has none to give.
---@return string|nil name
---@return eventlog.Error? err
function Tokens:identify()
  local pid = system.pid()
  if self.pid ~= pid then -- new, or the child of a fork: not our parent's lanes
    local bytes, _, why = system.random(16)
    if not bytes then
      return nil, Error.new("connection", "no random bytes, which an add of " ..
        "several entries, or an idempotent one, needs: " .. why)
    end
    local name = hex(bytes)
    self.name, self.group_name = name, "eventlog:" .. name
    self.free, self.lanes = {}, 0
    self.pid = pid -- last: an error, such as Ctrl-C's, may break this off
  end
  return self.name
end

--- A name for a consumer group of a log, for the time of one unit: nobody else has
--- it. Or nil, err.
---@return string|nil name
---@return eventlog.Error? err
function Tokens:group()
  local name, err = self:identify()
  if not name then return nil, err end
  return self.group_name
end

--- A lane for one add, whatever it is retried. lane.name and lane.number are its
--- token. Or nil, err.
---@return table|nil lane
---@return eventlog.Error? err
function Tokens:take()
  local name, err = self:identify()
  if not name then return nil, err end
  local lane = table.remove(self.free)
  if not lane then
    self.lanes = self.lanes + 1
    lane = { name = name .. ":" .. self.lanes, number = 0, pid = self.pid }
  end
  lane.number = lane.number + 1
  return lane
end

--- Gives a lane back when its add is decided. One whose add may still land is
--- not given back: that add would take the place of the lane's next one.
function Tokens:give(lane)
  if lane.pid == self.pid then table.insert(self.free, lane) end
end

return M
