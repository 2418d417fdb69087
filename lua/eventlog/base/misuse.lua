--- Misuse: what raises, because the program is wrong and no retry helps. Each
--- message is one line that tells the caller what to write instead, and is
--- raised at the caller's own line.

local core = require "eventlog.core"

local M = {}

--- Raises. Levels are those of error(): 1 is the function that calls this one,
--- 2 its caller.
---@param level integer
---@param ... any a format, and what goes into it
function M.raise(level, ...)
  error("eventlog: " .. string.format(...), level + 1)
end

-- What an object of each metatable is called: "log", "client", ...
local nouns = {}

--- What a value is one of ours, such as "log"; nil for what is not ours.
---@param value any
---@return string?
function M.noun(value)
  return type(value) == "table" and nouns[getmetatable(value)] or nil
end

--- A value as messages show it.
---@param value any
---@return string
function M.describe(value)
  local kind = type(value)
  if kind == "string" then return core.quote(value) end
  if kind == "nil" or kind == "boolean" or kind == "number" then
    return tostring(value)
  end
  local noun = M.noun(value) or kind
  return (noun:find("^[aeiou]") and "an " or "a ") .. noun
end

--- Raises what a method was called on that is none of its class.
local function raise_wrong_self(noun, making, method, value)
  local other = M.noun(value)
  if other then
    M.raise(4, "%s() is a method of a %s, not of %s: call it on what %s returns",
      method, noun, M.describe(value), making)
  end
  M.raise(4, "%s.%s(...) was not called on a %s: write %s:%s(...), with a colon",
    noun, method, noun, noun, method)
end

--- Registers a class. Returns check(self, method), with which its methods
--- begin: it raises at their caller's line where self is none of the class.
---@param class table the metatable
---@param noun string what an object is called
---@param making string what makes one
---@return fun(self: any, method: string)
function M.class(class, noun, making)
  nouns[class] = noun
  return function(self, method)
    if getmetatable(self) ~= class then
      raise_wrong_self(noun, making, method, self)
    end
  end
end

return M
