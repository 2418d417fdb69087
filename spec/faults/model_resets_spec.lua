--- The model that judges a soak: that it notices resets that are wrong or missing, and
--- accepts what no server can tell. How a history is written is said in history.lua.

local history = require "spec.faults.history"

local function clean(text) assert.equal("clean", (history.judge(text))) end

--- It finds just this, a pattern.
local function notices(pattern, text)
  assert.matches("^" .. pattern .. "$", (history.judge(text)))
end

describe("the model of resets", function()
  -- A follower of 1-1 and 1-2; then SERVER, and a batch.
  local function then_comes(server, batch)
    return ([[
      server add c:1 log 1-1
      server mark early
      server add c:2 log 1-2
      f start 1 log all -
      f batch 1 caught_up - - 1-1 1-2
      server mark read
      server add c:3 log 1-3
      server %s
      f batch 1 caught_up %s
    ]]):format(server:gsub("; server", "\n      server"), batch)
  end
  local REPLACE = "do DEL log; server add c:4 log 2-1 2-2"

  it("accepts one of a log that is another one, or was rolled back", function()
    clean(then_comes(REPLACE, "- recreated 2-1 2-2"))
    clean(then_comes("rollback early; server add c:4 log 1-5", "- rewound 1-1 1-5"))
    clean(then_comes("add c:4 other 1-9; server do RENAME other log", "- recreated 1-9"))
  end)

  it("notices that one is missing", function()
    notices("reset: no reset, and the log is another one.*", then_comes(REPLACE, "- - 2-1 2-2"))
    notices("reset: no reset, .*",
      then_comes("rollback early; server add c:4 log 1-5", "- - 1-5"))
  end)

  it("notices one of a log that is the same", function()
    notices("reset: a reset, and the log is the same",
      then_comes("do DEL other", "- recreated 1-3"))
  end)

  it("accepts none, and no other, of one rolled back to behind the follower", function()
    local rolled_back = "rollback read; server add c:4 log 1-5"
    clean(then_comes(rolled_back, "- - 1-5"))
    notices("reset: a reset, and the log is the same",
      then_comes(rolled_back, "- rewound 1-1 1-2 1-5"))
    -- The entry that was rolled back may come no more.
    notices("unknown: .*", then_comes(rolled_back, "- - 1-3 1-5"))
  end)

  it("accepts one or none where the follower may have been before the end or at it", function()
    local text = [[
      server add c:1 log 1-1
      server mark early
      f start 1 log n 0
      server add c:2 log 1-2
      f batch 1 caught_up - -
      server rollback early
      server add c:3 log 1-3
      f batch 1 caught_up - BATCH
    ]]
    clean((text:gsub("BATCH", "- 1-3")))
    clean((text:gsub("BATCH", "rewound 1-1 1-3")))
    notices("reset: a reset, .*", (text:gsub("c:2 log", "c:2 other")
      :gsub("BATCH", "rewound 1-1 1-3")))
  end)

  it("accepts one or none where there was another log for a moment", function()
    local for_a_moment = "do DEL log; server add c:4 log 2-1; server rollback read; " ..
      "server add c:5 log 1-5"
    clean(then_comes(for_a_moment, "- - 1-5"))
    clean(then_comes(for_a_moment, "- rewound 1-1 1-2 1-5"))
    local gone_for_a_moment = "do DEL log; server rollback read; server add c:5 log 1-5"
    clean(then_comes(gone_for_a_moment, "- - 1-5"))
    clean(then_comes(gone_for_a_moment, "- recreated 1-1 1-2 1-5"))
    local text = [[
      f start 1 log all -
      f batch 1 caught_up - -
      server add c:1 log 1-1
      server do DEL log
      server add c:2 log 2-1
      f batch 1 caught_up - RESET 2-1
    ]]
    clean((text:gsub("RESET", "-")))
    clean((text:gsub("RESET", "recreated")))
  end)

  it("notices a loss behind one, and a gap beside one", function()
    notices("loss: 2%-1 .*", then_comes(REPLACE, "- recreated 2-2"))
    notices("gap: a gap beside a reset", then_comes(REPLACE, "gap,1-2,2-1,1 recreated 2-1 2-2"))
  end)

  it("accepts none where no server can tell one from another, and no loss in it", function()
    local text = then_comes("do DEL log; server add c:4 log 1-0 1-4 1-5; " ..
      "server do XDEL log DELETED; server do XTRIM log MAXLEN = KEEP", "- - 1-5")
    clean((text:gsub("DELETED", "1-0 1-4"):gsub("KEEP", "1")))
    -- 1-0 lies before all that was there.
    notices("reset: no reset, .*", (text:gsub("DELETED", "1-4"):gsub("KEEP", "2")))
    notices("reset: no reset, .*", (text:gsub("DELETED", "1-8"):gsub("KEEP", "3")))
    notices("loss: 1%-4 .*", (text:gsub("DELETED", "1-8"):gsub("KEEP", "2")))
  end)

  it("accepts none where the entry that was rolled back may have been deleted", function()
    local text = then_comes("rollback early; server add c:4 log 1-5 1-6; server do XDEL DELETED",
      "- - 1-6")
    clean((text:gsub("DELETED", "log 1-5")))
    notices("reset: no reset, .*", (text:gsub("DELETED", "other 1-5")))
    -- Others that came with it were deleted, too: as many as make up for it.
    text = then_comes("rollback early; server add c:4 log 1-5 1-6 1-7 1-8; " ..
      "server do XDEL log DELETED", "- - 1-5 1-8")
    clean((text:gsub("DELETED", "1-6 1-7")))
    notices("reset: no reset, .*",
      (text:gsub("DELETED", "1-7"):gsub("1%-5 1%-8\n", "1-5 1-6 1-8\n")))
  end)

  it("counts what no server can tell", function()
    -- As many were added to the new one as were read of the old one, and are gone.
    local text = then_comes(
      "do DEL log; server add c:4 log 1-4 1-5; server add c:5 log 1-6 keep KEEP", "- - 1-6")
    local verdict, counts = history.judge((text:gsub("KEEP", "1")))
    assert.equal("clean", verdict)
    assert.equal(1, counts.indistinguishable)
    notices("loss: 1%-5 .*", (text:gsub("KEEP", "2"))) -- which is there
  end)

  it("notices one missing where too few were added for a gap", function()
    notices("reset: no reset, .*", then_comes(
      "do DEL log; server add c:4 log 1-4; server add c:5 log 1-6 keep 1", "- - 1-6"))
  end)

  it("knows whether an id to begin at was beyond the end", function()
    local text = [[
      server add c:1 log 1-1 1-2
      f start 1 log after FROM
      f batch 1 caught_up - RESET
    ]]
    clean((text:gsub("FROM", "5-1"):gsub("RESET", "rewound")))
    clean((text:gsub(" log", " other", 1):gsub("FROM", "1-1"):gsub("RESET", "recreated")))
    notices("reset: no reset, .*",
      (text:gsub(" log", " other", 1):gsub("FROM", "1-1"):gsub("RESET", "-")))
    notices("reset: no reset, and 5%-1 is beyond .*",
      (text:gsub("FROM", "5-1"):gsub("RESET", "-")))
    clean((text:gsub("FROM", "1-2"):gsub("RESET", "-")))
    notices("reset: a reset at the beginning, and 1%-2 is not beyond .*",
      (text:gsub("FROM", "1-2"):gsub("RESET", "rewound")))
    notices("reset: a reset at the beginning",
      (text:gsub("after FROM", "all -"):gsub("RESET", "recreated 1-1 1-2")))
  end)

  it("knows whether the log can have had the id to begin at", function()
    local text = [[
      server add c:1 log 1-1 1-3 1-4
      server do SERVER
      f start 1 log after 1-2
      f batch 1 caught_up GAP RESET BATCH
    ]]
    local function with(server, gap, reset, batch)
      return (text:gsub("SERVER", server):gsub("GAP", gap):gsub("RESET", reset)
        :gsub("BATCH", batch))
    end
    clean(with("SET x 1", "-", "rewound", "1-1 1-3 1-4"))
    notices("reset: no reset, and the log cannot have had 1%-2",
      with("SET x 1", "-", "-", "1-3 1-4"))
    notices("loss: 1%-1 .*", with("SET x 1", "-", "rewound", "1-3 1-4"))
    clean(with("XTRIM log MAXLEN = 2", "gap,1-2,1-3,-", "-", "1-3 1-4"))
    notices("reset: a reset at the beginning, .*",
      with("XTRIM log MAXLEN = 2", "-", "recreated", "1-3 1-4"))
  end)

  it("wants the last max_length entries behind one", function()
    local text = [[
      server add c:1 short 1-1 1-2 1-3
      f start 1 short all -
      f batch 1 caught_up - - 1-1 1-2 1-3
      server do DEL short
      server add c:2 short 2-1 2-2 2-3 2-4 2-5
      f batch 1 caught_up - recreated BATCH
    ]]
    clean((text:gsub("BATCH", "2-3 2-4 2-5")))
    notices("excess: 4 entries with a reset, and not 3", (text:gsub("BATCH", "2-2 2-3 2-4 2-5")))
    notices("loss: 2%-3 .*", (text:gsub("BATCH", "2-4 2-5")))
  end)

  it("accepts one where the log is replaced between a first look and a first page", function()
    local text = [[
      server add c:1 log 1-1
      server add c:2 other 1-2
      f start 1 log after 1-1
      server SERVER
      f batch 1 - - recreated 1-2
    ]]
    clean((text:gsub("SERVER", "do RENAME other log")))
    notices("reset: a reset at the beginning, .*",
      (text:gsub("other", "log"):gsub("SERVER", "do SET x 1")))
  end)

  it("lets a log that expires be gone before it is", function()
    clean [[
      server add c:1 brief 1-1 ttl
      f start 1 brief after 1-1
      f batch 1 caught_up - recreated
      server do DEL brief
      server add c:2 brief 2-1 ttl
      f batch 1 caught_up - recreated 2-1
    ]]
  end)
end)
