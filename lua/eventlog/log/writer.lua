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

-- Encoders append to the request, and return how many replies will come, what reads
-- the last of them and, of a unit, which of them are whose; or nil, message if an
-- entry is bad.

local function take_id(decoder, kind)
  local id = kind == "string" and decoder:id()
  if id then return { id } end
  return nil, "protocol", "the reply is not XADD's"
end

local function encode_lone(request, way, entries)
  local ok, message = request:entries(way.bytes, way.argc, entries, 1)
  if not ok then return nil, message end
  return 1, take_id
end

--- The request that fits; `call` is set where a script is called.
local function encode(self, request, entries, n, group)
  if n == 1 and not self.ttl_ms then
    return encode_lone(request, self.xadd, entries)
  end
  if n == 1 then
    local by_sha = self.by_sha
    local widest, message = request:entries(by_sha.bytes, by_sha.argc, entries, 1)
    if not widest then return nil, message end
    if widest <= scripts.MAX_FIELDS then return 1, take_id end
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

--- Sends the request and reads its replies: ids, or nil, err. And then what is known
--- of MULTI: "there"; "alone" if nothing but XREAD behind it was refused, which ends
--- the unit.
local function exchange(connection, request, replies, take, n, unit)
  local ok, err = connection:send(request, replies)
  if not ok then return failed(err, "none") end
  local decoder = connection.decoder
  local has_xread = unit and unit.has_xread
  local first_error, refusal, landed, multi -- refusal: of XREAD
  local kind
  local i = 0
  repeat
    i = i + 1
    local deadline = i == 2 and has_xread and first_error and system.now() + REFUSED or nil
    kind, err = connection:reply(deadline, i == 1 and unit and n * LEAST or nil)
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
      if i == replies and unit and not aborted then
        connection:close() -- it may be inside MULTI still
      end
    elseif i == 1 then
      multi = kind == "status" and unit and "there" or nil
    elseif kind == "string" and unit and i >= unit.first and i < unit.first + n then
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
  local ids, failure, why, outcome = take(decoder, kind, n, unit)
  if ids then return ids, nil, multi end
  if failure ~= "server" then
    return failed(select(2, connection:reject(failure, why)), "unknown")
  end
  err = Error.from_add(why)
  err.outcome = outcome or err.outcome
  return nil, err, multi
end

--- Sends the request, and once more if of a unit only XREAD was refused, or if the
--- server has forgotten the script.
local function add(self, connection, request, entries, n, replies, take, unit, group)
  local ids, err, multi = exchange(connection, request, replies, take, n, unit)
  if multi then connection.abilities.has_multi = true end
  local alone = multi == "alone" and err and err.outcome == "none" and
    connection:is_established()
  if not alone and (ids or err.code ~= "NOSCRIPT") then return ids, err end
  request:clear()
  if alone then
    replies, take, unit = units.encode(self, request, entries, n, group)
  else
    replies, take, unit = encode_lone(request, self.by_body, entries)
  end
  if not replies then -- somebody has changed the entry meanwhile
    return failed(Error.new("closed", take), "none")
  end
  ids, err = exchange(connection, request, replies, take, n, unit)
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
  local replies, take, unit = encode(self, request, entries, n, group)
  if not replies then
    client:give_request(request)
    error("eventlog: " .. take, level + 1)
  end
  local ids
  repeat
    local connection, endpoint = call.acquire(client, self.name)
    if not connection then
      client:give_request(request)
      return failed(endpoint, "none")
    end
    ids, err = add(self, connection, request, entries, n, replies, take, unit, group)
    -- What a dead connection did not take in is sent again.
    local again = err and err.outcome == "none" and connection:was_stale()
    if again then
      request:clear()
      replies, take, unit = encode(self, request, entries, n, group)
    end
    endpoint:release(connection, self.name)
  until not (again and replies)
  client:give_request(request)
  return ids, err
end

return M
