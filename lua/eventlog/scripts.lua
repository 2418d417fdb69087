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

-- In MULTI the last XADDs of a unit could fail where the ids run out near 2^64,
-- with the first ones added. Two scripts around them see to it that then all
-- fail.

--- Opens a unit. Where the log has too few ids left for it, uses them up; what
--- the last id was is kept in a consumer group for settle, within the same EXEC
--- and so seen by nobody.
--- ARGV: the highest sequence number that leaves enough of them.
M.guard = {
  body = [[
local info, last = redis.pcall('XINFO', 'STREAM', KEYS[1]), ''
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
local top = '18446744073709551615'
local seq = string.match(last, '^' .. top .. '%-(%d+)$')
if seq and #seq == 20 and seq > ARGV[1] then
  redis.call('XGROUP', 'CREATE', KEYS[1], 'eventlog:guard', last)
  redis.call('XSETID', KEYS[1], top .. '-' .. top)
end
return 'ok']],
}

--- Closes a unit: gives back the ids that guard used up, or else sets the TTL;
--- does nothing to a key that is no stream. Where the TTL cannot be set (a user
--- may be denied PEXPIRE), takes the unit out again and answers the error.
--- ARGV: the TTL in ms, 0: none; how many entries the unit has.
M.settle = {
  body = [=[
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return 'ok' end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local of = {}
  for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
  if of.name == 'eventlog:guard' then
    redis.call('XGROUP', 'DESTROY', KEYS[1], of.name)
    redis.call('XSETID', KEYS[1], of['last-delivered-id'])
    return 'ok'
  end
end
if ARGV[1] == '0' then return 'ok' end
local set = redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
if type(set) == 'number' then return 'ok' end
local unit = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[2])
for _, entry in ipairs(unit) do redis.call('XDEL', KEYS[1], entry[1]) end
return set]=],
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

--- Deletes the log, and nothing that is none: 1 or 0.
M.delete = {
  sha = "5143b6cb6c4dd7a9d686b22e1a662c0d9dc4b906",
  body = [[
local length = redis.pcall('XLEN', KEYS[1])
if type(length) == 'table' then return length end
return redis.call('UNLINK', KEYS[1])]],
}

return M
