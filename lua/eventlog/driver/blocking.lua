--- Blocks the process while it waits. A signal ends a wait early: Lua then runs
--- its hook (Ctrl-C) before the transport waits again. Nobody else has work to do
--- meanwhile, so that it may spin.

local fd_transport = require "eventlog.transport.fd_transport"

local M = {}

function M.open(settings)
  return fd_transport.new(settings, nil, nil, settings.spin or -1)
end

return M
