--- A read whose connection is cut after each byte of its request, and of its
--- reply, brings the right result or an error, and never a wrong one.

local eventlog = require "eventlog"
local side_key = require "eventlog.log.side_key"
local sweeps = require "spec.faults.sweep"

local TOKENS = side_key.of("log")
local sweep, server

setup(function()
  sweep = sweeps.new()
  server = sweep.server
end)

teardown(function() sweep:stop() end)

--- Makes the log: 8 entries, which are three pages.
local function fill()
  server:call("EVAL", [[
    redis.call('DEL', KEYS[1])
    for i = 1, 8 do redis.call('XADD', KEYS[1], '5-' .. i, 'i', i) end
    redis.call('HSET', KEYS[2], 'slot', '1 1 5-1', 'eventlog:sweep', '0 1')]], 2, "log", TOKENS)
end

--- As text, to be compared.
local function show(result)
  if type(result) ~= "table" then return tostring(result) end
  local words = {}
  for _, entry in ipairs(result) do
    words[#words + 1] = entry.id .. "=" .. tostring(entry.fields.i)
  end
  return table.concat(words, " ")
end

local function from(first, last)
  local words = {}
  for i = first, last do words[#words + 1] = string.format("5-%d=%d", i, i) end
  return table.concat(words, " ")
end

--- What each calls, and what it is to bring; whether the server has forgotten the
--- scripts.
local reads = {
  { "tail", {}, from(1, 8) },
  { "tail_n", { 5 }, from(4, 8) },
  { "tail_from", { "5-3" }, from(3, 8) },
  { "tail_after", { "5-3" }, from(4, 8) },
  { "length", {}, "8" },
  { "last_id", {}, "5-8" },
}

--- Sweeps over one call, in one direction. judge(result, err, was_cut, k).
local function cut(call, direction, how, pooled, judge)
  local log
  local name, arguments = call[1], call[2]

  local function new_log()
    log = eventlog.new(sweep.proxy.url, "log", { batch_size = 3 })
  end

  local function run()
    return log[name](log, (table.unpack or unpack)(arguments))
  end

  fill()
  new_log()
  assert(run()) -- now the server knows the script
  sweep:each_byte {
    direction = direction, how = how, present = pooled, coarse = pooled,
    prepare = function()
      fill()
      if call.forgotten then server:call("SCRIPT", "FLUSH") end
      if pooled then
        assert(log:length())
      else
        new_log()
      end
    end,
    run = run,
    judge = function(k, was_cut, result, err)
      judge(result, err, was_cut, k)
      local id, why = log:tail_from("5-8")
      sweeps.hold(id and show(id) == (server:call("EXISTS", "log") == 1 and from(8, 8) or ""),
        "the next one: ", id and show(id) or why)
      if not pooled then log.client:close() end
    end,
  }
  log.client:close()
end

--- In each direction, on new connections and on used ones.
local function cut_all(call, judge)
  cut(call, "request", "close", false, judge)
  cut(call, "reply", "reset", false, judge)
  cut(call, "request", "reset", true, judge)
  cut(call, "reply", "close", true, judge)
end

for _, call in ipairs(reads) do
  describe(call[1], function()
    it("is right or an error, wherever its connection is cut", function()
      local errors, before = 0, sweep.cuts
      cut_all(call, function(result, err, was_cut)
        if result then
          sweeps.hold(show(result) == call[3], "wrong: ", show(result))
        else
          errors = errors + 1
          sweeps.hold(was_cut and err.kind == "connection" and err.outcome == nil,
            "an error: ", err.message)
        end
      end)
      -- A used connection that answered nothing is replaced, unseen. What has
      -- entries in its answer is asked for again, since it may be too large.
      local cuts = sweep.cuts - before
      if call[1] == "length" then
        assert(errors > cuts / 4 and errors < cuts, errors .. " of " .. cuts)
      else
        assert(errors < cuts / 4, errors .. " of " .. cuts)
      end
    end)
  end)
end

describe("delete", function()
  for _, forgotten in ipairs { false, true } do
    it("says what became of the log, wherever its connection is cut" ..
      (forgotten and ", its script forgotten" or ""), function()
      cut_all({ "delete", {}, forgotten = forgotten }, function(result, err, was_cut)
        local left = server:call("EXISTS", "log", TOKENS)
        sweeps.hold(left == 0 or left == 2, "half a log is there")
        if result == nil then
          sweeps.hold(was_cut and err.kind == "connection", "an error: ", err.message)
        else
          sweeps.hold(result == true, "says that there was no log")
          sweeps.hold(left == 0, "says that it is gone, and it is not")
        end
      end)
    end)
  end
end)
