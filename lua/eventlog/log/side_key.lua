--- Names of the keys that the library keeps beside a log. Each lies in the log's
--- cluster slot, whatever the log is called, and is shared by no two logs:
---
---   log          side key                     why
---   a{tag}b      {tag}:eventlog:a{tag}b       it has a hash tag of its own
---   name         {name}:eventlog              it can be a hash tag
---   a}b          {7866}:eventlog:a}b          it can be none: a short tag with
---                                             its slot
---
--- No name of one row is one of another: what follows the first "}" differs.
--- A key of that name may be there and be another program's, even another log:
--- what is ours is marked (once_script.lua), and nothing else is touched.

local core = require "eventlog.core"

local M = {}

--- The key of a log's tokens. Takes up to a millisecond if the name is of the
--- last row: keep it.
---@param name string of the log
---@return string key
function M.of(name)
  if core.key_tag(name) ~= name then
    return "{" .. core.key_tag(name) .. "}:eventlog:" .. name
  elseif not name:find("}", 1, true) then
    return "{" .. name .. "}:eventlog"
  end
  return "{" .. core.slot_tag(name) .. "}:eventlog:" .. name
end

return M
