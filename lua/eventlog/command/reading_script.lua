--- How the scripts that only read are run. EVAL and EVALSHA are there on
--- every server, but ask for write access to their keys; EVAL_RO and EVALSHA_RO
--- (Redis 7) ask for read access. The first two come first; when the user is refused
--- them, the other two, which is noted for the server.

local verdict = require "eventlog.command.verdict"

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

--- What to do about the error that such a command was answered.
---@param abilities eventlog.Abilities
---@param command string as M.command() returned it
---@param err eventlog.Error
---@param refused eventlog.Error? the error for which this operation was sent the
---  other way already
---@return eventlog.Error? final the error to report; nil: the script is to be sent
---  again, with what M.command() returns now
function M.judge(abilities, command, err, refused)
  local how, final = verdict.of_script(err, abilities, command, refused)
  if not how then return final end
end

return M
