--- Reads Redis's append-only file: what the server carried out, in its order, and
--- so the truth that a soak is judged by. Does no I/O.

local M = {}

--- One command at `at`: its words and where it ends, or nil where the rest of it
--- is not there (a server that was killed had not written it).
local function command(bytes, at)
  if bytes:byte(at) == 35 then -- "#TS:...": an annotation
    local stop = bytes:find("\n", at, true)
    return stop and {}, stop and stop + 1
  end
  local _, stop, count = bytes:find("^%*(%d+)\r\n", at)
  if not stop then
    if bytes:find("^%*?%d*\r?$", at) then return nil end
    error("no append-only file: " .. string.format("%q", bytes:sub(at, at + 40)))
  end
  local words = {}
  for i = 1, tonumber(count) do
    local length
    _, stop, length = bytes:find("^%$(%d+)\r\n", stop + 1)
    if not stop then return nil end
    local last = stop + tonumber(length)
    if last + 2 > #bytes then return nil end
    words[i] = bytes:sub(stop + 1, last)
    stop = last + 2
  end
  return words, stop + 1
end

--- Calls f(commands, begins, ends) for each group of commands that Redis carried
--- out as one: a lone command, or all between MULTI and EXEC. Offsets count from
--- 0, as in a file. What is not whole at the end is left out. f may return true,
--- to end it.
---@param bytes string
---@param from integer the offset to begin at
---@param f fun(commands: string[][], begins: integer, ends: integer): boolean?
function M.each(bytes, from, f)
  local at, group, begins = from + 1, nil, nil
  while at <= #bytes do
    local words, after = command(bytes, at)
    if not words then return end
    local name = words[1] and words[1]:upper()
    if name == "MULTI" then
      group, begins = {}, at - 1
    elseif name == "EXEC" then
      if f(group, begins, after - 1) then return end
      group = nil
    elseif group then
      group[#group + 1] = words
    elseif name then
      if f({ words }, at - 1, after - 1) then return end
    end
    at = after
  end
end

return M
