--- The Lua scripts that run inside Redis, and the SHA1 of each, by which Redis
--- knows it. spec/scripts_spec.lua holds each sha against the server's own.
--- KEYS[1] is always the log.
---
--- What a user may be denied (PEXPIRE, HSET, ...) is called with pcall once an
--- entry was added: the entries are then taken out again, and the error is
--- answered. Where that fails, too, its code is "LANDED", and they are there.

local M = {}

--- Adds one entry and sets the TTL, or neither (a user may be denied PEXPIRE).
--- Errors are answered as they are: pcall keeps the code in front.
--- ARGV: the TTL in ms, then what follows the key in XADD.
M.add_with_ttl = {
  sha = "ae7b97e9ae95b2b7286add12232e2d13198cd7b4",
  body = [[
local id = redis.pcall('XADD', KEYS[1], unpack(ARGV, 2))
if type(id) == 'table' then return id end
local set = redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
if type(set) == 'number' then return id end
if type(redis.pcall('XDEL', KEYS[1], id)) == 'table' then
  return redis.error_reply('LANDED ' .. set.err)
end
return set]],
}

--- How many fields an entry may have to go through a script: unpack() in
--- Redis's Lua gives up near 8000 values.
M.MAX_FIELDS = 3900

-- In MULTI the last XADDs of a unit could fail where the ids run out near 2^64,
-- with the first ones added. Two scripts around them see to it that then all
-- fail.

--- Opens a unit. Where the log has too few ids left for it, uses them up; what
--- the last id was is kept in a consumer group for settle, within the same EXEC
--- and so seen by nobody.
--- ARGV: the highest sequence number that leaves enough of them.
M.guard = {
  body = [[
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local last, top = info[i + 1], '18446744073709551615-'
    if #last == 41 and last > top .. ARGV[1] then
      redis.call('XGROUP', 'CREATE', KEYS[1], 'eventlog:guard', last)
      redis.call('XSETID', KEYS[1], top .. '18446744073709551615')
    end
    break
  end
end
return 'ok']],
}

-- Both settles begin with it: gives back the ids that guard used up.
local give_back = [=[
local log, groups = KEYS[1], redis.pcall('XINFO', 'GROUPS', KEYS[1])
for _, group in ipairs(groups) do
  local of = {}
  for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
  if of.name == 'eventlog:guard' then
    redis.call('XGROUP', 'DESTROY', log, of.name)
    redis.call('XSETID', log, of['last-delivered-id'])
    return 'ok'
  end
end
]=]

--- Closes a unit of a log without a TTL.
M.settle = { body = give_back .. "return 'ok'" }

--- Closes a unit of a log with one: gives back ids, or else sets the TTL; does
--- nothing to a key that is no stream. Where the TTL cannot be set (a user may be
--- denied PEXPIRE), takes the unit out again and answers the error.
--- ARGV: the TTL in ms; how many entries the unit has.
M.settle_with_ttl = {
  body = give_back .. [=[
local unit = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', ARGV[2])
if unit.err then
  if string.find(unit.err, 'WRONGTYPE', 1, true) then return 'ok' end
  return redis.error_reply('LANDED ' .. unit.err)
end
local set = redis.pcall('PEXPIRE', log, ARGV[1])
if type(set) == 'number' then return 'ok' end
for _, entry in ipairs(unit) do
  if type(redis.pcall('XDEL', log, entry[1])) == 'table' then
    return redis.error_reply('LANDED ' .. set.err)
  end
end
return set]=],
}

--- Adds a unit of entries once, however often it is sent, and perhaps only while
--- the log's last id is the expected one. Answers "ok" and the ids; or
--- "conflict" and the last id.
--- KEYS[2]: the hash of tokens. A writer has few slots, each for one add at a
--- time: a field of the hash holds the number of the slot's last add, when it
--- came, and its ids. The next add of a slot replaces it; what is of writers
--- long gone is swept away a little at a time.
--- ARGV: slot, or '' for no token; its number; ms that a token is kept; 1 to
--- sweep; the expected last id, or ''; the TTL in ms, or 0; max_length, or 0; for
--- each entry how many names and values it has, then these.
M.add_once = {
  sha = "9dfcabe67579f8d4e9fef7d8edf9a524d90fa50f",
  body = [=[
local slot, number, keep, sweep = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local expected, ttl, max_length = ARGV[5], ARGV[6], ARGV[7]
local log, tokens = KEYS[1], KEYS[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if slot ~= '' then
  local held = redis.call('HGET', tokens, slot)
  local of, ids = string.match(held or '', '^(%d+) %d+ (.*)$')
  if of == number then
    local answer = {'ok'}
    for id in string.gmatch(ids, '%S+') do answer[#answer + 1] = id end
    return answer
  end
  if of and tonumber(of) > tonumber(number) then
    return redis.error_reply('ERR an add that came too late')
  end
end
local entries, at = 0, 8
while at <= #ARGV do
  entries = entries + 1
  at = at + 1 + ARGV[at]
end
local last = '0-0'
if redis.call('EXISTS', log) == 1 then
  local info = redis.pcall('XINFO', 'STREAM', log)
  if info.err then return info end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
if expected ~= '' and expected ~= last then return {'conflict', last} end
local seq = string.match(last, '^18446744073709551615%-(%d+)$')
if seq and #seq == 20 and
  seq > string.format('184467%014.0f', 44073709551615 - entries) then
  return redis.error_reply('ERR the log has too few ids left')
end
local answer = {'ok'}
at = 8
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local id
  if max_length == '0' then
    id = redis.pcall('XADD', log, '*', unpack(ARGV, at + 1, at + count))
  else
    id = redis.pcall('XADD', log, 'MAXLEN', '~', max_length, '*',
      unpack(ARGV, at + 1, at + count))
  end
  if type(id) == 'table' then
    for i = 2, #answer do
      if type(redis.pcall('XDEL', log, answer[i])) == 'table' then
        return redis.error_reply('LANDED ' .. id.err)
      end
    end
    return id
  end
  answer[#answer + 1] = id
  at = at + 1 + count
end
local done = 0
if ttl ~= '0' then done = redis.pcall('PEXPIRE', log, ttl) end
if type(done) == 'number' and slot ~= '' then
  done = redis.pcall('HSET', tokens, slot,
    number .. ' ' .. now .. ' ' .. table.concat(answer, ' ', 2))
  if type(done) == 'number' then
    done = redis.pcall('PEXPIRE', tokens, 2 * keep)
  end
end
if type(done) == 'table' then
  redis.pcall('HDEL', tokens, slot)
  for i = 2, #answer do
    if type(redis.pcall('XDEL', log, answer[i])) == 'table' then
      return redis.error_reply('LANDED ' .. done.err)
    end
  end
  return done
end
if sweep == '1' then
  local scan = redis.pcall('HSCAN', tokens,
    redis.call('HGET', tokens, 'sweep') or '0', 'COUNT', 100)
  for i = 1, #(scan[2] or ''), 2 do
    local since = string.match(scan[2][i + 1], '^%d+ (%d+) ')
    if since and now - since > keep then
      redis.pcall('HDEL', tokens, scan[2][i])
    end
  end
  redis.pcall('HSET', tokens, 'sweep', scan[1])
end
return answer]=],
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

--- Where the log stands, for continuity.lua; or, where ARGV[2] is '0' and the
--- entry ARGV[1] is there, the log's length: the common case, and cheaper, since
--- XINFO copies the first and the last entry. Numbers are written without an
--- exponent. The last item: '0' where that entry is there, else '1'; or, from a
--- server that does not count, the id of the newest entry before it.
M.state = {
  sha = "5a87c2e5711f7b424b564147d57839ab14b76437",
  body = [=[
local entry = redis.pcall('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if entry.err then return entry end
if #entry == 1 and ARGV[2] == '0' then
  return string.format('%.0f', redis.call('XLEN', KEYS[1]))
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'0-0', '', '', '0', '0', '', '1'}
end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local of = {}
for i = 1, #info, 2 do of[info[i]] = info[i + 1] end
local first, newest, added = of['first-entry'], of['last-entry'], of['entries-added']
local gone = #entry == 0 and '1' or '0'
if #entry == 0 and not added then
  local older = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1]
  gone = older and older[1] or '1'
end
return {of['last-generated-id'], first and first[1] or '',
  newest and newest[1] or '', string.format('%.0f', of['length']),
  added and string.format('%.0f', added) or '', of['max-deleted-entry-id'] or '',
  gone}]=],
}

--- Deletes the log with its tokens, KEYS[2], and nothing that is no log: 1 or 0.
M.delete = {
  sha = "4018969c74403d7aa35a137fcc111f73973831c0",
  body = [[
local length = redis.pcall('XLEN', KEYS[1])
if type(length) == 'table' then return length end
redis.call('UNLINK', KEYS[2])
return redis.call('UNLINK', KEYS[1])]],
}

return M
