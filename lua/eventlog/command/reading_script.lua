--- How a client runs the scripts that only read. EVAL and EVALSHA are there on
--- every server, but ask for write access to their keys; EVAL_RO and EVALSHA_RO
--- (Redis 7) ask for read access. A client begins with the first two; when a user
--- is refused them, the client goes over to the other two, and remembers that.

local M = {}

local READ_ONLY = "_RO"

--- The command that runs a script, and the word behind that command.
---@param client eventlog.Client
---@param script table of scripts.lua
---@param whole boolean whether to send the script's body, not its sha
---@return string command
---@return string text
function M.command(client, script, whole)
  local suffix = client.reads_by or ""
  if whole then return "EVAL" .. suffix, script.body end
  return "EVALSHA" .. suffix, script.sha
end

local function is_unknown(err)
  return err.kind == "unsupported" and err.message:find("^unknown command") ~= nil
end

--- What to do about the error that such a command was answered.
---@param client eventlog.Client
---@param command string as M.command() returned it
---@param err eventlog.Error
---@param refused eventlog.Error? the error for which this operation was sent the
---  other way already
---@return eventlog.Error? final the error to report; nil: the script is to be sent
---  again, with what M.command() returns now
function M.judge(client, command, err, refused)
  local was_read_only = command:find(READ_ONLY, 1, true)
  local denied = err.code == "NOPERM"
  if not (denied or refused and is_unknown(err)) then return err end
  -- The other way: also back, if neither is granted.
  client.reads_by = was_read_only and "" or READ_ONLY
  return refused
end

return M
