--- Waits with the host's own function: wait(fd, mode, timeout) -> ready.

local fd_transport = require "eventlog.transport.fd_transport"

local M = {}

--- A driver for this function.
---@param wait fun(fd: integer, mode: "r"|"w", timeout: number?): boolean?
function M.new(wait)
  return {
    open = function(settings) return fd_transport.new(settings, wait) end,
  }
end

return M
