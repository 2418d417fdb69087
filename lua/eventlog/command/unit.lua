--- Adds several entries as one unit: MULTI, guard with the first entry, XADD of each
--- other one, settle, EXEC. A script around the XADDs would cost the server twice as
--- much, and take only 8000 values. What stands around them is in scripts.lua. A command
--- of call.lua; its calls have the list of entries, how many of them, and a group's name.
---
--- A server that has MULTI under another name would add the entries one by one. So
--- until MULTI was met, an XREAD stands behind it that waits for ever for what never
--- comes: inside MULTI it does not wait, and if there is no MULTI, it holds back all
--- that is behind it, and the connection is closed.

local Error = require "eventlog.base.error"
local FIELD_LIMIT = require "eventlog.command.field_limit"
local scripts = require "eventlog.command.scripts"
local system = require "eventlog.base.system"
local xadd = require "eventlog.command.xadd"

local Unit = { changes = true, adds = true }
Unit.__index = Unit
Unit.__name = "eventlog.Unit"

local M = {}

---@param name string of the log
---@param settings table of the log
---@param abilities eventlog.Abilities
function M.new(name, settings, abilities)
  return setmetatable({
    name = name,
    settings = settings,
    abilities = abilities,
    head = xadd.head(settings, "XADD", name), -- of each entry
    calls = nil, -- of the scripts, by the last call
  }, Unit)
end

local NEVER = "18446744073709551615-18446744073709551615"

-- A first entry of more bytes goes through no script: to copy it into Redis's Lua
-- would cost more than a look at the log's last id.
local MOST_BYTES = 16384

local MULTI, EXEC = xadd.encoded("MULTI"), xadd.encoded("EXEC")

--- What stands around a unit's entries, encoded once for units of one size: guard's
--- call up to the first entry, and settle's.
local function script_calls(self, n, group)
  local calls = self.calls
  if not calls or calls.n ~= n or calls.group ~= group then
    local settings, name = self.settings, self.name
    calls = {
      n = n,
      group = group,
      guard = xadd.head(settings, "EVAL", scripts.guard_and_add.body, 1, name, group, n,
        settings.max_length and 7 or 4),
    }
    if settings.ttl_ms then
      calls.settle = xadd.encoded("EVAL", scripts.settle_with_ttl.body, 1, name, group,
        settings.ttl_ms, n)
    else
      calls.settle = xadd.encoded("EVAL", scripts.settle.body, 1, name, group)
    end
    self.calls = calls
  end
  return calls
end

--- Appends a unit's commands up to that of its first entry: true; false if that is
--- too large for a script; or nil, message.
local function encode_opening(self, request, entries, n, group, unit, guard)
  request:encoded(MULTI.bytes, MULTI.argc)
  if unit.has_xread then
    request:command("XREAD", "BLOCK", 0, "STREAMS", self.name, NEVER)
  end
  if unit.has_guard then
    request:command("EVAL", scripts.guard.body, 1, self.name, group, n)
    return true
  end
  local size = request:size()
  local widest, message = request:entries(guard.bytes, guard.argc, entries, 1)
  if not widest then return nil, message end
  return widest <= FIELD_LIMIT and request:size() - size <= MOST_BYTES
end

--- What guard or settle says in EXEC's reply: true; or nil, failure, why.
local function take_ok(decoder, at)
  local list, failure, why = decoder:strings(at, 1)
  if not list then return nil, failure, why end
  if list[1] == "ok" then return true end
  return nil, "protocol", "the reply is not the script's"
end

--- EXEC's reply: ids. Without guard it is a unit nevertheless, unless an XADD failed.
--- That only some fail is what guard prevents: should it ever be, it is not hidden.
local function take(decoder, kind, n, unit)
  local first = unit.first - 1
  if kind ~= "array" or decoder:length() ~= first + n then
    return nil, "protocol", "the reply is not EXEC's"
  end
  local ok, ids, at, failure, why
  if unit.has_guard then
    ok, failure, why = take_ok(decoder, first - 1)
    if not ok and failure ~= "server" then return nil, failure, why end
  end
  ids, failure, why, at = decoder:strings(first, n, "ids")
  if not ids then
    local landed = failure == "server" and
      (at > 1 or decoder:any_string(first + at, n - at))
    return nil, failure, why, landed and "unknown"
  end
  ok, failure, why = take_ok(decoder, first + n)
  if ok then return ids end
  -- The unit is there, unless settle says that it took it out again.
  local taken = failure == "server" and why:match("^TAKEN (.*)")
  return nil, failure, taken or why, not taken and "unknown"
end

--- The replies are in this order: MULTI's; XREAD's, if there is one; guard's, if it does
--- not add the first entry; that of each entry, the first of which is reply number
--- `unit.first`; settle's; EXEC's. EXEC's reply has the same, but for MULTI's and its own.
--- The plan of the replies is a table: has_xread, has_guard, first.
function Unit:encode(request, _, entries, n, group)
  local unit = { has_xread = not self.abilities.has_multi, has_guard = false, first = 2 }
  local calls = script_calls(self, n, group)
  local guard, settle = calls.guard, calls.settle
  local ok, message = encode_opening(self, request, entries, n, group, unit, guard)
  if ok == nil then return nil, message end
  if not ok then
    request:clear()
    unit.has_guard = true
    encode_opening(self, request, entries, n, group, unit)
  end
  local head, second = self.head, unit.has_guard and 1 or 2
  ok, message = request:entries(head.bytes, head.argc, entries, n, second)
  if not ok then return nil, message end
  request:encoded(settle.bytes, settle.argc)
  request:encoded(EXEC.bytes, EXEC.argc)
  unit.first = 2 + (unit.has_xread and 1 or 0) + (unit.has_guard and 1 or 0)
  return unit.first + n + 1, unit
end

-- The bytes that each entry is answered with, at least.
local LEAST = #"+QUEUED\r\n" + #"$15\r\n1700000000000-0\r\n"

-- After MULTI was refused, a server that does not wait in XREAD says so: within this
-- part of the time for which it may be silent. As a rule both are answered at once, but
-- if its answer is on its way still, then all that stands behind XREAD is done.
local PATIENCE = 0.8

--- What became of a unit that was not answered to its end. The error is the first
--- that came: a server may say what is wrong, and hang up.
local function unanswered(err, first_error, has_multi, landed)
  if not first_error then return nil, err end
  -- A unit in which a command was refused is not carried out.
  local nothing = (has_multi or Error.is_refusal(first_error)) and not landed
  return Error.failed_add(first_error, nothing and "none" or "unknown")
end

--- Reads the replies up to EXEC's. Returns EXEC's type if there was no error; or nil,
--- err, and whether nothing but XREAD was refused, which ends the unit.
local function read(self, connection, replies, unit, n)
  local decoder, has_xread = connection.decoder, unit.has_xread
  local first_error, refusal, landed, has_multi -- refusal: of XREAD
  local kind, err
  local i = 0
  repeat
    i = i + 1
    local deadline
    if i == 2 and has_xread and first_error then
      deadline = system.now() + PATIENCE * connection.settings.timeout
    end
    kind, err = connection:reply(deadline, i == 1 and n * LEAST or nil)
    if not kind and deadline and err.kind == "timeout" then
      connection:close() -- with all that waits behind XREAD
      return Error.failed_add(first_error, "none")
    elseif not kind then
      return unanswered(err, first_error or refusal, has_multi, landed)
    end
    if kind == "error" then
      local text = decoder:value()
      local aborted = i == replies and text:find("^EXECABORT")
      if i == 2 and has_xread and has_multi then
        refusal = Error.from_add(text)
      elseif not (aborted and refusal) then
        first_error = first_error or Error.from_add(text)
      end
      if i == replies and not aborted then
        connection:close() -- it may be inside MULTI still
      end
    elseif i == 1 and kind == "status" then
      has_multi = true
      self.abilities.has_multi = true
    elseif kind == "string" and i >= unit.first and i < unit.first + n then
      landed = true -- an XADD outside MULTI, since MULTI was denied
    end
    if i < replies - 1 and not (i == 1 and first_error) then -- MULTI's OK, QUEUED
      i = i + connection:skip_statuses(replies - 1 - i)
    end
  until i == replies
  local is_alone = refusal ~= nil and first_error == nil
  first_error = first_error or refusal
  if not first_error then return kind end
  if landed or kind == "array" then first_error.outcome = "unknown" end
  return nil, first_error, is_alone and first_error.outcome == "none"
end

--- If XREAD alone was refused, the unit is to be sent without it; if the log expired
--- under it, once more, to a log that is new.
function Unit:read(connection, _, replies, unit, _, n)
  local kind, err, is_alone = read(self, connection, replies, unit, n)
  if err then return nil, err, is_alone and "without_xread" or nil end
  local ids, failure, why, outcome = take(connection.decoder, kind, n, unit)
  if ids then return ids end
  if failure ~= "server" then return connection:reject(failure, why) end
  err = Error.from_add(why)
  err.outcome = outcome or err.outcome
  if err.code ~= "EXPIRED" then return nil, err end
  err.retriable = true
  return nil, err, "to_new_log"
end

return M
