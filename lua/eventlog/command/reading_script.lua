--- How the scripts that only read are run. EVAL and EVALSHA are there on
--- every server, but ask for write access to their keys; EVAL_RO and EVALSHA_RO
--- (Redis 7) ask for read access. The first two come first; when the user is refused
--- them, the other two, which is noted for the server.

local M = {}

--- The command that runs a script, and the word behind that command.
---@param abilities eventlog.Abilities
---@param script table of scripts.lua
---@param whole boolean whether to send the script's body, not its sha
---@return string command
---@return string text
function M.command(abilities, script, whole)
  local suffix = abilities.reads_by
  if whole then return "EVAL" .. suffix, script.body end
  return "EVALSHA" .. suffix, script.sha
end

return M
