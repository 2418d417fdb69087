--- The script of idempotent adds, and of adds under a condition: adds a unit of
--- entries once, however often it is sent, and perhaps only while the log's last
--- id is the expected one. Answers "ok" and the ids; or "conflict" and the last
--- id; or an error, as scripts.lua says.
---
--- KEYS[1] is the log, KEYS[2] the hash of tokens. A writer has few lanes, each
--- for one add at a time. A field of the hash is a lane; it holds the number of the
--- lane's last add, the time until which it is kept (ms, of the server's clock),
--- and the add's ids: "7 1700000400000 1700000000000-0+2 1700000000001-0" are
--- four, since "+2" is the two behind it. The next add of a lane replaces it.
---
--- The field "eventlog:sweep" marks the hash as ours: no other key is written.
--- It holds what the sweep of fields whose time is over needs: the cursor to go on
--- at, and when. An add that comes then takes a step: over 100 fields, or more if
--- the time is long over; the next step follows 10 ms later, at once if many
--- fields were swept, and a second later at most if all fields were seen. So a
--- step costs an add little, and there are few more fields than there were
--- writers within the time for which they are kept.
---
--- The hash expires by itself, and its time is only ever lengthened: fields of
--- other clients may be kept longer than ours.
---
--- ARGV: lane, or '' for no token; its number; ms that a token is kept; a name for
--- a consumer group that nobody else has; the expected last id, or ''; the TTL in
--- ms, or 0; max_length, or 0; for each entry how many names and values it has,
--- then these.

local scripts = require "eventlog.command.scripts"

return {
  sha = "18877de538c420f620468f3e73566cdead64cbf2",
  body = scripts.try .. scripts.last_id_function .. [=[
local lane, number, keep, group = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local expected, ttl, max_length = ARGV[5], ARGV[6], ARGV[7]
local log, tokens, mark = KEYS[1], KEYS[2], 'eventlog:sweep'

-- Ids i to j, strings, as a token holds them.
local function pack(ids, i, j, packed)
  local ms, seq = string.match(ids[i], '(%d+)-(%d+)')
  local last_ms, last_seq = string.match(ids[j], '(%d+)-(%d+)')
  if i == j then
    packed[#packed + 1] = ids[i]
  elseif ms == last_ms and #last_seq < 16 and last_seq - seq == j - i then
    packed[#packed + 1] = ids[i] .. '+' .. j - i
  else
    local middle = math.floor((i + j) / 2)
    pack(ids, i, middle, packed)
    pack(ids, middle + 1, j, packed)
  end
  return packed
end

local function unpack_into(ids, packed)
  for ms, seq, more in string.gmatch(packed, '(%d+)-(%d+)%+?(%d*)') do
    ids[#ids + 1] = ms .. '-' .. seq
    for i = 1, tonumber(more) or 0 do
      ids[#ids + 1] = ms .. '-' .. string.format('%.0f', seq + i)
    end
  end
  return ids
end

local now, cursor, due
if lane ~= '' then
  local clock, failure = try('TIME')
  if not clock then return failure end
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local state
  state, failure = try('HGET', tokens, mark)
  cursor, due = string.match(state or '', '^(%d+) (%d+)$')
  if failure and string.sub(failure.err, 1, 9) ~= 'WRONGTYPE' then return failure end
  local exists = 1
  if not failure and not due then
    exists, failure = try('EXISTS', tokens)
    if not exists then return failure end
  end
  if exists == 1 and not due then
    return redis.error_reply('WRONGTYPE the key ' .. tokens .. ' holds no ' ..
      'tokens of this log, which belong there: rename that key, or this log')
  end
  local held = due and redis.call('HGET', tokens, lane)
  local of, ids = string.match(held or '', '^(%d+) %d+ (.*)$')
  if of == number then return unpack_into({'ok'}, ids) end
  if of and tonumber(of) > tonumber(number) then
    return redis.error_reply('ERR an add that came too late')
  end
end

local entries, at = 0, 8
while at <= #ARGV do
  entries = entries + 1
  at = at + 1 + ARGV[at]
end

-- The entry whose count ARGV[at] is: its id, or an error.
local function add(id, at)
  local till = at + ARGV[at]
  if max_length == '0' then
    return redis.pcall('XADD', log, id, unpack(ARGV, at + 1, till))
  end
  return redis.pcall('XADD', log, 'MAXLEN', '~', max_length, id,
    unpack(ARGV, at + 1, till))
end

-- Several are added only if enough ids are left. As a rule the present time is an
-- id that the log takes, and tells so (scripts.lua).
local first
if entries > 1 and expected == '' and redis.REDIS_VERSION_NUM then
  first = add(string.format('%.0f-*', now), 8)
  if type(first) == 'table' then first = nil end
end
if not first and (entries > 1 or expected ~= '') then
  local last, failure = last_id(log, group)
  if not last then return named(failure, 'XINFO') end
  if expected ~= '' and expected ~= last then return {'conflict', last} end
  local seq = string.match(last, '^18446744073709551615%-(%d+)$')
  if seq and #seq == 20 and
    seq > string.format('184467%014.0f', 44073709551615 - entries) then
    return redis.error_reply('ERR the log has too few ids left')
  end
end

local ids = {}
-- Takes out what was added, and answers the error.
local function take_out(failure)
  for _, id in ipairs(ids) do
    if not try('XDEL', log, id) then
      return redis.error_reply('LANDED ' .. failure.err)
    end
  end
  return failure
end

at = 8
while at <= #ARGV do
  local id = first or add('*', at)
  if type(id) == 'table' then return take_out(named(id, 'XADD')) end
  first = nil
  ids[#ids + 1] = id
  at = at + 1 + ARGV[at]
end

local done, failure = true, nil
if ttl ~= '0' then done, failure = try('PEXPIRE', log, ttl) end
if done and lane ~= '' then
  local token = number .. ' ' .. now + keep .. ' ' ..
    table.concat(pack(ids, 1, #ids, {}), ' ')
  if due then
    done, failure = try('HSET', tokens, lane, token)
  else
    done, failure = try('HSET', tokens, lane, token, mark, '0 ' .. now)
  end
  if done then done, failure = try('PTTL', tokens) end
  if done and done < keep then
    done, failure = try('PEXPIRE', tokens, 2 * keep)
  end
  if not done then
    try('HDEL', tokens, lane)
    if not due then try('HDEL', tokens, mark) end
  end
end
if not done then return take_out(failure) end

-- A time that is far ahead is of another clock, before a failover.
if due and (now >= tonumber(due) or now + 1000 < tonumber(due)) then
  local scan = try('HSCAN', tokens, cursor, 'COUNT',
    math.max(100, math.min(1000, 100 + 10 * (now - due))))
  local fields, over = scan and scan[2] or {}, {}
  for i = 1, #fields, 2 do
    local ends = string.match(fields[i + 1], '^%d+ (%d+) ')
    if ends and tonumber(ends) < now then over[#over + 1] = fields[i] end
  end
  for i = 1, #over, 1000 do
    try('HDEL', tokens, unpack(over, i, math.min(i + 999, #over)))
  end
  if scan then
    local pause = 10
    if scan[1] == '0' then
      pause = math.max(10, math.min(1000, math.floor(keep / 16)))
    elseif 20 * #over >= #fields then -- one of ten
      pause = 0
    end
    try('HSET', tokens, mark, scan[1] .. ' ' .. now + pause)
  end
end

local answer = {'ok'}
for i, id in ipairs(ids) do answer[i + 1] = id end
return answer]=],
}
