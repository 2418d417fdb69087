--- How fast a page's bytes become Lua tables: by hiredis's reader straight into them
--- (hiredis_tables.c), and by the library's decoder. No socket. Needs both modules on
--- LUA_CPATH.
---
---   parse_tables.lua [PAGES]    pages of 1,000 entries of 4 fields of 16 bytes

local build = require "hiredis_tables"
local core = require "eventlog.core"

local ENTRIES, ROUNDS = 1000, 9
local pages = tonumber(arg[1]) or 200

local bytes = { "*" .. ENTRIES .. "\r\n" }
for i = 0, ENTRIES - 1 do
  bytes[#bytes + 1] = string.format("*2\r\n$15\r\n17000000%05d-0\r\n*8\r\n", i)
  for f = 0, 3 do
    bytes[#bytes + 1] = string.format("$6\r\nfield%d\r\n$16\r\n%016d\r\n", f, 4 * i + f)
  end
end
local page = table.concat(bytes)

local decoder = core.decoder()
local ways = {
  { "hiredis, straight into tables", function() return build(page) end },
  { "eventlog, in place", function()
    decoder:feed(page)
    assert(decoder:next())
    return select(5, decoder:page("range", ENTRIES, "map"))
  end },
}

for round = 0, ROUNDS do -- the first is to warm up
  for _, way in ipairs(ways) do
    local made = way[2]()
    assert(#made == ENTRIES and made[ENTRIES].fields.field3 == string.format("%016d", 3999))
    local began = os.clock()
    for _ = 1, pages do way[2]() end
    way[3 + round] = os.clock() - began
  end
end
for _, way in ipairs(ways) do
  local seconds = { (table.unpack or unpack)(way, 4) } -- luacheck: std max
  table.sort(seconds)
  print(string.format("%-30s %6.2f M entries/s (median of %d)", way[1],
    pages * ENTRIES / seconds[(ROUNDS + 1) / 2] / 1e6, ROUNDS))
end
