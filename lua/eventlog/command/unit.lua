--- Several entries as one unit: MULTI, guard with the first entry, XADD of each other
--- one, settle, EXEC. What stands around the XADDs is in scripts.lua.
---
--- A server that has MULTI under another name would add the entries one by one. So
--- until a client has met MULTI, an XREAD stands behind it that waits for ever for
--- what never comes: inside MULTI it does not wait, and if there is no MULTI, it
--- holds back all that is behind it, and the connection is closed.

local core = require "eventlog.core"
local scripts = require "eventlog.command.scripts"

local M = {}

--- What stands before an entry's fields: a command with these arguments, encoded once.
--- The last of them is the id to be.
---@param settings table of the log
---@return table call bytes, argc
function M.head(settings, ...)
  local args = { ... }
  if settings.max_length then
    args[#args + 1] = "MAXLEN"
    args[#args + 1] = "~"
    args[#args + 1] = settings.max_length
  end
  args[#args + 1] = "*"
  local bytes, argc = core.head((table.unpack or unpack)(args))
  return { bytes = bytes, argc = argc }
end

local NEVER = "18446744073709551615-18446744073709551615"

-- A first entry of more bytes goes through no script: to copy it into Redis's Lua
-- would cost more than a look at the log's last id.
local MOST_BYTES = 16384

--- What stands before the first entry in guard's call.
local function guard_call(writer, n, group)
  local call = writer.guard
  if not call or call.n ~= n or call.group ~= group then
    local settings = writer.settings
    call = M.head(settings, "EVAL", scripts.guard_and_add.body, 1, writer.name, group, n,
      settings.max_length and 7 or 4)
    call.n, call.group = n, group
    writer.guard = call
  end
  return call
end

--- Appends a unit's commands up to that of its first entry: true; false if that is
--- too large for a script; or nil, message.
local function encode_opening(writer, request, entries, n, group, unit)
  request:command("MULTI")
  if unit.has_xread then
    request:command("XREAD", "BLOCK", 0, "STREAMS", writer.name, NEVER)
  end
  if unit.has_guard then
    request:command("EVAL", scripts.guard.body, 1, writer.name, group, n)
    return true
  end
  local call, size = guard_call(writer, n, group), request:size()
  local widest, message = request:entries(call.bytes, call.argc, entries, 1)
  if not widest then return nil, message end
  return widest <= scripts.MAX_FIELDS and request:size() - size <= MOST_BYTES
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
---@param decoder userdata that has it
---@param kind string its type
---@param n integer how many entries the unit has
---@param unit table as encode() returned it
---@return string[]|nil ids
---@return string? failure kind of the error
---@return string? why
---@return "unknown"|nil outcome
function M.take(decoder, kind, n, unit)
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

--- Appends a unit of the first n entries to an empty request. The replies are in this
--- order: MULTI's; XREAD's, if there is one; guard's, if it does not add the first
--- entry; that of each entry, the first of which is reply number `unit.first`;
--- settle's; EXEC's. EXEC's reply has the same, but for MULTI's and its own.
---@param writer eventlog.Writer of the log: what is encoded once is kept in it
---@param group string as Tokens:group() returns it
---@return table|nil unit replies (how many will come), has_xread, has_guard, first;
---  nil: an entry is bad
---@return string? message
function M.encode(writer, request, entries, n, group)
  local abilities = writer.client.topology.abilities
  local unit = { has_xread = not abilities.has_multi, has_guard = false, first = 2 }
  local ok, message = encode_opening(writer, request, entries, n, group, unit)
  if ok == nil then return nil, message end
  if not ok then
    request:clear()
    unit.has_guard = true
    encode_opening(writer, request, entries, n, group, unit)
  end
  local xadd, second = writer.xadd, unit.has_guard and 1 or 2
  ok, message = request:entries(xadd.bytes, xadd.argc, entries, n, second)
  if not ok then return nil, message end
  if writer.ttl_ms then
    request:command("EVAL", scripts.settle_with_ttl.body, 1, writer.name, group,
      writer.ttl_ms, n)
  else
    request:command("EVAL", scripts.settle.body, 1, writer.name, group)
  end
  request:command("EXEC")
  unit.first = 2 + (unit.has_xread and 1 or 0) + (unit.has_guard and 1 or 0)
  unit.replies = unit.first + n + 1
  return unit
end

return M
