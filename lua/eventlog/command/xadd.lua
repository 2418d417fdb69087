--- Commands that are encoded once, and what stands before an entry's fields in the
--- commands that add it.

local core = require "eventlog.core"

local M = {}

--- A command, encoded once.
---@return table head bytes, argc
function M.encoded(...)
  local bytes, argc = core.head(...)
  return { bytes = bytes, argc = argc }
end

--- A command with these arguments, up to the id to be, encoded once.
---@param settings table of the log
---@return table head bytes, argc
function M.head(settings, ...)
  local args = { ... }
  if settings.max_length then
    args[#args + 1] = "MAXLEN"
    args[#args + 1] = "~"
    args[#args + 1] = settings.max_length
  end
  args[#args + 1] = "*"
  return M.encoded((table.unpack or unpack)(args))
end

return M
