--- Finds the driver: what opens a transport for a client's settings.
---
--- A driver is a table with
---   open(settings) -> transport | nil, err   nothing is connected yet
---   has_pool   whether its transports keep idle connections themselves
---   slice      seconds; if a waiting coroutine cannot be woken from outside,
---              it looks around so often
---   interrupted() -> why, or nil: whether what waits is to end by itself

local Error = require "eventlog.base.error"
require "eventlog.driver.blocking" -- these two are small: they are loaded at
local wait = require "eventlog.driver.wait" -- once, as long as that can be done

-- With EVENTLOG_TRACE=1 in the environment when this is loaded, else nil.
local trace = os.getenv("EVENTLOG_TRACE") == "1" and
  require "eventlog.transport.trace" or nil

local M = {}

--- One driver a file. That a scheduler is not installed is an error of the first
--- connection, not of making a handle.
local modules = {
  blocking = "eventlog.driver.blocking",
  openresty = "eventlog.driver.openresty",
  cqueues = "eventlog.driver.cqueues",
  copas = "eventlog.driver.copas",
  luv = "eventlog.driver.luv",
}

local function in_openresty()
  -- Not rawget: a request's globals lie behind a metatable. Nor plainly: some
  -- programs make reading an unknown global an error.
  local found, ngx = pcall(function() return _G.ngx end)
  return found and type(ngx) == "table" and type(ngx.socket) == "table"
end

--- The driver of a name; or nil, and why there is none: in one line, without
--- every place where it was looked for.
local function load(name)
  local found, driver = pcall(require, modules[name])
  if found then return driver end
  driver = tostring(driver)
  if driver:find("not enough memory", 1, true) then
    error("not enough memory", 0) -- it is there
  end
  local why = driver:match("^[^\n]*"):gsub(":$", "")
  local module = why:match("module '([^']*)' not found")
  if module and not module:find("^eventlog%.") then
    why = string.format("module '%s' not found: install it for %s", module, _VERSION)
  end
  return nil, why
end

--- A driver whose every connection fails: because the scheduler is not installed;
--- or until the driver's own file can be read, for which there was no descriptor.
local function missing(name, why)
  local driver = {}
  function driver.open(settings)
    local is_ours = why:find("module 'eventlog.driver.", 1, true)
    local loaded = is_ours and load(name)
    if loaded then
      for key, value in pairs(loaded) do driver[key] = value end
      return driver.open(settings)
    end
    return nil, Error.new(is_ours and "connection" or "unsupported",
      string.format('driver "%s" cannot be %s: %s', name,
        is_ours and "loaded now" or "used", why))
  end
  return driver
end

--- A driver whose every connection fails: there is nothing to encrypt with.
local without_tls = {
  open = function()
    return nil, Error.new("unsupported", "this version has no TLS: use redis:// " ..
      "or a TLS proxy such as stunnel")
  end,
}

local function find(option, tls)
  if tls then return without_tls end
  if type(option) == "function" then return wait.new(option) end
  local name = option or (in_openresty() and "openresty" or "blocking")
  local driver, why = load(name)
  return driver or missing(name, why)
end

--- The driver for what the option says; nil: the one that fits where we run.
---@param option string|function|nil
---@param tls boolean? whether its connections are to be encrypted
function M.find(option, tls)
  local driver = find(option, tls)
  return trace and trace.driver(driver) or driver
end

return M
