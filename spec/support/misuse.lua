--- Asks for misuse: what raises, and whom it blames.

local unpack = table.unpack or unpack

--- Calls f(...), which must raise a message at the line that calls it, and
--- returns the message without the place.
---@param f function
---@return string message
return function(f, ...)
  local args, n, here = { ... }, select("#", ...), nil
  local ok, message = pcall(function()
    here = debug.getinfo(1, "Sl"); f(unpack(args, 1, n)) -- both on one line
    return nil
  end)
  if ok then error("nothing was raised", 2) end
  local place = string.format("%s:%d: ", here.short_src, here.currentline)
  if type(message) ~= "string" or message:sub(1, #place) ~= place then
    error("raised elsewhere than at its caller's line: " .. tostring(message), 2)
  end
  return message:sub(#place + 1)
end
