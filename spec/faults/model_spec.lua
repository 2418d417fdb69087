--- The model that judges a soak, its writers: that it notices each kind of violation
--- in a history made up for it, and accepts what only looks like one. How a history
--- is written is said in history.lua; followers are in model_follower_spec.lua, gaps
--- and resets in files of theirs.

local history = require "spec.faults.history"

local function clean(text) assert.equal("clean", (history.judge(text))) end

--- It finds just this, a pattern.
local function notices(pattern, text)
  assert.matches("^" .. pattern .. "$", (history.judge(text)))
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
    notices("not there: it was acknowledged with other ids", [[
      w add w:1 log 1 plain -
      server add w:1 log 1-1
      w ids w:1 1-1,1-2
    ]])
  end)

  it("notices a unit that is there although none was added", function()
    notices("none: it is there, as 1%-1", [[
      w add w:1 log 1 plain -
      server add w:1 log 1-1
      w none w:1 connection - lost
    ]])
  end)

  it("accepts a conflict where the server has lost what it added before", function()
    local text = [[
      w add w:1 log 1 once 0-0
      server add w:1 log 1-1
      server do LOSS
      server add c:1 log 1-2
      w none w:1 conflict - the_last_id_is_1-2
      server do FLUSHALL
    ]]
    clean((text:gsub("LOSS", "FLUSHALL")))
    notices("none: .*", (text:gsub("LOSS", "DEL other")))
    notices("none: .*", (text:gsub("LOSS", "FLUSHALL"):gsub("once", "plain")))
    notices("none: .*", (text:gsub("LOSS", "FLUSHALL"):gsub("conflict %-", "server OOM")))
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

  it("knows whether an idempotent add may be there twice: all was flushed elsewhen", function()
    for _, lines in ipairs {
      "server do FLUSHALL\n server add w:1 log 1-1\n server add w:1 log 1-2\n",
      "server add w:1 log 1-1\n server add w:1 log 1-2\n server do FLUSHALL\n",
    } do
      notices("double: .*", "w add w:1 log 1 once -\n" .. lines .. "w ids w:1 1-2")
    end
  end)

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
    notices("ttl: it came without the TTL", [[
      w add w:1 brief 1 plain -
      server do XADD brief 1-1 at w:1:1:1; PEXPIREAT other 1
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
