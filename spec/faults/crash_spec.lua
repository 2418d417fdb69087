--- Kill -9 of the server, again and again, in the midst of 10,000 adds: what each
--- add reported is what the append-only file brings back.
---
--- With appendfsync everysec Redis may answer up to 2 s before it writes, so that
--- a crash takes what was acknowledged; with always and no it writes first.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local schedulers = require "spec.support.scheduler"

local ADDS = 10000
local WRITERS = 20
local KILLS = 5

--- How a writer adds: the log's options, and how many entries at most.
local KINDS = {
  { {}, 1 }, { { ttl = 1000 }, 1 }, { {}, 7 }, { { ttl = 1000, max_length = 1e6 }, 7 },
  { { idempotent = true }, 1 }, { { idempotent = true, ttl = 1000 }, 7 },
}

--- One add, of `size` entries. Its outcome.
local function add(log, number, size)
  local entries = {}
  for i = 1, size do entries[i] = { unit = number, i = i } end
  local ids, err = log:add_many(entries)
  local outcome = { number = number, size = size, ids = ids, says = ids and "ids" or err.outcome }
  return outcome, err
end

--- What the log holds, by the unit's number: ids in order, as text. Fails where
--- a unit is torn.
local function read_back(log)
  local units, entries = {}, assert(log:tail())
  local i = 1
  while entries[i] do
    local number, ids = entries[i].fields.unit, {}
    repeat
      ids[#ids + 1] = entries[i].id
      if entries[i].fields.i ~= tostring(#ids) then error("unit " .. number .. " is torn") end
      i = i + 1
    until not entries[i] or entries[i].fields.unit ~= number or entries[i].fields.i == "1"
    if units[number] then error("unit " .. number .. " is there twice") end
    units[number] = ids
  end
  return units, #entries
end

--- Holds what an add said against what is there.
local function judge(outcome, there)
  local where = string.format("unit %d of %d, which said %q: ", outcome.number, outcome.size,
    outcome.says)
  if there and #there ~= outcome.size then error(where .. #there .. " are there") end
  if outcome.says == "none" and there then error(where .. "is there") end
  if outcome.ids then
    if not there then error(where .. "is not there") end
    if table.concat(there, " ") ~= table.concat(outcome.ids, " ") then
      error(where .. "has other ids")
    end
  end
end

describe("10,000 adds, in whose midst the server is killed again and again,", function()
  for _, fsync in ipairs { "always", "no" } do
    it("said what the append-only file brings back: appendfsync " .. fsync, function()
      local server = redis.start { config = "--appendonly yes --appendfsync " .. fsync }
      finally(function() server:stop() end)
      local s = schedulers.new()
      local client = eventlog.connect { url = server.url, driver = s.wait }
      local outcomes, number, writing = {}, 0, WRITERS
      local said = { ids = 0, none = 0, unknown = 0 }
      local kill_at, kills = ADDS / (KILLS + 1), 0

      --- Each kind of add in turn.
      local function write(own)
        while number < ADDS do
          number = number + 1
          local kind = KINDS[(number + own) % #KINDS + 1]
          local log = eventlog.new(client, "log", kind[1])
          local outcome, err = add(log, number, 1 + number % kind[2])
          if kind[1].idempotent then assert(outcome.ids, err) end
          outcomes[outcome.number] = outcome
          said[outcome.says] = said[outcome.says] + 1
          if not outcome.ids then
            assert(err.kind == "connection" or err.code == "LOADING", err.message)
            s:sleep(0.01) -- there are not so many left to be wasted
          end
        end
        writing = writing - 1
      end

      --- Kills from another process, so that no moment is chosen.
      local function kill()
        while kills < KILLS do
          while number < (kills + 1) * kill_at do s:sleep(0) end
          redis.sh("(sleep 0.02; kill -KILL %d) >/dev/null 2>&1 &", server.pid)
          s:sleep(0.1)
          server:kill()
          server:launch()
          kills = kills + 1
        end
      end

      --- Follows all the while; returns the ids that it saw, by number.
      local function follow()
        local follower, seen, count = eventlog.new(client, "log"):tail_and_follow(), {}, 0
        local last
        while true do
          local batch = assert(follower:next(20))
          assert(not batch.gap and not batch.reset)
          for _, entry in ipairs(batch) do
            assert(not last or core.id_compare(last, entry.id) < 0)
            last, count = entry.id, count + 1
            if entry.fields.unit == "end" then return seen, count end
          end
        end
      end

      for own = 1, WRITERS do s:spawn(write, own) end
      s:spawn(kill)
      local follower = s:spawn(follow)
      s:spawn(function()
        while writing > 0 or kills < KILLS do s:sleep(0.05) end
        assert(eventlog.new(client, "log"):add { unit = "end", i = 1 })
      end)
      s:run(100)

      server:kill()
      server:launch() -- now nothing is there but what the file has
      repeat until pcall(server.call, server, "PING") -- it loads
      local units, count = read_back(eventlog.new(server.url, "log"))
      for i = 1, ADDS do judge(outcomes[i], units[tostring(i)]) end
      assert.equal(count, follower.results[2])
      print(string.format("\n%d adds, %d kills: %d ids, %d unknown, %d none", ADDS, kills,
        said.ids, said.unknown, said.none))
      assert(said.ids > ADDS / 2)
      assert(said.none > 0 or said.unknown > 0, "it was never killed amid an add")
    end)
  end
end)
