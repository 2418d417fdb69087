--- Journals: what each process of a soak saw, a line an event, written so that
--- kill -9 keeps what was there before. A line ends in " ;": one that does not was
--- never finished.

local core = require "eventlog.core"

local Journal = {}
Journal.__index = Journal

local M = {}

--- What a line's words must not be: empty, or of several words.
local function word(value)
  if type(value) == "number" then
    return value % 1 == 0 and string.format("%d", value) or string.format("%.6f", value)
  end
  local text = tostring(value):gsub("[%s;]", "_")
  return text == "" and "-" or text
end

--- Opens one to be added to; begins a new line, whatever the last one is.
---@param path string
function M.open(path)
  local file = assert(io.open(path, "a"))
  file:setvbuf("full", 1048576) -- a line goes out in one piece
  file:write("\n")
  return setmetatable({ file = file }, Journal)
end

--- Adds a line: what happened, when, and what belongs to it.
---@param what string
function Journal:write(what, ...)
  local words = { what, word(core.now()) }
  for i = 1, select("#", ...) do words[i + 2] = word((select(i, ...))) end
  self.file:write(table.concat(words, " "), " ;\n")
  self.file:flush()
end

--- The finished lines of a journal, each a list of words: of its text, or ...
---@param text string
---@return string[][]
function M.parse(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    local body = line:match("^(.*) ;$")
    if body then
      local words = {}
      for w in body:gmatch("%S+") do words[#words + 1] = w end
      lines[#lines + 1] = words
    end
  end
  return lines
end

--- ... of the file, where there is one.
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return {} end
  local text = file:read("*a")
  file:close()
  return M.parse(text)
end

return M
