--- Tokens of idempotent adds: by them the server knows an add that it has seen.
--- A client has a name nobody else has, and as many slots as it makes adds at a
--- time; each add takes a slot, and the slot's next number.

local core = require "eventlog.core"

local Tokens = {}
Tokens.__index = Tokens
Tokens.__name = "eventlog.Tokens"

local M = {}

--- 128 random bits, as hex digits.
local function random_name()
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(16)
  if file then file:close() end
  if not bytes then
    error("eventlog: idempotent adds need /dev/urandom, which cannot be read", 0)
  end
  return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

function M.new()
  return setmetatable({ pid = nil, name = nil, free = {}, slots = 0 }, Tokens)
end

--- A slot for one add, whatever it is retried. slot.name and slot.number are its
--- token.
function Tokens:take()
  local pid = core.pid()
  if self.pid ~= pid then -- new, or the child of a fork: not our parent's slots
    self.pid, self.name, self.free, self.slots = pid, random_name(), {}, 0
  end
  local slot = table.remove(self.free)
  if not slot then
    self.slots = self.slots + 1
    slot = { name = self.name .. ":" .. self.slots, number = 0, pid = pid }
  end
  slot.number = slot.number + 1
  return slot
end

--- Gives a slot back when its add is decided. One whose add may still land is
--- not given back: that add would take the place of the slot's next one.
function Tokens:give(slot)
  if slot.pid == self.pid then table.insert(self.free, slot) end
end

return M
