--- Adds entries to a log: each call one unit, all of it or nothing, in one
--- round trip.
---
---   one entry                    XADD
---   one entry, and a TTL         a script: of two commands, XADD and PEXPIRE,
---                                one could happen without the other
---   several entries              a transaction (unit.lua): a script around the
---                                XADDs costs the server twice as much, and takes
---                                only 8000 values

local Error = require "eventlog.base.error"
local call = require "eventlog.command.call"
local scripts = require "eventlog.command.scripts"
local system = require "eventlog.base.system"
local units = require "eventlog.command.unit"

local failed, head = Error.failed_add, units.head

local Writer = {}
Writer.__index = Writer
Writer.__name = "eventlog.Writer"

local M = {}

---@param client eventlog.Client
---@param name string of the log
---@param settings table of the log
function M.new(client, name, settings)
  local self = setmetatable({
    client = client,
    name = name,
    settings = settings,
    ttl_ms = settings.ttl_ms,
    xadd = head(settings, "XADD", name),
  }, Writer)
  if settings.ttl_ms then
    local add = scripts.add_with_ttl
    self.by_sha = head(settings, "EVALSHA", add.sha, 1, name, settings.ttl_ms)
    self.by_body = head(settings, "EVAL", add.body, 1, name, settings.ttl_ms)
  end
  return self
end

--- Appends what adds the entries. Returns a unit, as units.encode() does; false: one
--- command, which answers an id; or nil, message if an entry is bad.
local function encode(self, request, entries, n, group)
  if n == 1 then
    local way = self.by_sha or self.xadd
    local widest, message = request:entries(way.bytes, way.argc, entries, 1)
    if not widest then return nil, message end
    if widest <= scripts.MAX_FIELDS or way == self.xadd then return false end
    request:clear()
  end
  return units.encode(self, request, entries, n, group)
end

-- The bytes that each entry of a unit is answered with, at least.
local LEAST = #"+QUEUED\r\n" + #"$15\r\n1700000000000-0\r\n"

--- What became of an add that was not answered to its end. The error is the first
--- that came: a server may say what is wrong, and hang up.
local function unanswered(err, first_error, request, is_unit, landed)
  if not first_error then
    -- Until its last byte has left, the server cannot carry the request out.
    return failed(err, request:size() > 0 and "none" or "unknown")
  end
  -- A unit in which a command was refused is not carried out.
  local nothing = (is_unit or Error.is_refusal(first_error)) and not landed
  return failed(first_error, nothing and "none" or "unknown")
end

-- Seconds after MULTI was refused within which a server that does not wait in XREAD
-- says so: both are answered at once.
local REFUSED = 0.3

--- Sends a unit and reads its replies: ids, or nil, err. And then what is known
--- of MULTI: "there"; "alone" if nothing but XREAD behind it was refused, which ends
--- the unit.
local function exchange_unit(connection, request, n, unit)
  local replies, has_xread = unit.replies, unit.has_xread
  local ok, err = connection:send(request, replies)
  if not ok then return failed(err, "none") end
  local decoder = connection.decoder
  local first_error, refusal, landed, multi -- refusal: of XREAD
  local kind
  local i = 0
  repeat
    i = i + 1
    local deadline = i == 2 and has_xread and first_error and system.now() + REFUSED or nil
    kind, err = connection:reply(deadline, i == 1 and n * LEAST or nil)
    if not kind and deadline and err.kind == "timeout" then
      connection:close() -- with all that waits behind XREAD
      return failed(first_error, "none")
    elseif not kind then
      return unanswered(err, first_error or refusal, request, multi, landed)
    end
    if kind == "error" then
      local text = decoder:value()
      local aborted = i == replies and text:find("^EXECABORT")
      if i == 2 and has_xread and multi then
        refusal = Error.from_add(text)
      elseif not (aborted and refusal) then
        first_error = first_error or Error.from_add(text)
      end
      if i == replies and not aborted then
        connection:close() -- it may be inside MULTI still
      end
    elseif i == 1 then
      multi = kind == "status" and "there" or nil
    elseif kind == "string" and i >= unit.first and i < unit.first + n then
      landed = true -- an XADD outside MULTI, where MULTI was denied
    end
    if i < replies - 1 and not (i == 1 and first_error) then -- MULTI's OK, QUEUED
      i = i + connection:skip_statuses(replies - 1 - i)
    end
  until i == replies
  if refusal and not first_error then multi, first_error = "alone", refusal end
  if first_error then
    if landed or kind == "array" then first_error.outcome = "unknown" end
    return nil, first_error, multi
  end
  local ids, failure, why, outcome = units.take(decoder, kind, n, unit)
  if ids then return ids, nil, multi end
  if failure ~= "server" then
    return failed(select(2, connection:reject(failure, why)), "unknown")
  end
  err = Error.from_add(why)
  err.outcome = outcome or err.outcome
  return nil, err, multi
end

--- Sends one command and reads its reply: ids, or nil, err.
local function exchange_lone(connection, request)
  local ok, err = connection:send(request, 1)
  if not ok then return failed(err, "none") end
  local kind
  kind, err = connection:reply()
  if not kind then return unanswered(err, nil, request) end
  local decoder = connection.decoder
  local id = kind == "string" and decoder:id()
  if id then return { id } end
  if kind == "error" then return nil, Error.from_add(decoder:value()) end
  err = select(2, connection:reject("protocol", "the reply is not XADD's"))
  return failed(err, "unknown")
end

--- The request could not be made anew: somebody has changed the entry meanwhile.
local function changed(message)
  return failed(Error.new("closed", message), "none")
end

--- Adds one entry by one command, which is sent whole if the server has forgotten the
--- script.
local function add_lone(self, connection, request, entries)
  local ids, err = exchange_lone(connection, request)
  if ids or err.code ~= "NOSCRIPT" then return ids, err end
  request:clear()
  local by_body = self.by_body
  local ok, message = request:entries(by_body.bytes, by_body.argc, entries, 1)
  if not ok then return changed(message) end
  return exchange_lone(connection, request)
end

--- Adds a unit, which is sent once more if nothing but XREAD was refused.
local function add_unit(self, connection, request, entries, n, group, unit)
  local ids, err, multi = exchange_unit(connection, request, n, unit)
  if multi then connection.abilities.has_multi = true end
  if multi ~= "alone" or err.outcome ~= "none" or not connection:is_established() then
    return ids, err
  end
  request:clear()
  local message
  unit, message = units.encode(self, request, entries, n, group)
  if not unit then return changed(message) end
  ids, err = exchange_unit(connection, request, n, unit)
  return ids, err
end

--- Adds the first n of `entries` as one unit.
---@param entries table[]
---@param n integer
---@param level integer as for error(): whose mistake a bad entry is
---@return string[]|nil ids
---@return eventlog.Error? err with outcome
function Writer:add(entries, n, level)
  if n == 0 then return {} end
  local client = self.client
  local group, err
  if n > 1 or self.ttl_ms then
    group, err = client.tokens:group()
    if not group then return failed(err, "none") end
  end
  local request = client:take_request()
  local unit, message = encode(self, request, entries, n, group)
  if unit == nil then
    client:give_request(request)
    error("eventlog: " .. message, level + 1)
  end
  local ids
  repeat
    local connection, endpoint = call.acquire(client, self.name)
    if not connection then
      client:give_request(request)
      return failed(endpoint, "none")
    end
    if unit then
      ids, err = add_unit(self, connection, request, entries, n, group, unit)
    else
      ids, err = add_lone(self, connection, request, entries)
    end
    -- What a dead connection did not take in is sent again.
    local again = err and err.outcome == "none" and connection:was_stale()
    if again then
      request:clear()
      unit = encode(self, request, entries, n, group)
    end
    endpoint:release(connection, self.name)
  until not again or unit == nil
  client:give_request(request)
  return ids, err
end

return M
