--- What goes wrong for a correct program: the `err` of `nil, err`.

local misuse = require "eventlog.base.misuse"

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

-- Every kind, and whether trying again later can help.
local kinds = {
  connection = true, timeout = true, exiting = true, closed = false, server = false,
  protocol = false, gap = false, conflict = false, unsupported = false,
}

-- Redis's ways of saying "not now": https://redis.io/docs, "Error codes" of
-- each command, and server.c's shared errors.
local retriable_codes = {
  BUSY = true, CLUSTERDOWN = true, LOADING = true, MASTERDOWN = true,
  MISCONF = true, NOREPLICAS = true, OOM = true, READONLY = true,
  TRYAGAIN = true, UNBLOCKED = true,
}

-- What passes only when somebody does something about it.
local lasting = { MISCONF = true, NOREPLICAS = true, OOM = true }

local M = { kinds = kinds }

--- Whether it is worth to try again in a moment.
---@param err eventlog.Error
function M.passes(err)
  return err.retriable and not lasting[err.code]
end

---@param kind eventlog.ErrorKind
---@param message string of which one line is made
---@return eventlog.Error
function M.new(kind, message)
  return setmetatable({
    kind = kind,
    message = (message:gsub("%c+", " ")),
    retriable = kinds[kind] or false,
  }, Error)
end

-- What stands around Redis's own words when they come out of EXEC or of a script:
-- "@user_script: 43: -READONLY You can't ..." (redis.pcall) and "ERR Error running
-- script (call to f_...): @user_script:1: @user_script: 1: -READONLY ..."
-- (redis.call) before Redis 7, "... script: 5255..., on @user_script:7." since.
local frames = {
  "^EXECABORT Transaction discarded because of: ",
  "^ERR Error running script %(call to [f_]*%x+%): ",
  "^@user_script: ?%d+: ",
  "^%-",
  " script: %x+, on @user_script:%d+%.$",
  " +$",
}

local function without_frames(text)
  local before
  repeat
    before = text
    for _, frame in ipairs(frames) do text = text:gsub(frame, "") end
  until text == before
  return text
end

-- What Redis says without its code, and the code.
local codes = {
  -- Of a long command before a password.
  { "unauthenticated", "NOAUTH" },
  -- In a script: Redis 6 and 7.0, and later ones.
  { "The user executing the script can't", "NOPERM" },
  { "ACL failure in script", "NOPERM" },
  -- In EXEC, before Redis 6.2.
  { "instance is now a read-only", "READONLY" },
}

-- What of this library needs a command that a server may not have.
local needed_for = {
  MULTI = "an add of several entries", EXEC = "an add of several entries",
  EVAL = "adds (of several entries, with a TTL, idempotent, add_if), delete " ..
    "and followers",
  XINFO = "add_if, an idempotent add of several entries, last_id and followers",
  XADD = "an add", EXISTS = "an idempotent add, or a follower",
  XRANGE = "a read or a follower", XREVRANGE = "a read or a follower",
  XREAD = "a follower", XLEN = "length, delete, or a read",
  PEXPIRE = "a log with a TTL, or an idempotent add", UNLINK = "delete",
}
needed_for.EVALSHA = needed_for.EVAL
needed_for.EVAL_RO = "followers of a user who may only read"
needed_for.EVALSHA_RO = needed_for.EVAL_RO
for _, command in ipairs { "TIME", "HGET", "HSET", "HDEL", "HSCAN", "PTTL" } do
  needed_for[command] = "an idempotent add"
end

--- The error of a server that is none for us, as it is; or nil.
local function unsupported(text)
  local node = text:match("^MOVED %d+ (%S+)") or text:match("^ASK %d+ (%S+)")
  if node then
    return M.new("unsupported", "this is a Redis Cluster, which this version " ..
      "does not know its way in: connect to the node that has the log, now " ..
      node .. ", or to a server without cluster mode (" .. text .. ")")
  end
  local command = text:match("^ERR [Uu]nknown command [`'\"]?([^%s`'\",]+)")
  local need = command and needed_for[command:upper()]
  if need then -- not with what Redis says more: our scripts, or values of an entry
    return M.new("unsupported", string.format("unknown command %s: the server " ..
      "lacks it, or has it under another name; it is needed for %s", command, need))
  elseif text:find("Unknown Redis command called from", 1, true) then
    return M.new("unsupported", "unknown command in a script: the server lacks " ..
      "it, or has it under another name")
  end
end

--- From the text of a Redis error reply, "CODE what happened".
---@param text string
---@return eventlog.Error
function M.from_server(text)
  text = without_frames((text:gsub("%c+", " ")))
  if text == "" then text = "the server answered an error without words" end
  local err = unsupported(text)
  if err then return err end
  err = M.new("server", text)
  err.code = text:match("^%u[%u%d_]*")
  for _, case in ipairs(codes) do
    if text:find(case[1], 1, true) then err.code = case[2] end
  end
  err.retriable = retriable_codes[err.code] or
    text:find("max number of clients", 1, true) ~= nil
  return err
end

--- Whether the server refuses the whole connection, and so whatever was sent on it.
---@param err eventlog.Error
function M.is_refusal(err)
  return err.code == "NOAUTH" or err.code == "DENIED" or
    err.kind == "server" and err.message:find("max number of clients", 1, true) ~= nil
end

--- What an add returns: nil, err, with whether something may have been added.
---@param err eventlog.Error
---@param outcome "none"|"unknown"
function M.failed_add(err, outcome)
  err.outcome = outcome
  return nil, err
end

--- The error of an add, from the text of an error reply, with its outcome: a
--- script says so if what it added is still there (scripts.lua).
---@param text string
---@return eventlog.Error
function M.from_add(text)
  local landed = text:match("^LANDED (.*)")
  local err = M.from_server(landed or text)
  err.outcome = landed and "unknown" or "none"
  return err
end

return M
