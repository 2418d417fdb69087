--- The Lua scripts that run inside Redis, and the SHA1 of each, by which Redis
--- knows it. spec/scripts_spec.lua holds each sha against the server's own.
--- KEYS[1] is always the log.

local M = {}

--- Adds one entry and sets the TTL, or neither (a user may be denied PEXPIRE).
--- Errors are answered as they are: pcall keeps the code in front.
--- ARGV: the TTL in ms, then what follows the key in XADD.
M.add_with_ttl = {
  sha = "5f90c13f4a1468af3e692139848edb581ca06456",
  body = [[
local id = redis.pcall('XADD', KEYS[1], unpack(ARGV, 2))
if type(id) == 'table' then return id end
local set = redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
if type(set) == 'number' then return id end
redis.call('XDEL', KEYS[1], id)
return set]],
}

--- How many fields an entry may have to go through add_with_ttl: unpack() in
--- Redis's Lua gives up near 8000 values.
M.add_with_ttl_fields = 1000

--- Opens a unit of several XADDs in MULTI. In it the last ones could fail where
--- the ids run out near 2^64, with the first ones added. Where fewer are left
--- than the unit needs, this uses them up, so that every XADD of the unit
--- fails; what the last id was is kept in a consumer group for settle, within
--- the same EXEC and so seen by nobody.
--- ARGV: the highest sequence number that leaves enough of them.
M.guard = {
  body = [[
local top = '18446744073709551615'
local near = redis.pcall('XRANGE', KEYS[1], top, '+', 'COUNT', 1)
if near.err or #near == 0 then return 'ok' end
local info, last = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
local seq = string.match(last, '^' .. top .. '%-(%d+)$')
if #seq < 20 or seq <= ARGV[1] then return 'ok' end
redis.call('XGROUP', 'CREATE', KEYS[1], 'eventlog:guard', last)
redis.call('XSETID', KEYS[1], top .. '-' .. top)
return 'ok']],
}

--- Closes a unit: gives back the ids that guard used up, or else sets the TTL,
--- unless the key is no stream. Answers "ok".
--- ARGV: the TTL in ms; 0: none.
M.settle = {
  body = [=[
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return 'ok' end
local top = '18446744073709551615'
if #redis.call('XRANGE', KEYS[1], top, '+', 'COUNT', 1) > 0 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local of = {}
    for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
    if of.name == 'eventlog:guard' then
      redis.call('XGROUP', 'DESTROY', KEYS[1], of.name)
      redis.call('XSETID', KEYS[1], of['last-delivered-id'])
      return 'ok'
    end
  end
end
if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 'ok']=],
}

--- The id that was generated last; "0-0" where there is no log. Taken here
--- because XINFO also answers the whole first and last entry.
M.last_id = {
  sha = "3573e85a31a06f7c3b1b419080c8f715133f895f",
  body = [[
if redis.call('EXISTS', KEYS[1]) == 0 then return '0-0' end
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return info end
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then return info[i + 1] end
end]],
}

--- Where the log stands, for continuity.lua; "ok" where the entry ARGV[1] is
--- there and ARGV[2] is '0': the common case, and a third cheaper.
M.state = {
  sha = "4b41518b878176d3617e0db993843eaa6df67330",
  body = [=[
local last = redis.pcall('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if last.err then return last end
if #last == 1 and ARGV[2] == '0' then return 'ok' end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'0-0', '', '0', '0', ''} end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local of = {}
for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
local first = of['first-entry']
return {of['last-generated-id'], first and first[1] or '',
  tostring(of['length']), tostring(of['entries-added'] or ''),
  of['max-deleted-entry-id'] or ''}]=],
}

--- Deletes the log, and nothing that is none: 1 or 0.
M.delete = {
  sha = "5143b6cb6c4dd7a9d686b22e1a662c0d9dc4b906",
  body = [[
local length = redis.pcall('XLEN', KEYS[1])
if type(length) == 'table' then return length end
return redis.call('UNLINK', KEYS[1])]],
}

return M
