--- Another process of the Lua we are in, for what one process cannot show.

local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

local Process = {}
Process.__index = Process

local M = {}

--- Starts a process that runs this code; `...` are the further arguments, as
--- strings. It finds modules as we do, and ends after two minutes at the
--- latest.
--- options.env: variables in front of the command, as the shell writes them.
---@param code string
---@param options { env: string? }?
function M.start(code, options, ...)
  local file = os.tmpname()
  local out = assert(io.open(file, "w"))
  -- On one line, so that those of the code keep their numbers.
  assert(out:write(string.format("package.path, package.cpath = %q, %q ",
    package.path, package.cpath), code))
  assert(out:close())
  local words = { options and options.env or "", "timeout 120", helper.lua, file }
  for i = 1, select("#", ...) do
    words[#words + 1] = redis.quote(tostring((select(i, ...))))
  end
  words[#words + 1] = "2>&1; echo \"exit $?\""
  return setmetatable({ file = file, pipe = io.popen(table.concat(words, " ")) },
    Process)
end

--- Waits until it ends. Returns what it wrote; fails where it failed.
---@return string output
function Process:wait()
  local output = self.pipe:read("*a")
  self.pipe:close()
  os.remove(self.file)
  local body, status = output:match("^(.-)\n?exit (%d+)\n$")
  if status ~= "0" then error("a process failed: " .. output, 2) end
  return body
end

return M
