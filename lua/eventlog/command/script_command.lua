--- How scripts are called: by EVALSHA, or by EVAL if the server has forgotten them.
---
--- EVAL and EVALSHA are there on every server, but ask for write access to their keys;
--- EVAL_RO and EVALSHA_RO (Redis 7) ask for read access. For scripts that only read, the
--- first two come first; when the user is refused them, the other two, which is noted
--- for the server.

local M = {}

--- The command that calls a script, and the word behind that command.
---@param script table of scripts.lua
---@param whole boolean whether to send the script's body, not its sha
---@param suffix string? what ends the command's name
---@return string command
---@return string text
function M.of(script, whole, suffix)
  suffix = suffix or ""
  if whole then return "EVAL" .. suffix, script.body end
  return "EVALSHA" .. suffix, script.sha
end

--- The same for a script that only reads.
---@param abilities eventlog.Abilities
function M.reading(abilities, script, whole)
  return M.of(script, whole, abilities.reads_by)
end

return M
