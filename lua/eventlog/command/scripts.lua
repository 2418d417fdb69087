--- The Lua scripts that run inside Redis, and the SHA1 of each, by which Redis
--- knows it. spec/scripts_spec.lua holds each sha against the server's own.
--- KEYS[1] is always the log.
---
--- What a user may be denied (PEXPIRE, HSET, ...) is called with pcall once an
--- entry was added: the entries are then taken out again, and the error is
--- answered. If that fails, too, its code is "LANDED", and they are there.
--- A script of idempotent adds is in once_script.lua.

local M = {}

-- Names the command that a server does not have, in the error that redis.pcall
-- brought: Redis only says that there was one.
local named = [[
local function named(reply, command)
  if string.find(reply.err, 'Unknown Redis command', 1, true) then
    reply.err = "ERR unknown command '" .. command .. "'"
  end
  return reply
end
]]

--- Calls a command: its reply; or nil, and its error, which names the command if
--- the server does not have it.
local try = named .. [[
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == 'table' and reply.err then return nil, named(reply, command) end
  return reply
end
]]
M.try = try

--- Adds one entry and sets the TTL, or neither (a user may be denied PEXPIRE).
--- Errors are answered as they are: pcall keeps the code in front.
--- ARGV: the TTL in ms, then what follows the key in XADD.
M.add_with_ttl = {
  sha = "5255801198afa05f8f998fa800c6ec8599a01f1f",
  body = named .. [[
local id = redis.pcall('XADD', KEYS[1], unpack(ARGV, 2))
if type(id) == 'table' then return named(id, 'XADD') end
local set = redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
if type(set) == 'number' then return id end
named(set, 'PEXPIRE')
if type(redis.pcall('XDEL', KEYS[1], id)) == 'table' then
  return redis.error_reply('LANDED ' .. set.err)
end
return set]],
}

-- The id that the log generated last, "0-0" if there is no log; or nil, and the
-- error. XINFO STREAM would tell, but copies the first and the last entry, however
-- large. So a consumer group is made at "$", which takes the id over, and is
-- unmade: nobody sees it.
local last_id = [=[
local function last_id(log, group)
  local made = redis.pcall('XGROUP', 'CREATE', log, group, '$')
  if not made.err then
    local groups = redis.pcall('XINFO', 'GROUPS', log)
    redis.pcall('XGROUP', 'DESTROY', log, group)
    for _, item in ipairs(groups) do
      local of = {}
      for i = 1, #item, 2 do of[item[i]] = item[i + 1] end
      if of.name == group then return of['last-delivered-id'] end
    end
  end
  local info = redis.pcall('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  if string.find(info.err or '', 'no such key', 1, true) then return '0-0' end
  return nil, info
end
]=]
M.last_id_function = last_id

-- In MULTI the last XADDs of a unit could fail if the ids run out near 2^64,
-- with the first ones added. Two scripts see to it that then all fail: guard
-- before the first XADD, settle behind the last one.
--
-- As a rule guard adds the first entry itself, under an id of the present time:
-- Redis takes that only if no later id was generated, and then enough are left.
-- That tells nothing of the log but what is needed: what it costs depends neither
-- on the log's entries nor on its consumer groups. Redis before 7 has no ids
-- of which only the time is given, and a log may be ahead of the server's clock:
-- then the last id is looked at.

-- If the log has fewer than ARGV[2] ids left, uses them up. What the last id was
-- is kept in the consumer group ARGV[1] for settle, within the same EXEC and so
-- seen by nobody; a second group tells settle so without a look at all of them.
local use_up = last_id .. [=[
local top = '18446744073709551615-'
local last = last_id(log, group)
if last and #last == 41 and
  last > top .. string.format('184467%014.0f', 44073709551615 - ARGV[2]) then
  redis.pcall('XGROUP', 'CREATE', log, group, last)
  local made = redis.pcall('XGROUP', 'CREATE', log, group .. ':used', last)
  if made.err or redis.pcall('XSETID', log, top .. '18446744073709551615').err then
    redis.pcall('XGROUP', 'DESTROY', log, group)
    redis.pcall('XGROUP', 'DESTROY', log, group .. ':used')
  end
end
]=]

--- Opens a unit, and adds its first entry: its id.
--- ARGV: a group's name, which nobody else has; how many entries the unit has;
--- which of ARGV is the id; then what follows the key in XADD, with "*" as the id.
M.guard_and_add = {
  body = [=[
local log, group, at = KEYS[1], ARGV[1], tonumber(ARGV[3])
local clock = redis.REDIS_VERSION_NUM and redis.pcall('TIME')
if clock and not clock.err then
  ARGV[at] = clock[1] .. string.format('%03d-*', math.floor(clock[2] / 1000))
  local id = redis.pcall('XADD', log, unpack(ARGV, 4))
  if type(id) == 'string' then return id end
  ARGV[at] = '*'
end
]=] .. use_up .. "return redis.pcall('XADD', log, unpack(ARGV, 4))",
}

--- Opens a unit whose first entry is too large to go through a script.
--- ARGV: the first two of guard_and_add.
M.guard = {
  body = "local log, group = KEYS[1], ARGV[1]\n" .. use_up .. "return 'ok'",
}

-- Both settles begin with it: gives back the ids that guard used up.
local give_back = [=[
local log = KEYS[1]
local used = redis.pcall('XGROUP', 'DESTROY', log, ARGV[1] .. ':used')
for _, group in ipairs(used == 1 and redis.pcall('XINFO', 'GROUPS', log) or {}) do
  local of = {}
  for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
  if of.name == ARGV[1] then
    redis.call('XGROUP', 'DESTROY', log, of.name)
    redis.call('XSETID', log, of['last-delivered-id'])
    return 'ok'
  end
end
]=]

--- Closes a unit of a log without a TTL. ARGV: the group's name.
M.settle = { body = give_back .. "return 'ok'" }

--- Closes a unit of a log with one: gives back ids, or else sets the TTL; does
--- nothing to a key that is no stream. If the TTL cannot be set (a user may be
--- denied PEXPIRE), takes the unit out again and answers the error as "TAKEN";
--- with any other error the unit is there. Until Redis 7.2 a log can expire within an
--- EXEC, between two scripts, and takes the unit along: "TAKEN EXPIRED".
--- ARGV: the group's name; the TTL in ms; how many entries the unit has.
M.settle_with_ttl = {
  body = named .. give_back .. [=[
if type(used) == 'table' then
  local probe = redis.pcall('XDEL', log, '0-0')
  if type(probe) == 'table' and string.find(probe.err, 'WRONGTYPE', 1, true) then
    return 'ok'
  end
end
local set = redis.pcall('PEXPIRE', log, ARGV[2])
if set == 1 then return 'ok' end
if set == 0 then
  return redis.error_reply('TAKEN EXPIRED the log, while it was added to: add again')
end
named(set, 'PEXPIRE')
local unit = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', ARGV[3])
if unit.err then return set end
for _, entry in ipairs(unit) do
  if type(redis.pcall('XDEL', log, entry[1])) == 'table' then return set end
end
return redis.error_reply('TAKEN ' .. set.err)]=],
}

--- Where the log stands, for continuity.lua; or, if ARGV[2] is '0' and the
--- entry ARGV[1] is there, the log's length: the common case, and cheaper, since
--- XINFO copies the first and the last entry (3 ms a MB), which then need not be
--- looked for. Numbers are written without an exponent. The last item: '0' if
--- that entry is there, else '1'; or, from a server that does not count, the id of
--- the newest entry before it.
M.state = {
  sha = "1cd1e6d5edb9fb151432ddcbce956ef974526c13",
  body = try .. [=[
local log, id, whole = KEYS[1], ARGV[1], ARGV[2] == '1'
local entry, exists, info, failure
if not whole then
  entry, failure = try('XRANGE', log, id, id)
  if not entry then return failure end
  if #entry == 1 then
    local length
    length, failure = try('XLEN', log)
    return length and string.format('%.0f', length) or failure
  end
end
exists, failure = try('EXISTS', log)
if not exists then return failure end
if exists == 0 then return {'0-0', '', '', '0', '0', '', '1'} end
info, failure = try('XINFO', 'STREAM', log)
if not info then return failure end
local of = {}
for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
local first, newest, added = of['first-entry'], of['last-entry'], of['entries-added']
first, newest = first and first[1] or '', newest and newest[1] or ''
local gone = '0'
if id ~= first and id ~= newest then
  if not entry then
    entry, failure = try('XRANGE', log, id, id)
    if not entry then return failure end
  end
  if #entry == 0 then gone = '1' end
  if #entry == 0 and not added then
    local older
    older, failure = try('XREVRANGE', log, id, '-', 'COUNT', 1)
    if not older then return failure end
    gone = older[1] and older[1][1] or '1'
  end
end
return {of['last-generated-id'], first, newest, string.format('%.0f', of['length']),
  added and string.format('%.0f', added) or '', of['max-deleted-entry-id'] or '', gone}]=],
}

--- Deletes the log with its tokens, KEYS[2], and nothing that is no log and no
--- tokens: 1 or 0. Tokens bear a mark (once_script.lua).
M.delete = {
  sha = "686518ee6ae1886d912edc31f6b4b1572bf718ce",
  body = try .. [[
local length, failure = try('XLEN', KEYS[1])
if not length then return failure end
local deleted
deleted, failure = try('UNLINK', KEYS[1])
if deleted and type(redis.pcall('HGET', KEYS[2], 'eventlog:sweep')) == 'string' then
  redis.call('UNLINK', KEYS[2])
end
return deleted or failure]],
}

return M
