--- What goes wrong for a correct program: the `err` of `nil, err`.

local misuse = require "eventlog.misuse"

---@alias eventlog.ErrorKind "connection"|"timeout"|"closed"|"exiting"|"server"|
---  "protocol"|"gap"|"conflict"|"unsupported"

---@class eventlog.Error
---@field kind eventlog.ErrorKind
---@field message string one line; never holds a password
---@field code string? Redis's own prefix, such as "WRONGTYPE" (kind "server")
---@field retriable boolean whether trying again later can help
---@field outcome "none"|"unknown"|nil from add: whether entries may have been added
---@field last_id string? from add_if (kind "conflict")
local Error = {}
Error.__index = Error
Error.__name = "eventlog.Error"
misuse.class(Error, "error", "a call that failed")

function Error:__tostring()
  return "eventlog: " .. self.message
end

--- "it failed: " .. err
function Error.__concat(a, b)
  return tostring(a) .. tostring(b)
end

local retriable_kinds = { connection = true, timeout = true, exiting = true }

-- Redis's ways of saying "not now": https://redis.io/docs, "Error codes" of
-- each command, and server.c's shared errors.
local retriable_codes = {
  BUSY = true, CLUSTERDOWN = true, LOADING = true, MASTERDOWN = true,
  MISCONF = true, NOREPLICAS = true, OOM = true, READONLY = true,
  TRYAGAIN = true, UNBLOCKED = true,
}

-- What passes only when somebody does something about it.
local lasting = { MISCONF = true, NOREPLICAS = true, OOM = true }

local M = {}

--- Whether it is worth to try again in a moment.
---@param err eventlog.Error
function M.passes(err)
  return err.retriable and not lasting[err.code]
end

---@param kind string
---@param message string of which one line is made
---@return eventlog.Error
function M.new(kind, message)
  return setmetatable({
    kind = kind,
    message = (message:gsub("%c+", " ")),
    retriable = retriable_kinds[kind] or false,
  }, Error)
end

--- From the text of a Redis error reply, "CODE what happened".
---@param text string
---@return eventlog.Error
function M.from_server(text)
  local message = text:gsub("%c+", " ")
  if message == "" then message = "the server answered an error without words" end
  local err = M.new("server", message)
  err.code = text:match("^%u[%u%d_]*")
  -- What Redis says of a long command before a password.
  if text:find("unauthenticated", 1, true) then err.code = "NOAUTH" end
  err.retriable = retriable_codes[err.code] or
    text:find("max number of clients", 1, true) ~= nil
  return err
end

--- What an add returns: nil, err, with whether something may have been added.
---@param err eventlog.Error
---@param outcome "none"|"unknown"
function M.failed_add(err, outcome)
  err.outcome = outcome
  return nil, err
end

--- The error of an add, from the text of an error reply, with its outcome: a
--- script says so where what it added is still there (scripts.lua).
---@param text string
---@return eventlog.Error
function M.from_add(text)
  local landed = text:match("^LANDED (.*)")
  local err = M.from_server(landed or text)
  err.outcome = landed and "unknown" or "none"
  return err
end

return M
