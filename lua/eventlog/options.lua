--- Options: which there are, what they may be, and their defaults. Whatever is
--- wrong raises with the option's name, at the caller's caller's line.

local core = require "eventlog.core"

local M = {}

-- Numbers up to here are exact in every Lua, whole ones included.
local MAX_INTEGER = 2 ^ 53

local LONGEST_PATH = 107

--- Raises. Levels are those of error(): 1 is the function that calls this one,
--- 2 its caller. Those of the functions below are the same.
local function misuse(level, ...)
  error("eventlog: " .. string.format(...), level + 1)
end

local function is_number(value)
  return type(value) == "number" and value == value -- not NaN
end

local function is_integer(value)
  return is_number(value) and value % 1 == 0 and
    value >= -MAX_INTEGER and value <= MAX_INTEGER
end

--- Whole numbers as the integers that Lua 5.3 and later tell from floats.
local to_integer = math.tointeger or function(value) return value end

local function describe(value)
  if type(value) == "number" then return tostring(value) end
  return "a " .. type(value)
end

-- Checks: each returns the value to use, or nil and what was expected.
local checks = {}

function checks.string(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil, "a string that is not empty"
end

--- What Redis or the system reads up to a NUL byte.
function checks.text(value)
  if checks.string(value) and not value:find("\0", 1, true) then return value end
  return nil, "a string, neither empty nor with a NUL byte"
end

--- As evl_socket_unix, for Linux; other systems have less room.
function checks.path(value)
  if checks.text(value) and #value <= LONGEST_PATH then return value end
  return nil, "a socket's path, of at most " .. LONGEST_PATH .. " bytes"
end

--- What CLIENT SETNAME takes: printable, without spaces.
function checks.client_name(value)
  if checks.string(value) and not value:find("[^!-~]") then return value end
  return nil, "a string of printable characters without spaces"
end

function checks.seconds(value)
  if is_number(value) and value > 0 and value <= 1e9 then return value end
  return nil, "a number of seconds above 0"
end

--- Up to what PEXPIRE can add to the time of day without overflow.
function checks.ttl(value)
  if is_number(value) and value >= 0 and value <= MAX_INTEGER / 1000 then
    return value
  end
  return nil, "a number of seconds, 0 or more"
end

function checks.count(value)
  if is_integer(value) and value >= 0 then return to_integer(value) end
  return nil, "an integer, 0 or more"
end

function checks.port(value)
  if is_integer(value) and value >= 1 and value <= 65535 then
    return to_integer(value)
  end
  return nil, "an integer from 1 to 65535"
end

function checks.db(value)
  if is_integer(value) and value >= 0 and value < 2 ^ 31 then
    return to_integer(value)
  end
  return nil, "a database number, 0 or more"
end

function checks.bytes(value)
  if is_integer(value) and value >= 1 then return to_integer(value) end
  return nil, "a number of bytes, 1 or more"
end

--- Beyond this a page would stall the server, which paging is to prevent.
function checks.batch_size(value)
  if is_integer(value) and value >= 1 and value <= 1e6 then
    return to_integer(value)
  end
  return nil, "an integer from 1 to 1000000"
end

function checks.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function checks.on_gap(value)
  if value == "report" or value == "error" then return value end
  return nil, '"report" or "error"'
end

function checks.callback(value)
  if type(value) == "function" then return value end
  return nil, "a function"
end

local driver_names = {
  blocking = true, openresty = true, cqueues = true, copas = true, luv = true,
}

function checks.driver(value)
  if type(value) == "function" or driver_names[value] then return value end
  return nil, '"blocking", "openresty", "cqueues", "copas", "luv" or a ' ..
    "function wait(fd, mode, timeout)"
end

local client_options = {
  url = checks.text,
  host = checks.text,
  port = checks.port,
  path = checks.path,
  username = checks.string,
  password = checks.string,
  db = checks.db,
  connect_timeout = checks.seconds,
  timeout = checks.seconds,
  reconnect_timeout = checks.seconds,
  pool_size = checks.count,
  client_name = checks.client_name,
  spin = checks.count,
  max_reply = checks.bytes,
  driver = checks.driver,
  on_event = checks.callback,
}

local client_defaults = {
  connect_timeout = 5, timeout = 5, reconnect_timeout = 60, pool_size = 8,
}

local log_options = {
  max_length = checks.count,
  ttl = checks.ttl,
  batch_size = checks.batch_size,
  idempotent = checks.boolean,
  on_gap = checks.on_gap,
}

local log_defaults = { batch_size = 1000, idempotent = false, on_gap = "report" }

--- A checked copy of `options` with the defaults filled in.
local function check_all(options, known, defaults, what, level)
  local checked = {}
  for key, value in pairs(defaults) do checked[key] = value end
  for key, value in pairs(options) do
    local check = known[key]
    if not check then
      misuse(level + 1, "%s has no option %q", what, tostring(key))
    end
    local good, expected = check(value)
    if good == nil then
      misuse(level + 1, "option %q must be %s, not %s", key, expected,
        describe(value))
    end
    checked[key] = good
  end
  return checked
end

local url_parts = { "host", "port", "path", "username", "password", "db" }

--- Fills in what the URL says; says so where the table says it, too.
local function apply_url(settings, url, level)
  local parts, why = core.url(url)
  if not parts then misuse(level + 1, "bad url: %s", why) end
  for _, key in ipairs(url_parts) do
    if parts[key] ~= nil then
      if settings[key] ~= nil then
        misuse(level + 1, "option %q is also in the url: give it once", key)
      end
      settings[key] = parts[key]
    end
  end
  settings.tls = parts.tls
end

--- The settings of a client.
---@param target string|table|nil what eventlog.connect was given
---@param level integer as for error(): whose mistake it is
function M.client(target, level)
  if target == nil then target = {} end
  if type(target) == "string" then target = { url = target } end
  if type(target) ~= "table" then
    misuse(level + 1, "target must be a client, a URL or a table of options, " ..
      "not %s", describe(target))
  end
  local settings = check_all(target, client_options, client_defaults,
    "a client", level + 1)
  settings.tls = false
  if settings.url then apply_url(settings, settings.url, level + 1) end
  if settings.path then
    if settings.host or settings.port then
      misuse(level + 1, 'option "path" goes with neither "host" nor "port"')
    end
    if not checks.path(settings.path) then
      misuse(level + 1, 'option "path" must be of at most %d bytes', LONGEST_PATH)
    end
  else
    settings.host = settings.host or "127.0.0.1"
    settings.port = settings.port or 6379
  end
  settings.db = settings.db or 0
  return settings
end

--- Seconds as whole milliseconds, rounded up; but 0.029 s, which is
--- 29.000000000000004 ms to a double, is 29.
local function to_ms(seconds)
  local ms = seconds * 1000
  local nearest = math.floor(ms + 0.5)
  if math.abs(ms - nearest) > ms * 1e-12 then nearest = math.ceil(ms) end
  return to_integer(nearest)
end

--- The settings of a log. max_length and ttl_ms are nil where unlimited.
---@param options table?
---@param level integer
function M.log(options, level)
  if options == nil then options = {} end
  if type(options) ~= "table" then
    misuse(level + 1, "options must be a table, not %s", describe(options))
  end
  local settings = check_all(options, log_options, log_defaults, "a log",
    level + 1)
  if settings.max_length == 0 then settings.max_length = nil end
  if settings.ttl and settings.ttl > 0 then
    settings.ttl_ms = to_ms(settings.ttl)
  end
  return settings
end

--- A log's name.
function M.name(name, level)
  local good, expected = checks.string(name)
  if not good then
    misuse(level + 1, "name must be %s, not %s", expected, describe(name))
  end
  return good
end

--- How many entries: the n of tail_n.
function M.n(n, level)
  local good, expected = checks.count(n)
  if not good then
    misuse(level + 1, "n must be %s, not %s", expected, describe(n))
  end
  return good
end

--- An id, as "<ms>-<seq>".
function M.id(id, level)
  local good = core.id(id)
  if not good then
    misuse(level + 1, 'id must be a string "<ms>-<seq>" or "<ms>", not %s',
      type(id) == "string" and string.format("%q", id) or describe(id))
  end
  return good
end

--- A timeout in seconds; nil where there is none.
function M.timeout(timeout, level)
  if timeout == nil or timeout == math.huge then return nil end
  if not is_number(timeout) or timeout < 0 then
    misuse(level + 1, "timeout must be a number of seconds, 0 or more, not %s",
      describe(timeout))
  end
  return timeout
end

--- Misuse of any other kind.
M.misuse = misuse

return M
