--- Waits with poll(), and so blocks the process. A signal ends a wait early:
--- Lua then runs its hook (Ctrl-C) before the transport waits again.

local core = require "eventlog.core"
local fd_transport = require "eventlog.fd_transport"

local M = {}

function M.open(settings)
  return fd_transport.new(settings, core.wait)
end

return M
