--- Adds entries by a script that knows what it has added: idempotent adds, which
--- are retried until they are answered, and adds under a condition. Costs the
--- server twice as much as writer.lua.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local backoff = require "eventlog.backoff"
local scripts = require "eventlog.scripts"

local failed = Error.failed_add

local Writer = {}
Writer.__index = Writer
Writer.__name = "eventlog.OnceWriter"

local M = {}

-- Every so many adds of a slot, tokens of writers long gone are swept away.
local SWEEP = 64

-- Seconds between retries, at most.
local LONGEST_DELAY = 1

--- The key of a log's tokens. In the log's cluster slot: by its own hash tag, or
--- with the whole name as one (which cannot be where a "}" is in it).
---@param name string of the log
---@return string key
function M.tokens_key(name)
  local tag = name:match("^[^{]*{([^}]*)}")
  if tag and tag ~= "" then return name .. ":eventlog" end
  return "{" .. name .. "}:eventlog"
end

---@param client eventlog.Client
---@param name string of the log
---@param settings table of the log
function M.new(client, name, settings)
  local reconnect_timeout = client.settings.reconnect_timeout
  return setmetatable({
    client = client,
    name = name,
    idempotent = settings.idempotent,
    reconnect_timeout = reconnect_timeout,
    -- Tokens outlive the last attempt, however late it begins and ends.
    keep_ms = math.ceil(1000 * (3 * reconnect_timeout +
      2 * (client.settings.connect_timeout + client.settings.timeout))),
    ttl_ms = settings.ttl_ms or 0,
    max_length = settings.max_length or 0,
    keys = { name, M.tokens_key(name) },
  }, Writer)
end

--- Appends the call, with the script's sha or its body.
local function encode(self, request, by, script, slot, expected, args, argc)
  local head, head_argc = core.head(by, script, 2, self.keys[1], self.keys[2],
    slot and slot.name or "", slot and slot.number or 0, self.keep_ms,
    slot and slot.number % SWEEP == 0 and 1 or 0, expected or "", self.ttl_ms,
    self.max_length)
  request:clear()
  request:encoded(head .. args, head_argc + argc)
end

--- Reads the script's answer: ids, or nil, err.
local function take(connection, kind, n, expected)
  local decoder = connection.decoder
  if kind == "error" then
    return nil, Error.from_add(decoder:value())
  end
  local list, failure, why = decoder:strings(1, 2)
  if list and list[1] == "conflict" and expected and
    decoder:length() == 2 and core.id(list[2]) then
    local err = Error.new("conflict", "the log's last id is " .. list[2])
    err.last_id = list[2]
    return failed(err, "none")
  end
  if list and list[1] == "ok" and decoder:length() == n + 1 then
    list, failure, why = decoder:strings(2, n, "ids")
  elseif list then
    list, failure, why = nil, "protocol", "the reply is not the script's"
  end
  if list then return list end
  return failed(select(2, connection:reject(failure, why)), "unknown")
end

local function exchange(connection, request, n, expected)
  local ok, err = connection:send(request, 1, 0)
  if not ok then return failed(err, "none") end
  local kind
  kind, err = connection:reply()
  if not kind then
    return failed(err, request:size() > 0 and "none" or "unknown")
  end
  return take(connection, kind, n, expected)
end

--- One attempt on a connection of its own.
local function attempt(self, slot, expected, args, argc, n)
  local client, script = self.client, scripts.add_once
  local connection, err = client:acquire(self.name)
  if not connection then return failed(err, "none") end
  local request = client:take_request()
  local ids
  encode(self, request, "EVALSHA", script.sha, slot, expected, args, argc)
  ids, err = exchange(connection, request, n, expected)
  if err and err.code == "NOSCRIPT" then
    encode(self, request, "EVAL", script.body, slot, expected, args, argc)
    ids, err = exchange(connection, request, n, expected)
  end
  client:release(connection, self.name)
  client:give_request(request)
  return ids, err
end

--- Repeats the attempt until it is answered, or time is up.
local function retry(self, slot, expected, args, argc, n)
  local give_up = core.now() + self.reconnect_timeout
  local delay, unknown = backoff.FIRST, false
  while true do
    local ids, err = attempt(self, slot, expected, args, argc, n)
    if ids then return ids end
    unknown = unknown or err.outcome == "unknown"
    if err.kind == "conflict" then return nil, err end
    if not Error.passes(err) or core.now() + delay > give_up then
      return failed(err, unknown and "unknown" or "none")
    end
    local pause
    pause, delay = backoff.step(delay, LONGEST_DELAY)
    local ok, closed = self.client:pause(pause)
    if not ok then return failed(closed, unknown and "unknown" or "none") end
  end
end

--- Adds the first n of `entries` as one unit.
---@param entries table[]
---@param n integer
---@param level integer as for error(): whose mistake a bad entry is
---@param expected string? the last id under which alone it is added
---@return string[]|nil ids
---@return eventlog.Error? err with outcome
function Writer:add(entries, n, level, expected)
  if n == 0 then return {} end
  local args, argc, widest = core.arguments(entries, n)
  if not args then error("eventlog: " .. argc, level + 1) end
  if widest > scripts.MAX_FIELDS then
    return failed(Error.new("unsupported", string.format("an entry has %d " ..
      "fields: idempotent and conditional adds take at most %d", widest,
      scripts.MAX_FIELDS)), "none")
  end
  if not self.idempotent then
    return attempt(self, nil, expected, args, argc, n)
  end
  local tokens = self.client.tokens
  local slot = tokens:take()
  local ids, err = retry(self, slot, expected, args, argc, n)
  if ids or err.outcome == "none" then tokens:give(slot) end
  return ids, err
end

return M
