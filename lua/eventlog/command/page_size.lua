--- How many entries to ask for at a time after a page was too large: for the
--- server, which closes the connection over a reply beyond its
--- client-output-buffer-limit or maxmemory-clients; or for max_reply.

local Error = require "eventlog.base.error"

local M = {}

-- After a page that was too large, the next one has a quarter of its entries.
local QUARTER = 4

--- Whether an error says that the page was too large, as far as can be told.
---@param connection table
---@param err eventlog.Error
---@return boolean
function M.was_too_large(connection, err)
  return err.too_large or connection:was_cut_off()
end

--- A smaller size; 1 means a single entry in a reply, and nothing beside it.
---@param size integer
function M.smaller(size)
  return math.max(1, math.floor(size / QUARTER))
end

--- The size to begin with after this one was small enough.
---@param size integer
---@param batch_size integer
function M.larger(size, batch_size)
  return math.min(batch_size, QUARTER * size)
end

--- What is said if a log had to be read in one page, and that was too large.
---@param err eventlog.Error that it was answered with
---@param size integer of the pages before that
---@return eventlog.Error
function M.restless(err, size)
  local restless = Error.new(err.kind, string.format("%s; the log changes too " ..
    "often to be read in pages of %d entries (batch_size), and is too large to " ..
    "be read in one: follow it instead", err.message, size))
  restless.retriable = true
  return restless
end

--- What is said of a single entry that is too large.
---@param err eventlog.Error that it was answered with
---@return eventlog.Error
function M.hopeless(err)
  if err.too_large then return err end -- it says what to change
  local hopeless = Error.new(err.kind, err.message .. ", each time, over one " ..
    "entry: if that is larger than the server's client-output-buffer-limit or " ..
    "maxmemory-clients, raise the limit; a smaller batch_size does not help")
  hopeless.retriable = err.retriable
  return hopeless
end

return M
