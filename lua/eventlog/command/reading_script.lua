--- How the scripts that only read are run. EVAL and EVALSHA are there on
--- every server, but ask for write access to their keys; EVAL_RO and EVALSHA_RO
--- (Redis 7) ask for read access. The first two come first; when the user is refused
--- them, the other two, which is noted for the server.

local M = {}

local READ_ONLY = "_RO"

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

local function is_unknown(err)
  return err.kind == "unsupported" and err.message:find("^unknown command") ~= nil
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
  local was_read_only = command:find(READ_ONLY, 1, true)
  local denied = err.code == "NOPERM"
  if not (denied or refused and is_unknown(err)) then return err end
  -- The other way: also back, if neither is granted.
  abilities.reads_by = was_read_only and "" or READ_ONLY
  return refused
end

return M
