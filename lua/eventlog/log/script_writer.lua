--- Adds entries by a script that knows what it has added: idempotent adds, which
--- are retried until they are answered, and adds under a condition. Costs the
--- server twice as much as writer.lua.

local core = require "eventlog.core"
local Error = require "eventlog.base.error"
local backoff = require "eventlog.base.backoff"
local call = require "eventlog.command.call"
local once_script = require "eventlog.command.once_script"
local scripts = require "eventlog.command.scripts"
local side_key = require "eventlog.log.side_key"
local system = require "eventlog.base.system"

local failed = Error.failed_add

local Writer = {}
Writer.__index = Writer
Writer.__name = "eventlog.ScriptWriter"

local M = {}

-- Seconds between retries, at most.
local LONGEST_DELAY = 1

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
    -- How long the server keeps a token of ours: it outlives the last attempt,
    -- however late that begins and ends.
    keep_ms = math.ceil(1000 * (3 * reconnect_timeout +
      2 * (client.settings.connect_timeout + client.settings.timeout))),
    ttl_ms = settings.ttl_ms or 0,
    max_length = settings.max_length or 0,
    tokens_key = nil, -- side_key.of(name), from the first add on
  }, Writer)
end

--- Appends the call, with the script's sha or its body.
local function encode(self, request, by, script, add)
  local slot = add.slot
  local head, head_argc = core.head(by, script, 2, self.name, self.tokens_key,
    slot and slot.name or "", slot and slot.number or 0, self.keep_ms, add.group,
    add.expected or "", self.ttl_ms, self.max_length)
  request:clear()
  request:encoded(head .. add.args, head_argc + add.argc)
end

--- Reads the script's answer: ids, or nil, err.
local function take(connection, kind, add)
  local decoder = connection.decoder
  if kind == "error" then
    return nil, Error.from_add(decoder:value())
  end
  local list, failure, why = decoder:strings(1, 2)
  if list and list[1] == "conflict" and add.expected and
    decoder:length() == 2 and core.id(list[2]) then
    local err = Error.new("conflict", "the log's last id is " .. list[2])
    err.last_id = list[2]
    return failed(err, "none")
  end
  if list and list[1] == "ok" and decoder:length() == add.n + 1 then
    list, failure, why = decoder:strings(2, add.n, "ids")
  elseif list then
    list, failure, why = nil, "protocol", "the reply is not the script's"
  end
  if list then return list end
  return failed(select(2, connection:reject(failure, why)), "unknown")
end

local function exchange(connection, request, add)
  local ok, err = connection:send(request, 1)
  if not ok then return failed(err, "none") end
  local kind
  kind, err = connection:reply()
  if not kind then
    return failed(err, request:size() > 0 and "none" or "unknown")
  end
  return take(connection, kind, add)
end

--- One attempt on a connection of its own.
local function attempt(self, add)
  local client = self.client
  local connection, endpoint = call.acquire(client, self.name)
  if not connection then return failed(endpoint, "none") end
  local request = client:take_request()
  local ids, err
  encode(self, request, "EVALSHA", once_script.sha, add)
  ids, err = exchange(connection, request, add)
  if err and err.code == "NOSCRIPT" then
    encode(self, request, "EVAL", once_script.body, add)
    ids, err = exchange(connection, request, add)
  end
  endpoint:release(connection, self.name)
  client:give_request(request)
  return ids, err
end

--- Repeats the attempt until it is answered, or time is up.
local function retry(self, add)
  local give_up = system.now() + self.reconnect_timeout
  local delay, unknown = backoff.FIRST, false
  while true do
    local ids, err = attempt(self, add)
    if ids then return ids end
    unknown = unknown or err.outcome == "unknown"
    if err.kind == "conflict" then return nil, err end
    if not Error.passes(err) or system.now() + delay > give_up then
      return failed(err, unknown and "unknown" or "none")
    end
    self.client:tell("reconnecting", self.name, err.message)
    local pause
    pause, delay = backoff.step(delay, LONGEST_DELAY)
    local ok, closed = self.client.topology:pause(pause)
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
  local tokens = self.client.tokens
  local group, err = tokens:group()
  if not group then return failed(err, "none") end
  self.tokens_key = self.tokens_key or side_key.of(self.name)
  local add = { args = args, argc = argc, n = n, expected = expected, group = group }
  if not self.idempotent then return attempt(self, add) end
  add.slot, err = tokens:take()
  if not add.slot then return failed(err, "none") end
  local ids
  ids, err = retry(self, add)
  if ids or err.outcome == "none" then tokens:give(add.slot) end
  return ids, err
end

return M
