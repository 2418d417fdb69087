--- What a trace shows of requests and replies: commands as redis-cli's MONITOR shows
--- them, replies as redis-cli does. No password; of long arguments, which may be what
--- an entry holds, the beginning.

local core = require "eventlog.core"
local secrets = require "eventlog.base.secrets"

local M = {}

-- Bytes of an argument or a reply that are shown, and arguments of a command.
local LONGEST, MOST_ARGUMENTS = 48, 16

-- Items of an array that are looked at one by one.
local MOST_ITEMS = 16

local HIDDEN = '"***"'

--- Quoted, on one line.
local function show(text)
  if #text <= LONGEST then return core.quote(text) end
  return core.quote(text:sub(1, LONGEST)) .. "..."
end

--- Where the next "*<n>\r\n" or "$<n>\r\n" ends, and n; nil: there is none.
local function read_length(bytes, at, mark)
  local from, to, digits = bytes:find("^" .. mark .. "(%d+)\r\n", at)
  if from then return to + 1, tonumber(digits) end
end

--- The command at `at`: its arguments, as far as they are shown; how many it has; and
--- where it ends. nil: none begins there.
local function read_command(bytes, at)
  local next_at, count = read_length(bytes, at, "%*")
  local arguments = {}
  for i = 1, count or 0 do
    local length
    next_at, length = read_length(bytes, next_at, "%$")
    if not next_at then return nil end
    if i <= MOST_ARGUMENTS then arguments[i] = bytes:sub(next_at, next_at + length - 1) end
    next_at = next_at + length + 2
  end
  return next_at and arguments, count, next_at
end

--- Which of the arguments are secrets: the password of AUTH, and of HELLO's AUTH.
local function secret_index(arguments, count)
  local name = arguments[1]:upper()
  if name == "AUTH" then return count end
  if name ~= "HELLO" then return nil end
  for i = 2, #arguments do
    if arguments[i]:upper() == "AUTH" then return i + 2 end
  end
end

--- A command as a line shows it; and the password in it.
local function show_command(arguments, count)
  local hidden = secret_index(arguments, count)
  local words = { (arguments[1]:gsub("[^%w_.-]", "?")) }
  for i = 2, #arguments do
    words[i] = i == hidden and HIDDEN or show(arguments[i])
  end
  if count > #arguments then
    words[#words + 1] = string.format("... (%d more)", count - #arguments)
  end
  return table.concat(words, " "), hidden and arguments[hidden]
end

--- A request's commands, one line for each; of those that follow each other and have
--- the same name, the first, and how many more there are.
---@param bytes string whole commands
---@return string[] lines
---@return string? secret a password among the arguments
function M.of_request(bytes)
  local lines, at, secret = {}, 1, nil
  local text, name, from, more
  local function finish(to)
    if not text then return end
    if more > 0 then text = string.format("%s (and %d more %s)", text, more, name) end
    lines[#lines + 1] = string.format("%s (%d bytes)", text, to - from)
  end
  while at <= #bytes do
    local arguments, count, next_at = read_command(bytes, at)
    if not arguments or not arguments[1] then break end
    if text and arguments[1] == name then
      more = more + 1
    else
      finish(at)
      local password
      text, password = show_command(arguments, count)
      name, from, more, secret = arguments[1], at, 0, password or secret
    end
    at = next_at
  end
  finish(at)
  if at <= #bytes then
    lines[#lines + 1] = string.format("(%d bytes)", #bytes - at + 1)
  end
  return lines, secret
end

--- The server's words, without the password that it may repeat.
local function show_error(text, secret)
  return "(error) " .. core.quote(secrets.hide(text:gsub("%c+", " "), secret)):match('^"(.*)$')
    :gsub('"(%.*)$', "%1")
end

--- What is said of an array: the range of the entries in it, or its errors.
local function show_array(decoder, secret)
  local length = decoder:length() or 0
  if length == 0 then return "(empty array)" end
  for _, shape in ipairs { "range", "read" } do
    local count, last, first = decoder:page(shape, 2 ^ 31)
    if count and count > 0 then
      return string.format("(%d entries, %s to %s)", count, first, last)
    end
  end
  local parts = { string.format("(array of %d)", length) }
  local function look(first, count)
    local list, failure, why, at = decoder:strings(first, count)
    if failure == "server" then
      parts[#parts + 1] = string.format("%d) %s", first + at - 1, show_error(why, secret))
    elseif list and length <= MOST_ITEMS then
      parts[#parts + 1] = string.format("%d) %s", first, show(list[1]))
    end
  end
  for i = 1, math.min(length, MOST_ITEMS) do look(i, 1) end
  if length > MOST_ITEMS then look(MOST_ITEMS + 1, length - MOST_ITEMS) end
  return table.concat(parts, " ")
end

--- The reply at hand.
---@param kind string its type, as the decoder names it
---@param decoder userdata
---@param secret string? a password that was sent on this connection
---@return string
function M.of_reply(kind, decoder, secret)
  local value = decoder:value()
  if kind == "error" then return show_error(value, secret) end
  if kind == "array" then return show_array(decoder, secret) end
  if kind == "nil" then return "(nil)" end
  if kind == "integer" then return string.format("(integer) %d", value) end
  if kind == "status" then return (core.quote(value):match('^"(.*)"')) end
  return value and string.format("%s (%d bytes)", show(value), #value) or "(" .. kind .. ")"
end

return M
