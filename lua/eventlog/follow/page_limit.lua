--- How many entries a tailer asks for at a time. After a page that was too large, for
--- the server or for max_reply, it asks for single entries, and then for more and more,
--- up to the size that was too large; at the log's end that is forgotten.

local page_size = require "eventlog.command.page_size"

local PageLimit = {}
PageLimit.__index = PageLimit
PageLimit.__name = "eventlog.PageLimit"

local M = {}

---@param batch_size integer
function M.new(batch_size)
  return setmetatable({
    batch_size = batch_size,
    limit = batch_size, -- entries of a page that are delivered
    single = false, -- whether a page has one entry, and none beside it
    too_many = nil, -- entries that were too large together
  }, PageLimit)
end

--- A page was too large. Returns whether a smaller one can be asked for.
---@return boolean
function PageLimit:shrink()
  if self.single then return false end
  self.too_many, self.limit, self.single = self.limit, 1, true
  return true
end

--- A page has come whole.
---@param more boolean whether the log goes on behind it
function PageLimit:grow(more)
  if not self.too_many then return end
  local size = page_size.larger(self.limit, self.batch_size)
  if not more then
    self.limit, self.single, self.too_many = self.batch_size, false, nil
  elseif size < self.too_many then
    self.limit, self.single = size, false
  end
end

return M
