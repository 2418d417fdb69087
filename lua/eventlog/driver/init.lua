--- Finds the driver: what opens a transport for a client's settings.
--- A driver is a table with open(settings) -> transport | nil, error.

local Error = require "eventlog.error"

local M = {}

--- The driver for what the option says; nil: the one that fits where we run.
---@param option string|function|nil
function M.find(option)
  if type(option) == "function" then
    return require("eventlog.driver.wait").new(option)
  end
  option = option or "blocking"
  if option == "blocking" then return require "eventlog.driver.blocking" end
  return {
    open = function()
      return nil, Error.new("unsupported", string.format(
        "driver %q is not there yet; give a function wait(fd, mode, timeout)",
        option))
    end,
  }
end

return M
