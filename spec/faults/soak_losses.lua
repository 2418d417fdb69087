--- What each fault of the plan does to the logs, as soak_faults.lua says: trims,
--- deletes, replaces and rolls back.

local aof = require "spec.faults.aof"
local model = require "spec.faults.model"
local truths = require "spec.faults.truth"

local M, faults = {}, {}
M.faults = faults

--- Adds n entries to KEYS[1]. ARGV: the unit; n; the ms of the first id, or ''
--- for ids of now; to how many entries the log is trimmed meanwhile, or ''; 1
--- where the log begins anew; KEYS[2], if any: the log that it then takes the
--- place of.
local ADD = [[
if ARGV[5] == '1' then redis.call('DEL', KEYS[1]) end
for i = 1, tonumber(ARGV[2]) do
  local words = { 'XADD', KEYS[1] }
  if ARGV[4] ~= '' then words[3], words[4], words[5] = 'MAXLEN', '=', ARGV[4] end
  local id = '*'
  if ARGV[3] ~= '' then id = ARGV[3] .. '-' .. i end
  words[#words + 1] = id
  words[#words + 1] = 'at'
  words[#words + 1] = ARGV[6] .. ':' .. ARGV[1] .. ':' .. i .. ':' .. ARGV[2]
  redis.call(unpack(words))
end
if KEYS[2] then redis.call('RENAME', KEYS[1], KEYS[2]) end
if ARGV[6] == ARGV[7] then redis.call('PERSIST', KEYS[1]) end]]

--- Adds entries of the conductor's.
local function add(soak, keys, n, options)
  soak.units = soak.units + 1
  local words = { "EVAL", ADD, #keys }
  for _, key in ipairs(keys) do words[#words + 1] = key end
  for _, word in ipairs {
    soak.units, n, options.ms or "", options.keep or "", options.anew and 1 or 0,
    options.writer or model.CONDUCTOR, model.END,
  } do
    words[#words + 1] = word
  end
  soak.server:call((table.unpack or unpack)(words))
end

--- Adds an entry that says that a log has come to its end.
function M.add_end(soak, log)
  add(soak, { log }, 1, { writer = model.END })
end

function faults.flushall(soak) soak.server:call("FLUSHALL") end

function faults.del(soak, _, random)
  if soak.server:call("DEL", random:pick(soak.logs)) == 0 then return false end
end

--- As log:delete() does it.
function faults.delete(soak, _, random)
  local log = random:pick(soak.logs)
  if soak.server:call("UNLINK", log, "{" .. log .. "}:eventlog") == 0 then return false end
end

--- The append-only file is to say so at once: while clients are paused, Redis says that
--- an expired log is not there, and deletes it later.
function faults.expire(soak, _, random)
  local log = random:pick(soak.logs)
  if soak.server:call("PEXPIRE", log, 1) == 0 then return false end
  local left
  repeat left = soak.server:call("PTTL", log) until left ~= 0 and left ~= 1
end

--- An ms for ids that lie below, or above, all that are given out otherwise; no two
--- are the same.
local function ms_below(soak) return 1000 * (soak.units + 1) end
local function ms_above(soak) return 1000 * (os.time() + 3600 + soak.units) end

function faults.recreate_low(soak, _, random)
  add(soak, { random:pick(soak.logs) }, random:integer(1, 30),
    { ms = ms_below(soak), anew = true })
end

function faults.recreate_high(soak, _, random)
  add(soak, { random:pick(soak.logs) }, random:integer(1, 30),
    { ms = ms_above(soak), anew = true })
end

function faults.rename_over(soak, _, random)
  local ms
  if random:chance(0.5) then ms = ms_below(soak) end
  add(soak, { "soak:other", random:pick(soak.logs) }, random:integer(1, 600),
    { ms = ms, anew = true })
end

function faults.xtrim(soak, _, random)
  if soak.server:call("XTRIM", random:pick(soak.logs), "MAXLEN",
    random:chance(0.2) and 0 or random:integer(1, 60)) == 0 then
    return false
  end
end

--- Deletes some of the last entries.
local XDEL = [[
local entries, deleted = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', #ARGV[1]), 0
for i, entry in ipairs(entries) do
  if ARGV[1]:sub(i, i) == 'x' then deleted = deleted + redis.call('XDEL', KEYS[1], entry[1]) end
end
return deleted]]

function faults.xdel(soak, _, random)
  local which, density = {}, random:pick { 0.1, 0.5, 1 }
  for i = 1, random:integer(1, 40) do which[i] = random:chance(density) and "x" or "." end
  if soak.server:call("EVAL", XDEL, 1, random:pick(soak.logs), table.concat(which)) == 0 then
    return false
  end
end

function faults.burst(soak, _, random)
  add(soak, { random:pick(soak.logs) }, random:integer(50, 1500),
    { keep = random:integer(0, 60) })
end

--- The server comes back with an older state: what a failover does to what had not
--- been replicated.
local function roll_back(soak, random, to)
  soak:down()
  if soak:roll_back(random, to) then return function() soak:launch() end end
  soak:launch()
  return false
end

function faults.rollback(soak, _, random) return roll_back(soak, random) end
function faults.lost(soak, _, random) return roll_back(soak, random, 0) end

--- ... and much is added before its readers are back.
function faults.rollback_and_burst(soak, _, random)
  local finish = roll_back(soak, random)
  return finish and function()
    finish()
    add(soak, { random:pick(soak.logs) }, random:integer(100, 1500), {})
  end
end

--- Where to cut an append-only file: between two groups of commands, not long
--- before its end. nil where it has nothing to lose.
---@param bytes string
---@return integer? offset
function M.place_to_cut(bytes, random)
  -- Any tick begins a group.
  local tick = string.format("*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n", #truths.CLOCK, truths.CLOCK)
  local from = bytes:find(tick, math.max(1, #bytes - 400000), true)
  local offsets = {}
  aof.each(bytes, from and #bytes > 400000 and from - 1 or 0, function(_, begins)
    offsets[#offsets + 1] = begins
  end)
  local depth = random:pick { 5, 40, 300 }
  return offsets[math.max(1, #offsets - random:integer(0, depth))]
end

return M
