--- The model that judges a soak, its followers: that it notices what is wrong with
--- what they were handed in a history made up for it, and accepts what only looks so.
--- How a history is written is said in history.lua.

local history = require "spec.faults.history"

local function clean(text, wanted) assert.equal("clean", (history.judge(text, wanted))) end

--- It finds just this, a pattern.
local function notices(pattern, text, wanted)
  assert.matches("^" .. pattern .. "$", (history.judge(text, wanted)))
end

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
      server add c:1 log 1-1
      server add end:1 log 1-2
      server add end:1 other 1-3
      f start 1 other all -
      f batch 1 caught_up - - 1-3
      f start 2 log all -
      f batch 2 - - - 1-1
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

  it("knows where one is that began at the end", function()
    local text = [[
      server add c:1 log 1-1
      f start 1 log n 0
      f batch 1 caught_up - -
      server add c:2 log 1-2 1-3
      f batch 1 caught_up - - BATCH
    ]]
    clean((text:gsub("BATCH", "1-2 1-3")))
    notices("loss: 1%-2 .*", (text:gsub("BATCH", "1-3")))
    notices("twice: 1%-1 .*", (text:gsub("BATCH", "1-1 1-2 1-3")))
  end)

  it("knows where one is that began before its log", function()
    local text = [[
      f start 1 log all -
      f batch 1 caught_up - -
      server add c:1 log 1-1 1-2
      f batch 1 caught_up - RESET BATCH
    ]]
    clean((text:gsub("RESET", "-"):gsub("BATCH", "1-1 1-2")))
    notices("loss: 1%-1 .*", (text:gsub("RESET", "-"):gsub("BATCH", "1-2")))
    notices("reset: .* the log is the same",
      (text:gsub("RESET", "recreated"):gsub("BATCH", "1-1 1-2")))
  end)

  it("judges a batch by each life of the log that has it", function()
    local text = [[
      server add c:1 log 1-1
      f start 1 log all -
      f batch 1 caught_up - - 1-1
      server add c:2 log 1-2 1-3
      server mark late
      server add c:3 log 1-4
      server rollback late
      f batch 1 - - - BATCH
      server add c:4 log 1-5
      f batch 1 caught_up - - 1-5
    ]]
    clean((text:gsub("BATCH", "1-2 1-3")))
    notices("loss: 1%-2 .*", (text:gsub("BATCH", "1-3")))
  end)

  it("has back what a rollback brings back", function()
    local text = [[
      server add c:1 log 1-1 1-2
      server mark whole
      server do XTRIM log MAXLEN = 1
      server rollback whole
      f start 1 log all -
      f batch 1 caught_up - - BATCH
    ]]
    clean((text:gsub("BATCH", "1-1 1-2")))
    notices("loss: 1%-1 .*", (text:gsub("BATCH", "1-2")))
  end)

  it("has the log that was there, and as it was trimmed, where it is rolled back", function()
    local text = [[
      server add c:1 log 1-1 1-2
      server do XTRIM log MAXLEN = 1
      server mark early
      server do DEL log
      server mark gone
      server add c:2 log 2-1
      server rollback WHEN
      f start 1 log all -
      f batch 1 - - - BATCH
    ]]
    clean((text:gsub("WHEN", "early"):gsub("BATCH", "1-2")))
    notices("unknown: .*", (text:gsub("WHEN", "early"):gsub("BATCH", "2-1")))
    clean((text:gsub("WHEN", "gone"):gsub("BATCH", "")))
    notices("unknown: .*", (text:gsub("WHEN", "gone"):gsub("BATCH", "1-2")))
    clean [[
      server add c:1 log 1-1 1-2
      server do XTRIM log MAXLEN = 1
      server mark early
      server add c:2 log 1-3
      server rollback early
      server add c:3 log 1-4 1-5
      server do XTRIM log MAXLEN = 2
      f start 1 log all -
      f batch 1 caught_up - - 1-4 1-5
    ]]
  end)

  it("lets a log go just before it is read", function()
    clean [[
      server add c:1 log 1-1
      f start 1 log all -
      server do DEL log
      f batch 1 caught_up - -
    ]]
  end)

  it("counts", function()
    local _, counts = history.judge [[
      w add w:1 log 2 plain -
      server add w:1 log 1-1 1-2
      w ids w:1 1-1,1-2
      w add w:2 log 1 once -
      server add w:2 log 1-3
      server do FLUSHALL
      server add w:2 log 2-1
      w ids w:2 2-1
      f start 1 log all -
      f batch 1 caught_up - - 2-1
      server add c:1 log 2-2 2-3
      server do XTRIM log MAXLEN = 1
      f batch 1 caught_up gap,2-1,2-3,1 - 2-3
      server do DEL log
      server add c:2 log 3-1
      f batch 1 caught_up - recreated 3-1
      f start 2 log all -
      f failed 2 connection - refused
    ]]
    assert.same({
      ids = 2, acknowledged = 3, forgotten = 1, delivered = 3, gaps = 1, recreated = 1,
      failed = 1,
    }, counts)
  end)

  it("knows what was not wanted", function()
    notices("excess: it began 3 entries before the end, and not 2", [[
      server add c:1 log 1-1 1-2 1-3
      f start 1 log n 2
      f batch 1 caught_up - - 1-1 1-2 1-3
    ]])
    clean [[
      server add c:1 log 1-1 1-2 1-3
      server do XDEL log 1-2
      f start 1 log n 2
      f batch 1 caught_up - - 1-1 1-3
    ]]
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
    clean [[
      server add c:1 log 1-1 1-2
      server do XDEL log 1-2
      f start 1 log all -
      f batch 1 caught_up - - 1-1
    ]]
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
