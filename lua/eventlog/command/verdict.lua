--- What an error means for the caller: whether to ask once more, where, and whether
--- what was to be changed may have been changed. Adds and reads take it from here
--- through call.lua, followers through their pump. What an error says of the servers
--- themselves is for the topology to say.
---
--- On the same connection, since the server refuses to do it in this way:
---   "whole"      send the script's body: the server has forgotten the script
---   "other_way"  call the script by the other commands: the user may not use these
--- On another connection:
---   "anew"       at once: this one was dead before it was used
---   "elsewhere"  at once: the topology now knows better which endpoint has the key
---   "again"      in a moment: this passes
--- Or:
---   "never"      the caller is told

local M = {}

local READ_ONLY = "_RO"

local function is_unknown(err)
  return err.kind == "unsupported" and err.message:find("^unknown command") ~= nil
end

--- Whether a script is to be sent in another way, over the same connection.
---@param err eventlog.Error that it was answered with
---@param abilities eventlog.Abilities
---@param command string? by which it was called, if it only reads: as
---  script_command.reading() returned it; nil: by EVALSHA or EVAL, and the caller sees
---  to it that it is sent whole once
---@param refused eventlog.Error? the error for which this operation was sent the
---  other way already
---@return "whole"|"other_way"|nil how what script_command.reading() returns is
---  right now; nil: there is no such way
---@return eventlog.Error final the error to report, if there is none
function M.of_script(err, abilities, command, refused)
  if err.code == "NOSCRIPT" then
    if command and not command:find("SHA", 1, true) then return nil, err end -- it was
    return "whole", err
  end
  local denied = err.code == "NOPERM"
  if not command or not (denied or refused and is_unknown(err)) then return nil, err end
  -- The other way: also back, if neither is granted.
  abilities.reads_by = command:find(READ_ONLY, 1, true) and "" or READ_ONLY
  if refused then return nil, refused end
  return "other_way", err
end

--- Whether what a request asks to be changed may have been changed. Until its last
--- byte has left, the server cannot carry it out.
---@param err eventlog.Error
---@param request userdata
---@return "none"|"unknown"
function M.outcome(err, request)
  if err.outcome then return err.outcome end
  if err.kind == "server" or err.kind == "unsupported" then return "none" end -- it said so
  return request:size() > 0 and "none" or "unknown"
end

--- Where to go on, if anywhere.
---@param err eventlog.Error
---@param topology eventlog.Topology
---@param endpoint eventlog.Endpoint? nil: none was found
---@param connection table? nil: there was none
---@return "anew"|"elsewhere"|"again"|"never"
function M.of(err, topology, endpoint, connection)
  if connection and connection:was_stale() then return "anew" end
  return topology:note(endpoint, err)
end

return M
