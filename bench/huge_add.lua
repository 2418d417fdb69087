--- What one huge add costs other clients: how long the slowest of their calls
--- took meanwhile. For the server at this URL, or a local one:
---   lua5.4 bench/huge_add.lua [URL]

local eventlog = require "eventlog"
local core = require "eventlog.core" -- for a clock, which Lua lacks

local ENTRIES, FIELDS, ROUNDS = 20000, 20, 5

local url, part = arg[1] or "redis://127.0.0.1:6379", arg[2]

--- The other client: one short call after the other until it is told to stop; prints
--- the longest time that one took, in ms. Each call is timed, since each may be the
--- one that waits.
local function watch()
  local longest, stop = 0, eventlog.new(url, "eventlog:bench:stop")
  local length
  repeat
    local started = core.now()
    length = assert(stop:length())
    longest = math.max(longest, core.now() - started)
  until length > 0
  print(longest * 1000)
end

--- Adds all entries, `size` a call: seconds, and the other's longest ms.
local function measure(entries, size)
  local client = eventlog.connect(url)
  local log = eventlog.new(client, "eventlog:bench", { ttl = 60 })
  local stop = eventlog.new(client, "eventlog:bench:stop", { ttl = 60 })
  assert(log:delete() ~= nil and stop:delete() ~= nil)
  local other = assert(io.popen(string.format("%s %s '%s' watch", arg[-1], arg[0],
    url)))
  core.wait(-1, "r", 0.5) -- until it is under way
  local started = core.now()
  for first = 1, #entries, size do
    assert(log:add_many({ table.unpack(entries, first, first + size - 1) }))
  end
  local seconds = core.now() - started
  assert(stop:add { stop = true })
  local longest = other:read("n")
  other:close()
  assert(log:delete() and stop:delete())
  client:close()
  return seconds, longest
end

if part == "watch" then return watch() end

local reached, why = eventlog.new(url, "eventlog:bench"):length()
if not reached then
  io.stderr:write(tostring(why), "; redis-server starts one\n")
  os.exit(1)
end

local entries = {}
for i = 1, ENTRIES do
  local entry = {}
  for f = 1, FIELDS do entry[string.format("field%02d", f)] = i * f end
  entries[i] = entry
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

print(string.format("%d entries of %d fields, with a TTL; medians of %d rounds",
  ENTRIES, FIELDS, ROUNDS))
for _, size in ipairs { ENTRIES, 1000, 100 } do
  local seconds, longest = {}, {}
  for round = 1, ROUNDS do seconds[round], longest[round] = measure(entries, size) end
  print(string.format("%6d a call: %5.0f ms in all; another client waited %6.1f ms at most",
    size, median(seconds) * 1000, median(longest)))
end
