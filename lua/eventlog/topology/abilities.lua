--- What is found out about the servers of a topology when they are used, and holds
--- for each connection to them: nothing is concluded from a version. A server that
--- lacks something is asked in another way from then on.

local M = {}

---@class eventlog.Abilities
---@field has_multi boolean whether a unit has met MULTI there
---@field reads_by ""|"_RO" what ends the names of the commands by which scripts that
---  only read are called
---@field asks_state_by integer the way in which XINFO is asked (command/xinfo.lua)
---@field waits_alone boolean whether nothing may stand behind a command that waits

---@return eventlog.Abilities
function M.new()
  return { has_multi = false, reads_by = "", asks_state_by = 1, waits_alone = false }
end

return M
