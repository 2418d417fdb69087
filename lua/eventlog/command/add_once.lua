--- Adds entries by once_script.lua, which knows what it has added: idempotent adds, and
--- adds under a condition. A command of call.lua; its calls have an
---@class eventlog.OnceAdd
---@field args string the entries, encoded
---@field argc integer how many arguments that is
---@field n integer how many entries
---@field group string as Tokens:group() returns it
---@field lane table? as Tokens:take() returns it; nil: it is added as often as it is sent
---@field expected string? the last id under which alone it is added

local Error = require "eventlog.base.error"
local core = require "eventlog.core"
local once_script = require "eventlog.command.once_script"
local script_command = require "eventlog.command.script_command"

local AddOnce = { changes = true, adds = true }
AddOnce.__index = AddOnce
AddOnce.__name = "eventlog.AddOnce"

local M = {}

---@param name string of the log
---@param tokens_key string of the log's tokens
---@param settings table of the log; whether its adds may be sent again: idempotent
---@param keep_ms integer for how long the server keeps a token
function M.new(name, tokens_key, settings, keep_ms)
  return setmetatable({
    name = name,
    tokens_key = tokens_key,
    keep_ms = keep_ms,
    ttl_ms = settings.ttl_ms or 0,
    max_length = settings.max_length or 0,
    repeats = settings.idempotent,
  }, AddOnce)
end

---@param add eventlog.OnceAdd
function AddOnce:encode(request, how, add)
  local by, text = script_command.of(once_script, how == "whole")
  local lane = add.lane
  local head, argc = core.head(by, text, 2, self.name, self.tokens_key,
    lane and lane.name or "", lane and lane.number or 0, self.keep_ms, add.group,
    add.expected or "", self.ttl_ms, self.max_length)
  request:encoded(head .. add.args, argc + add.argc)
  return 1
end

---@param add eventlog.OnceAdd
function AddOnce:take(connection, _, add) -- luacheck: no self
  local decoder = connection.decoder
  local list, failure, why = decoder:strings(1, 2)
  if list and list[1] == "conflict" and add.expected and
    decoder:length() == 2 and core.id(list[2]) then
    local err = Error.new("conflict", "the log's last id is " .. list[2])
    err.last_id, err.outcome = list[2], "none"
    return nil, err
  end
  if list and list[1] == "ok" and decoder:length() == add.n + 1 then
    list, failure, why = decoder:strings(2, add.n, "ids")
  elseif list then
    list, failure, why = nil, "protocol", "the reply is not the script's"
  end
  if list then return list end
  return connection:reject(failure, why)
end

return M
