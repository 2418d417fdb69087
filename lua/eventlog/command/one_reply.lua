--- Commands of one reply that is a number: commands of call.lua, for all logs. Their
--- calls have the log's name.

local script_command = require "eventlog.command.script_command"
local scripts = require "eventlog.command.scripts"

local M = {}

local function take_integer(command, connection, kind)
  if kind == "integer" then return connection.decoder:value() end
  return connection:reject("protocol", "the reply is not " .. command.words .. "'s")
end

--- How many entries a log has.
M.length = { words = "XLEN", take = take_integer }

function M.length:encode(request, _, name) -- luacheck: no self
  request:command("XLEN", name)
  return 1
end

--- Deletes a log, with the tokens beside it: how many logs that were. Their key is the
--- second of what a call has.
M.delete = { words = "EVAL", take = take_integer, changes = true }

function M.delete:encode(request, how, name, tokens_key) -- luacheck: no self
  local by, text = script_command.of(scripts.delete, how == "whole")
  request:command(by, text, 2, name, tokens_key)
  return 1
end

return M
