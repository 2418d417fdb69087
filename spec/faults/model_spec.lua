--- The model that judges a soak: that it notices each kind of violation in a history
--- made up for it, and accepts what only looks like one. How a history is written
--- is said in history.lua; gaps and resets are in model_gaps_spec.lua.

local history = require "spec.faults.history"

local function clean(text, wanted) assert.equal("clean", (history.judge(text, wanted))) end

--- It finds just this, a pattern.
local function notices(pattern, text, wanted)
  assert.matches("^" .. pattern .. "$", (history.judge(text, wanted)))
end

describe("the model of adds", function()
  it("accepts what is there as it was acknowledged, and what nobody can know", function()
    clean [[
      w add w:1 log 2 plain -
      server add w:1 log 1-1 1-2
      w ids w:1 1-1,1-2
      w add w:2 log 1 plain -
      server add w:2 log 1-3
      w unknown w:2 connection - lost
      w add w:3 log 1 plain -
      w unknown w:3 connection - lost
      w add w:4 log 1 plain -
      w none w:4 server BUSY busy
      w add w:5 log 1 plain -
      server add w:5 log 1-4
      w add w:6 log 1 plain -
    ]]
  end)

  it("notices an acknowledged unit that is not there, or there with other ids", function()
    notices("not there: it was acknowledged", [[
      w add w:1 log 1 plain -
      w ids w:1 1-1
    ]])
    notices("not there: it was acknowledged with other ids", [[
      w add w:1 log 2 plain -
      server add w:1 log 1-1 1-2
      w ids w:1 1-1,1-3
    ]])
    notices("not there: it was acknowledged with other ids", [[
      w add w:1 log 2 plain -
      server add w:1 log 1-1 1-2
      w ids w:1 1-1
    ]])
  end)

  it("notices a unit that is there although none was added", function()
    notices("none: it is there, as 1%-1", [[
      w add w:1 log 1 plain -
      server add w:1 log 1-1
      w none w:1 connection - lost
    ]])
  end)

  it("notices a torn unit: in two groups, with another one in it, in part", function()
    notices("torn: 1 of 2 entries.*", [[
      w add w:1 log 2 plain -
      server do XADD log 1-1 at w:1:1:2
      server do XADD log 1-2 at w:1:2:2
    ]])
    notices("torn: 2 of 2 entries, or some between them", [[
      w add w:1 log 2 plain -
      server do XADD log 1-1 at w:1:1:2; XADD log 1-2 at c:1:1:1; XADD log 1-3 at w:1:2:2
      w ids w:1 1-1,1-3
    ]])
    notices("torn: 2 of 3 entries.*", [[
      w add w:1 log 3 plain -
      server add w:1/3 log 1-1 1-2
      w unknown w:1 connection - lost
    ]])
    notices("torn: 2 of 2 entries.*", [[
      w add w:1 log 2 plain -
      server do XADD log 1-1 at w:1:2:2; XADD log 1-2 at w:1:1:2
    ]])
  end)

  for _, kind in ipairs { "plain", "once" } do
    it("notices a double (" .. kind .. ")", function()
      notices("double: it is there as 1%-1 and as 1%-2", [[
        w add w:1 log 1 ]] .. kind .. [[ -
        server add w:1 log 1-1
        server add w:1 log 1-2
        w ids w:1 1-2
      ]])
    end)
  end

  -- What makes the server forget, and whether it may have.
  local forgets = {
    ["all was flushed"] = { true, "FLUSHALL" },
    ["the tokens were deleted"] = { true, "UNLINK log {log}:eventlog" },
    ["the log was deleted"] = { false, "DEL log" },
    ["another log's tokens were deleted"] = { false, "DEL {other}:eventlog" },
  }
  for name, each in pairs(forgets) do
    it("knows whether an idempotent add may be there twice: " .. name, function()
      (each[1] and clean or function(text) notices("double: .*", text) end)([[
        w add w:1 log 1 once -
        server add w:1 log 1-1
        server do ]] .. each[2] .. [[

        server add w:1 log 1-2
        w ids w:1 1-2
      ]])
    end)
  end

  it("knows whether an idempotent add may be there twice: rolled back", function()
    local text = [[
      server mark before
      w add w:1 log 1 KIND -
      server add w:1 log 1-1
      server mark behind
      server do SET x 1
      server rollback WHEN
      server add w:1 log 1-2
      w ids w:1 1-2
    ]]
    clean((text:gsub("KIND", "once"):gsub("WHEN", "before")))
    notices("double: .*", (text:gsub("KIND", "once"):gsub("WHEN", "behind")))
    notices("double: .*", (text:gsub("KIND", "plain"):gsub("WHEN", "before")))
  end)

  it("notices a unit in another log, without its TTL, and one that nobody added", function()
    notices("wrong log: it is in other", [[
      w add w:1 log 1 plain -
      server add w:1 other 1-1
      w ids w:1 1-1
    ]])
    notices("ttl: it came without the TTL", [[
      w add w:1 brief 1 plain -
      server add w:1 brief 1-1
      w ids w:1 1-1
    ]])
    clean [[
      w add w:1 brief 1 plain -
      server add w:1 brief 1-1 ttl
      w ids w:1 1-1
    ]]
    notices("unknown: nobody added it", "server add w:1 log 1-1")
    clean "server add c:1 log 1-1"
  end)

  it("notices a unit that was added under another last id", function()
    local text = [[
      server add c:1 log 1-1 1-2
      w add w:1 log 1 plain EXPECTED
      server add w:1 log 1-3
      w ids w:1 1-3
    ]]
    clean((text:gsub("EXPECTED", "1-2")))
    notices("condition: the last id was 1%-2, not 1%-1", (text:gsub("EXPECTED", "1-1")))
  end)

  it("notices an error that no fault explains, and a retry that was given up", function()
    notices("error: server WRONGTYPE .*", [[
      w add w:1 log 1 plain -
      w none w:1 server WRONGTYPE it_is_a_string
    ]])
    notices("gave up: connection .*", [[
      w add w:1 log 1 once -
      w unknown w:1 connection - lost
    ]])
    clean [[
      w add w:1 log 1 once 1-1
      w none w:1 conflict - the_last_id_is_0-0
      w add w:2 log 1 once -
      w none w:2 server OOM no_memory
    ]]
    notices("raised: why", "w broke why")
  end)
end)

describe("the model of followers", function()
  it("accepts each entry once, in order, over several lives", function()
    clean([[
      server add c:1 log 1-1 1-2
      f start 1 log all -
      f batch 1 - - - 1-1
      server add c:2 log 1-3
      f batch 1 caught_up - - 1-2 1-3
      f start 2 log after 1-3
      f batch 2 caught_up - -
      server add end:1 log 1-4
      f batch 2 caught_up - - 1-4
      f start 3 log from 1-3
      f batch 3 caught_up - - 1-3 1-4
      f start 4 log n 1
      f batch 4 caught_up - - 1-4
      f start 5 short all -
      f failed 5 connection - refused
    ]], "log")
  end)

  it("notices one who has not come to the end", function()
    notices("end: it has not come to the end", [[
      server add end:1 log 1-1
      server add end:1 other 1-1
      f start 1 other all -
      f batch 1 caught_up - - 1-1
    ]], "log")
  end)

  it("notices what is handed out twice", function()
    notices("twice: 1%-2 came after 1%-2", [[
      server add c:1 log 1-1 1-2
      f start 1 log all -
      f batch 1 caught_up - - 1-1 1-2
      f batch 1 caught_up - - 1-2
    ]])
    notices("twice: 1%-1 comes before the beginning, 1%-1", [[
      server add c:1 log 1-1 1-2
      f start 1 log after 1-1
      f batch 1 caught_up - - 1-1 1-2
    ]])
  end)

  it("notices a wrong order", function()
    notices("order: 1%-1 came after 1%-2", [[
      server add c:1 log 1-1 1-2
      f start 1 log all -
      f batch 1 - - - 1-2 1-1
    ]])
  end)

  it("notices what never was, or is not as it was, and bad bytes", function()
    notices("unknown: .* were never there", [[
      server add c:1 log 1-1
      f start 1 log all -
      f batch 1 - - - 1-1 1-2=c:1:2:2
    ]])
    notices("unknown: .* were never there", [[
      server add c:1 log 1-1
      f start 1 log all -
      f batch 1 - - - 1-1=c:2:1:1
    ]])
    notices("bytes: 1%-1=c:1:1:1", [[
      server add c:1 log 1-1
      f start 1 log all -
      f bad 1 1-1=c:1:1:1
    ]])
    notices("raised: why", "f broke why")
  end)

  -- Where an entry is missing: what was handed out.
  local losses = {
    ["within a batch"] = { "1-1 1-3", "1-4" },
    ["between two batches"] = { "1-1", "1-3 1-4" },
    ["at the beginning"] = { "1-2 1-3", "1-4" },
  }
  for where, batches in pairs(losses) do
    it("notices a loss " .. where, function()
      notices("loss: 1%-%d .* was not handed out", ([[
        server add c:1 log 1-1 1-2 1-3 1-4
        f start 1 log all -
        f batch 1 - - - %s
        f batch 1 caught_up - - %s
      ]]):format(batches[1], batches[2]))
    end)
  end

  it("notices a loss in the beginning: of the last n, of an empty batch", function()
    notices("loss: 1%-2 .*", [[
      server add c:1 log 1-1 1-2 1-3
      f start 1 log n 2
      f batch 1 caught_up - - 1-3
    ]])
    notices("loss: 1%-1 .*", [[
      server add c:1 log 1-1
      f start 1 log all -
      f batch 1 - - -
    ]])
  end)

  it("knows what was not wanted", function()
    notices("excess: it began 3 entries before the end, and not 2", [[
      server add c:1 log 1-1 1-2 1-3
      f start 1 log n 2
      f batch 1 caught_up - - 1-1 1-2 1-3
    ]])
    clean [[
      server add c:1 short 1-1 1-2 1-3 1-4 1-5
      f start 1 short all -
      f batch 1 caught_up - - 1-3 1-4 1-5
    ]]
    notices("excess: .*", [[
      server add c:1 short 1-1 1-2 1-3 1-4 1-5
      f start 1 short all -
      f batch 1 caught_up - - 1-2 1-3 1-4 1-5
    ]])
  end)

  it("notices one who says that it has caught up where it has not", function()
    notices("caught_up: .* 1%-2 was there", [[
      server add c:1 log 1-1 1-2
      f start 1 log all -
      f batch 1 caught_up - - 1-1
    ]])
  end)

  it("notices an end that was none of ours, or came amid", function()
    notices("ended: server NOPERM .*", [[
      f start 1 log all -
      f failed 1 server NOPERM may_not
    ]])
    notices("ended: connection .*", [[
      f start 1 log all -
      f batch 1 caught_up - -
      f failed 1 connection - lost
    ]])
  end)
end)
