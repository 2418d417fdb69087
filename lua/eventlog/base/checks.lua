--- What an option, or an argument, may be. Each check returns the value to use;
--- or nil, and what was expected.

local M = {}

-- Numbers up to here are exact in every Lua, whole ones included.
local MAX_INTEGER = 2 ^ 53

local LONGEST_PATH = 107

local function is_number(value)
  return type(value) == "number" and value == value -- not NaN
end

local function is_integer(value)
  return is_number(value) and value % 1 == 0 and
    value >= -MAX_INTEGER and value <= MAX_INTEGER
end

--- Whole numbers as the integers that Lua 5.3 and later tell from floats.
local to_integer = math.tointeger or function(value) return value end

function M.string(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string that is not empty"
end

--- What Redis or the system reads up to a NUL byte.
function M.text(value)
  if M.string(value) and not value:find("\0", 1, true) then return value end
  return nil, "a string, neither empty nor with a NUL byte"
end

--- Neither a URL nor a part of one, which may hold a password.
function M.host(value)
  local text, expected = M.text(value)
  if text and text:find("[/@]") then
    return nil, "a host's name or its address; a URL goes into url"
  end
  return text, expected
end

--- As evl_socket_unix, for Linux; other systems have less room.
function M.path(value)
  if M.text(value) and #value <= LONGEST_PATH then return value end
  return nil, "a socket's path, of at most " .. LONGEST_PATH .. " bytes"
end

--- What CLIENT SETNAME takes: printable, without spaces.
function M.client_name(value)
  if M.string(value) and not value:find("[^!-~]") then return value end
  return nil, "a string of printable characters without spaces"
end

function M.seconds(value)
  if is_number(value) and value > 0 and value <= 1e9 then return value end
  return nil, "a number of seconds above 0, and up to 1e9"
end

function M.seconds_from_0(value)
  if is_number(value) and value >= 0 then return value end
  return nil, "a number of seconds, 0 or more"
end

--- Up to what PEXPIRE can add to the time of day without overflow.
function M.ttl(value)
  if is_number(value) and value >= 0 and value <= MAX_INTEGER / 1000 then
    return value
  end
  return nil, "a number of seconds, 0 or more"
end

function M.count(value)
  if is_integer(value) and value >= 0 then return to_integer(value) end
  return nil, "an integer, 0 or more"
end

function M.port(value)
  if is_integer(value) and value >= 1 and value <= 65535 then
    return to_integer(value)
  end
  return nil, "an integer from 1 to 65535"
end

function M.db(value)
  if is_integer(value) and value >= 0 and value < 2 ^ 31 then
    return to_integer(value)
  end
  return nil, "a database number, 0 or more"
end

function M.bytes(value)
  if is_integer(value) and value >= 1 then return to_integer(value) end
  return nil, "a number of bytes, 1 or more"
end

--- Beyond this a page would stall the server, which paging is to prevent.
function M.batch_size(value)
  if is_integer(value) and value >= 1 and value <= 1e6 then
    return to_integer(value)
  end
  return nil, "an integer from 1 to 1000000"
end

function M.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function M.on_gap(value)
  if value == "report" or value == "error" then return value end
  return nil, '"report" or "error"'
end

function M.fields(value)
  if value == "map" or value == "pairs" then return value end
  return nil, '"map" or "pairs"'
end

function M.callback(value)
  if type(value) == "function" then return value end
  return nil, "a function"
end

local driver_names = {
  blocking = true, openresty = true, cqueues = true, copas = true, luv = true,
}

function M.driver(value)
  if type(value) == "function" or driver_names[value] then return value end
  return nil, '"blocking", "openresty", "cqueues", "copas", "luv" or a ' ..
    "function wait(fd, mode, timeout)"
end

return M
