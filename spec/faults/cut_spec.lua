--- An add whose connection is cut after each byte of its request, and of its
--- reply: what it returns is what happened in Redis.

local eventlog = require "eventlog"
local sweeps = require "spec.faults.sweep"

local sweep, server

setup(function()
  sweep = sweeps.new()
  server = sweep.server
end)

teardown(function() sweep:stop() end)

-- Begins a log anew, with one entry, and says what the last one held, "id fields"
-- to a line, and the milliseconds it had.
local RENEW = [[
local lines = { tostring(redis.call('PTTL', KEYS[1])) }
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  lines[#lines + 1] = entry[1] .. ' ' .. table.concat(entry[2], ' ')
end
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '1-1', 'i', '0')
return table.concat(lines, '\n')]]

--- The ids of all entries but the first, what they hold ("1 2 3"), and the TTL.
local function renew()
  local text = server:call("EVAL", RENEW, 1, "log")
  local ids, values = {}, {}
  for id, value in text:gmatch("\n(%S+) i (%d+)") do
    ids[#ids + 1], values[#values + 1] = id, value
  end
  if ids[1] then
    sweeps.hold(ids[1] == "1-1" and values[1] == "0", "the first entry has gone")
  end
  return table.concat(ids, " ", 2), table.concat(values, " ", 2), tonumber(text:match("^%S+"))
end

local function numbered(n)
  local entries = {}
  for i = 1, n do entries[i] = { i = i } end
  return entries
end

--- What each is: how many entries, and the log's options; whether the server has
--- forgotten the scripts, whether it is add_if, whether the client has yet to
--- meet MULTI, and whether it is so long that each byte is cut on new connections
--- only, and not all is asked each time.
local adds = {
  { "one entry", 1 },
  { "three entries", 3 },
  { "three entries, the client's first", 3, is_first = true },
  { "an entry with a TTL", 1, { ttl = 100 } },
  { "an entry with a TTL, its script forgotten", 1, { ttl = 100 }, forgotten = true },
  { "fifty entries with a TTL and a length", 50, { ttl = 100, max_length = 1000 }, long = true },
  { "an idempotent entry", 1, { idempotent = true } },
  { "three idempotent entries with a TTL", 3, { ttl = 100, idempotent = true } },
  { "an entry under a condition", 1, is_conditional = true },
  { "an entry under a condition, its script forgotten", 1, is_conditional = true,
    forgotten = true, long = true },
  { "an idempotent entry under a condition", 1, { idempotent = true }, is_conditional = true },
}

describe("an add of", function()
  --- Sweeps in one direction; `pooled`: on a connection that was used before.
  local function cut(case, direction, how, pooled)
    local n, settings = case[2], case[3] or {}
    local entries, log = numbered(n), nil
    local landed = table.concat((function(list)
      for i = 1, n do list[i] = i end
      return list
    end) {}, " ")

    local function new_log()
      log = eventlog.new({ url = sweep.proxy.url, reconnect_timeout = 5 }, "log", settings)
      log.client.topology.abilities.has_multi = not case.is_first
    end

    local function judge(k, was_cut, ids, err)
      local held, values, ttl = renew()
      local whole = values == landed
      sweeps.hold(whole or values == "", "torn, or twice: ", values)
      if ids then
        sweeps.hold(whole and table.concat(ids, " ") == held, "other ids than ", held)
      else
        sweeps.hold(was_cut and err.kind == "connection", "an error: ", err.message)
        sweeps.hold(not settings.idempotent, "not retried: ", err.message)
        sweeps.hold(err.outcome == "unknown" or err.outcome == "none" and not whole,
          "outcome ", err.outcome)
      end
      sweeps.hold((ttl > 0) == (whole and settings.ttl ~= nil), "the TTL is ", ttl)
      if direction == "reply" and not case.forgotten then
        sweeps.hold(whole, "did not happen")
      end
      if not case.long or k % 7 == 0 then
        local length, why = log:length()
        sweeps.hold(length == 1, "the next one: ", length or why)
      end
      if not pooled then log.client:close() end
    end

    local function run()
      if case.is_conditional then return log:add_if("1-1", entries[1]) end
      return log:add_many(entries)
    end

    renew()
    new_log()
    assert(run()) -- now the server knows the script
    renew()
    sweep:each_byte {
      direction = direction, how = how, present = pooled, judge = judge,
      prepare = function()
        if case.forgotten then server:call("SCRIPT", "FLUSH") end
        if not pooled then new_log() end
      end,
      run = run, coarse = pooled and case.long,
    }
    log.client:close()
  end

  for _, case in ipairs(adds) do
    local name = case[1]
    it(name .. " says what became of it, wherever its connection is cut", function()
      cut(case, "request", "close")
      cut(case, "reply", "close")
      cut(case, "request", "reset", true)
      cut(case, "reply", "reset", true)
    end)
  end
end)
