--- A follower whose connection is cut after each byte of what it asks, and of what
--- it is answered: it goes on by itself, and delivers each entry once, in order.

local eventlog = require "eventlog"
local sweeps = require "spec.faults.sweep"

local sweep, server

setup(function()
  sweep = sweeps.new()
  server = sweep.server
end)

teardown(function() sweep:stop() end)

local function add(first, last)
  server:call("EVAL", [[for i = ARGV[1], ARGV[2] do
    redis.call('XADD', KEYS[1], '5-' .. i, 'i', i) end]], 1, "log", first, last)
end

--- Each start; what it is to deliver first; whether each byte is cut.
local starts = {
  { "tail_and_follow", nil, 1, each = true },
  { "tail_n_and_follow", 2, 7 }, -- in one page
  { "tail_n_and_follow", 5, 4 }, -- in two
  { "tail_n_and_follow", 0, 9 },
  { "tail_from_and_follow", "5-3", 3 },
  { "tail_after_and_follow", "5-3", 4 },
}

--- Follows a log of 8 entries in batches of 3 to its end; waits; gets two more.
--- Returns what came, and what ended it.
local function follow(log, start)
  local follower = log[start[1]](log, start[2])
  local seen = { batches = 0 }
  local function take(batch)
    seen.batches = seen.batches + 1
    sweeps.hold(#batch <= 3 and not batch.gap and not batch.reset, "a gap or a reset")
    for _, entry in ipairs(batch) do
      sweeps.hold(entry.id == "5-" .. entry.fields.i, "torn: ", entry.id)
      seen[#seen + 1] = entry.fields.i
    end
    return batch
  end
  local function go_on_until(is_enough)
    repeat
      local batch, err = follower:next(20)
      if not batch then return nil, err end
      take(batch)
    until is_enough(batch)
    return true
  end
  local ok, err = go_on_until(function(batch) return batch.caught_up end)
  if ok then
    -- Whether there was time to ask for it or not, it comes.
    local batch, why = follower:next(0)
    sweeps.hold(not batch and why.kind == "timeout", "something came: ", why)
    add(9, 10)
    ok, err = go_on_until(function() return follower.last_id == "5-10" end)
  end
  if ok then
    local batch, why = follower:next(0)
    sweeps.hold(not batch and why.kind == "timeout", "more came: ", why)
  end
  follower:close()
  return seen, err
end

local function cut(start, direction, how, pooled)
  local log, wanted, failed = nil, {}, 0
  for i = start[3], 10 do wanted[#wanted + 1] = i end
  wanted = table.concat(wanted, " ")
  local count = sweep:each_byte {
    direction = direction, how = how, present = pooled,
    coarse = pooled or not start.each,
    prepare = function()
      server:call("DEL", "log")
      add(1, 8)
      log = eventlog.new(sweep.proxy.url, "log", { batch_size = 3 })
      if pooled then assert(log:length()) end
    end,
    run = function() return follow(log, start) end,
    judge = function(_, was_cut, seen, err)
      if err then
        failed = failed + 1
        -- Only the first connection fails at once.
        sweeps.hold(was_cut and err.kind == "connection" and seen.batches == 0,
          "ended, after ", seen.batches, " batches: ", err.message)
      else
        sweeps.hold(table.concat(seen, " ") == wanted, "came: ", table.concat(seen, " "))
      end
      sweeps.hold(log:length() == (err and 8 or 10), "the next one")
      log.client:close()
    end,
  }
  assert(failed < 0.8 * count, failed .. " of " .. count)
end

describe("a follower", function()
  for _, start in ipairs(starts) do
    it("of " .. start[1] .. "(" .. tostring(start[2] or "") .. ") delivers each entry " ..
      "once, wherever its connection is cut", function()
      cut(start, "request", "close")
      cut(start, "reply", "reset")
      cut(start, "request", "reset", true)
      cut(start, "reply", "close", true)
    end)
  end
end)
