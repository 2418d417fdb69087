--- Options: which there are, and their defaults. Whatever is wrong raises with
--- the option's name, at the caller's caller's line. What each may be is in
--- checks.lua.

local core = require "eventlog.core"
local checks = require "eventlog.base.checks"
local misuse = require "eventlog.base.misuse"
local secrets = require "eventlog.base.secrets"

local M = {}

-- Levels are those of error(): 1 is the function that calls raise(), 2 its
-- caller. Those of the functions below are the same.
local raise, describe = misuse.raise, misuse.describe

local client_options = {
  url = checks.text,
  host = checks.host,
  port = checks.port,
  path = checks.path,
  username = checks.string,
  password = checks.string,
  db = checks.db,
  connect_timeout = checks.seconds,
  timeout = checks.seconds,
  reconnect_timeout = checks.seconds,
  retry_first_connection = checks.boolean,
  pool_size = checks.count,
  pool_idle = checks.seconds,
  client_name = checks.client_name,
  spin = checks.count,
  max_reply = checks.bytes,
  driver = checks.driver,
  on_event = checks.callback,
}

local client_defaults = {
  connect_timeout = 5, timeout = 5, reconnect_timeout = 60,
  retry_first_connection = false, pool_size = 64, pool_idle = 60,
}

local log_options = {
  max_length = checks.count,
  ttl = checks.ttl,
  batch_size = checks.batch_size,
  idempotent = checks.boolean,
  on_gap = checks.on_gap,
  fields = checks.fields,
}

local log_defaults = {
  batch_size = 1000, idempotent = false, on_gap = "report", fields = "map",
}

--- Raises what no option is called.
local function raise_unknown(key, known, what, level)
  if type(key) ~= "string" then
    raise(level + 1, "%s has no option %s: write { name = value }", what,
      describe(key))
  end
  local other = known == client_options and log_options or client_options
  if other[key] then
    raise(level + 1, "%s has no option %s: it is one of %s", what, describe(key),
      other == log_options and "a log: eventlog.new(target, name, options)" or
      "a client: eventlog.connect(options)")
  end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  raise(level + 1, "%s has no option %s; it has %s", what, describe(key),
    table.concat(names, ", "))
end

--- An option's value as messages show it: no password.
local function describe_option(key, value)
  if (key == "url" or key == "host") and type(value) == "string" then
    return describe(secrets.hide_in_url(value))
  elseif key == "password" and value ~= "" then
    return "a " .. type(value)
  end
  return describe(value)
end

--- A checked copy of `options` with the defaults filled in.
local function check_all(options, known, defaults, what, level)
  local checked = {}
  for key, value in pairs(defaults) do checked[key] = value end
  for key, value in pairs(options) do
    local check = known[key]
    if not check then raise_unknown(key, known, what, level + 1) end
    local good, expected = check(value)
    if good == nil then
      raise(level + 1, 'option "%s" must be %s, not %s', key, expected,
        describe_option(key, value))
    end
    checked[key] = good
  end
  return checked
end

local url_parts = { "host", "port", "path", "username", "password", "db" }

--- Fills in what the URL says; says so if the table says it, too.
local function apply_url(settings, url, level)
  local parts, why = core.url(url)
  if not parts then
    raise(level + 1, "bad url %s: %s", describe(secrets.hide_in_url(url)), why)
  end
  for _, key in ipairs(url_parts) do
    if parts[key] ~= nil then
      if settings[key] ~= nil then
        raise(level + 1, 'option "%s" is also in the url: give it once', key)
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
  if type(target) ~= "table" or misuse.noun(target) then
    raise(level + 1, "target must be a client, a URL or a table of options, " ..
      "not %s%s", describe(target),
      misuse.noun(target) == "log" and ": give log.client" or "")
  end
  local settings = check_all(target, client_options, client_defaults,
    "a client", level + 1)
  settings.tls = false
  if settings.url then apply_url(settings, settings.url, level + 1) end
  if settings.path then
    if settings.host or settings.port then
      raise(level + 1, 'option "path" goes with neither "host" nor "port"')
    end
    local good, expected = checks.path(settings.path)
    if not good then raise(level + 1, 'option "path" must be %s', expected) end
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
  return checks.count(nearest)
end

--- The settings of a log. max_length and ttl_ms are nil where unlimited.
---@param options table?
---@param level integer
function M.log(options, level)
  if options == nil then options = {} end
  if type(options) ~= "table" or misuse.noun(options) then
    raise(level + 1, "options must be a table, not %s", describe(options))
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
    raise(level + 1, "name must be %s, not %s: write eventlog.new(target, name), " ..
      "where the name is the log's key in Redis", expected, describe(name))
  end
  return good
end

--- How many entries: the n of tail_n.
function M.n(n, level)
  local good, expected = checks.count(n)
  if not good then raise(level + 1, "n must be %s, not %s", expected, describe(n)) end
  return good
end

--- An id, as "<ms>-<seq>"; and whether it was given so, and names an entry: "<ms>"
--- is a point in time, and "0-0" the beginning.
---@param what string? what the caller calls it: "id"
---@return string id
---@return boolean names_entry
function M.id(id, level, what)
  local good = core.id(id)
  if not good then
    raise(level + 1, '%s must be a string "<ms>-<seq>" or "<ms>", not %s',
      what or "id", describe(id))
  end
  return good, good ~= "0-0" and id:find("-", 1, true) ~= nil
end

--- A timeout in seconds; nil if there is none.
function M.timeout(timeout, level)
  if timeout == nil or timeout == math.huge then return nil end
  if not checks.seconds_from_0(timeout) then
    raise(level + 1, "timeout must be a number of seconds, 0 or more, not %s",
      describe(timeout))
  end
  return timeout
end

return M
