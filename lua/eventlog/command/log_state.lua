--- Where a log stands, as the server says it: what scripts.state answers, checked.

local core = require "eventlog.core"

---@class eventlog.State
---@field last string id that was generated last; "0-0": no log
---@field first string? id of the oldest entry
---@field newest string? id of the newest entry
---@field length integer
---@field added integer? entries ever; nil before Redis 7, or if too large to be exact
---@field removed integer? of those: trimmed or deleted
---@field deleted string the highest id that XDEL took; "0-0": none, or not known
---@field gone boolean whether the entry that was asked for is not there
---@field older string? if that is gone and nothing is counted: id of the newest
---  entry before it

local M = {}

-- How many items scripts.state answers.
M.SIZE = 7

-- Up to here a number of Redis's Lua, a double, is exact.
local MAX_COUNT = 2 ^ 53

-- What each of these must be.
local function id_or_none(text) return text == "" or core.id(text) end
local function count(text) return text:find("^%d+$") end
local function count_or_none(text) return text == "" or count(text) end
local function flag_or_id(text)
  return text == "0" or text == "1" or text:find("-", 1, true) and core.id(text)
end
local ITEMS = { core.id, id_or_none, id_or_none, count, count_or_none, id_or_none,
  flag_or_id }

--- A length, as the server answers it; nil if it is none.
---@param text string
---@return integer? length
function M.length(text)
  return count(text) and tonumber(text)
end

--- A state, of what the server answered; nil if that cannot be its answer.
---@param list string[]
---@return eventlog.State?
function M.parse(list)
  for i, check in ipairs(ITEMS) do
    if not check(list[i]) then return nil end
  end
  local length, added = tonumber(list[4]), tonumber(list[5])
  if added and (added > MAX_COUNT or added < length) then added = nil end
  return {
    last = list[1], first = list[2] ~= "" and list[2] or nil,
    newest = list[3] ~= "" and list[3] or nil, length = length, added = added,
    removed = added and added - length,
    deleted = list[6] ~= "" and list[6] or "0-0", gone = list[7] ~= "0",
    older = #list[7] > 1 and list[7] or nil,
  }
end

return M
