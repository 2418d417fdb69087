--- Where a server is, for messages.

local core = require "eventlog.core"

local M = {}

--- On one line.
local function printable(text)
  return core.quote(text):match('^"(.*)"')
end

--- As a URL, never with a password.
---@param settings table of the client
---@return string
function M.of(settings)
  if settings.path then return "unix://" .. printable(settings.path) end
  local host = printable(settings.host)
  if host:find(":", 1, true) then host = "[" .. host .. "]" end
  return string.format("%s://%s:%d", settings.tls and "rediss" or "redis", host,
    settings.port)
end

return M
