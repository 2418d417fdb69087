--- Finds the driver: what opens a transport for a client's settings.
---
--- A driver is a table with
---   open(settings) -> transport | nil, err   nothing is connected yet
---   has_pool   whether its transports keep idle connections themselves
---   slice      seconds; where a waiting coroutine cannot be woken from outside,
---              it looks around so often
---   interrupted() -> why, or nil: whether what waits is to end by itself

local Error = require "eventlog.error"
require "eventlog.driver.blocking" -- now: later there may be no descriptor to
-- read its file with

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

--- A driver whose every connection fails.
local function missing(name, why)
  return {
    open = function()
      return nil, Error.new("unsupported", string.format(
        'driver "%s" cannot be used: %s', name, why))
    end,
  }
end

--- The driver for what the option says; nil: the one that fits where we run.
---@param option string|function|nil
function M.find(option)
  if type(option) == "function" then
    return require("eventlog.driver.wait").new(option)
  end
  local name = option or (in_openresty() and "openresty" or "blocking")
  local found, driver = pcall(require, modules[name])
  if found then return driver end
  if tostring(driver):find("not enough memory", 1, true) then
    error("not enough memory", 0) -- it is there
  end
  -- The first line: what is missing, without every place it was looked for.
  return missing(name, tostring(driver):match("^[^\n]*"))
end

return M
