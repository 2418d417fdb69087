--- The model that judges a soak: that it notices what a gap hides or invents, and
--- accepts what no server can tell. How a history is written is said in history.lua.

local history = require "spec.faults.history"

local function clean(text) assert.equal("clean", (history.judge(text))) end

--- It finds just this, a pattern.
local function notices(pattern, text)
  assert.matches("^" .. pattern .. "$", (history.judge(text)))
end

describe("the model of gaps", function()
  -- 1-1 is handed out, then 1-4; in between SERVER takes out some of what there is.
  local function handed_out(server, gap, second)
    return ([[
      server add c:1 log 1-1 1-2 1-3 1-4
      f start 1 log all -
      f batch 1 - - - 1-1
      server do %s
      f batch 1 caught_up %s - %s
    ]]):format(server, gap, second or "1-4")
  end
  local TRIM, DELETE = "XTRIM log MAXLEN = 1", "XDEL log 1-2 1-3"

  it("accepts one that says what is missing", function()
    clean(handed_out(TRIM, "gap,1-1,1-4,2"))
    clean(handed_out(TRIM, "gap,1-1,1-4,-"))
    clean(handed_out("XTRIM log MAXLEN = 2", "gap,1-1,1-3,1", "1-3 1-4"))
    clean(handed_out("XDEL log 1-3; XTRIM log MAXLEN = 1", "gap,1-1,1-4,2"))
  end)

  it("accepts none, or one without a count, where entries were deleted", function()
    clean(handed_out(DELETE, "-"))
    clean(handed_out(DELETE, "gap,1-1,1-4,-"))
  end)

  it("notices a hole without one", function()
    notices("loss: 1%-2 .*", handed_out(TRIM, "-"))
  end)

  it("notices one that covers not all", function()
    notices("loss: 1%-3 .*", handed_out(TRIM, "gap,1-1,1-3,2"))
    notices("loss: 1%-2 .*", handed_out(TRIM, "gap,1-2,1-4,2"))
  end)

  it("notices a wrong count", function()
    notices("gap: .* says 1, and 2 are missing", handed_out(TRIM, "gap,1-1,1-4,1"))
    notices("gap: .* says 3, and 2 are missing", handed_out(TRIM, "gap,1-1,1-4,3"))
  end)

  it("notices one where nothing was taken out, or nothing is missing", function()
    notices("loss: 1%-2 .*", handed_out("DEL other", "gap,1-1,1-4,2"))
    notices("gap: .* where nothing was trimmed",
      handed_out("DEL other", "gap,1-1,1-2,-", "1-2 1-3 1-4"))
    notices("gap: .* says 1, and 0 are missing",
      handed_out("DEL other", "gap,1-1,1-2,1", "1-2 1-3 1-4"))
  end)

  it("accepts a needless one, uncounted, only where all of its batch was trimmed", function()
    local text = [[
      server add c:1 log 1-1 1-2 1-3
      f start 1 log all -
      f batch 1 - - - 1-1
      server add c:2 log 1-4 keep KEEP
      f batch 1 - gap,1-1,1-2,- - 1-2 1-3
    ]]
    clean((text:gsub("KEEP", "1")))
    notices("gap: .* where nothing was trimmed", (text:gsub("KEEP", "2")))
  end)

  -- A follower of START is handed 1-2, and then 1-4 with a gap, though nothing is
  -- missing there; SERVER deletes before 1-2 comes, or behind that.
  local function needless(start, first_batch, earlier, later)
    return ([[
      server add c:1 log 1-0
      server add c:2 log 1-1
      f start 1 log %s
      f batch 1 %s
      server add c:3 log 1-2 1-3
      server do %s
      f batch 1 - - - 1-3
      server add c:4 log 1-4
      server do %s; XTRIM log MAXLEN = 1
      f batch 1 caught_up gap,1-3,1-4,- - 1-4
    ]]):format(start, first_batch, earlier, later)
  end
  local ALL, NO_REASON = "caught_up - - 1-0 1-1", "gap: .* where nothing was trimmed"

  it("accepts a needless one, uncounted, of who passed what was deleted", function()
    clean(needless("all -", ALL, "XDEL log 1-2", "SET x 1"))
  end)

  it("notices a needless one of who was handed all that was deleted", function()
    local text = needless("all -", ALL, "SET x 1", "XDEL log 1-0 1-3")
    notices(NO_REASON, (text:gsub("%- 1%-3\n", "- 1-2 1-3\n")))
  end)

  it("accepts a needless one, uncounted, of who began amid and was at no end", function()
    local text = needless("START", "FIRST", "SET x 1", "SET y 1"):gsub("%- 1%-3\n", "- 1-2 1-3\n")
    clean((text:gsub("START", "after 1-0"):gsub("FIRST", "- - - 1-1")))
    notices(NO_REASON, (text:gsub("START", "after 1-0"):gsub("FIRST", "caught_up - - 1-1")))
    notices(NO_REASON, (text:gsub("START", "all -"):gsub("FIRST", "- - - 1-0 1-1")))
  end)

  -- The last two, handed out, are deleted; then one is added.
  local function deleted_then_added(second_batch, gap)
    return ([[
      server add c:1 log 1-0 1-1
      f start 1 log all -
      f batch 1 caught_up - - 1-0
      server add c:2 log 1-2 1-3
      f batch 1 caught_up - - %s
      server do XDEL log 1-0 1-1 1-2 1-3
      server add c:3 log 1-4
      f batch 1 caught_up %s - 1-4
    ]]):format(second_batch, gap):gsub("caught_up %- %- 1%-0\n", "caught_up - - 1-0 1-1\n")
  end

  -- Found by script/soak 240 777001 and 150 777002.
  it("notices a needless one behind deleted entries that were all handed out", function()
    clean((deleted_then_added("1-2 1-3", "-")))
    notices(NO_REASON, (deleted_then_added("1-2 1-3", "gap,1-3,1-4,-")))
    notices("gap: .* says 1, and 0 are missing",
      (deleted_then_added("1-2 1-3", "gap,1-3,1-4,1")))
  end)

  it("notices a needless one of a batch of which some was deleted behind it", function()
    local text = [[
      server add c:1 log 1-0
      f start 1 log all -
      f batch 1 caught_up - - 1-0
      server add c:2 log 1-1 1-2 1-3
      server do XDEL log 1-0 1-2
      f batch 1 END gap,1-0,1-1,- - BATCH
    ]]
    notices(NO_REASON, (text:gsub("END", "caught_up"):gsub("BATCH", "1-1 1-2 1-3")))
    clean((text:gsub("END", "caught_up"):gsub("BATCH", "1-1 1-3")))
    clean((text:gsub("END", "-"):gsub("BATCH", "1-1 1-2")))
  end)

  it("notices one that begins or ends elsewhere", function()
    notices("gap: a gap begins at 0%-0, not at the last entry",
      handed_out(TRIM, "gap,0-0,1-4,2"))
    notices("gap: a gap ends at 1%-5, not at the batch", handed_out(TRIM, "gap,1-1,1-5,2"))
  end)

  it("wants none for what was gone before a follower of all began", function()
    local text = [[
      server add c:1 log 1-1 1-2 1-3
      server do XTRIM log MAXLEN = 1
      f start 1 log START
      f batch 1 caught_up GAP - 1-3
    ]]
    clean((text:gsub("START", "all -"):gsub("GAP", "-")))
    clean((text:gsub("START", "after 1-1"):gsub("GAP", "gap,1-1,1-3,1")))
    notices("loss: 1%-2 .*", (text:gsub("START", "after 1-1"):gsub("GAP", "-")))
    notices("gap: .* where nothing was trimmed", [[
      server add c:1 log 1-1 1-2
      f start 1 log after 1-1
      f batch 1 caught_up gap,1-1,1-2,- - 1-2
    ]])
  end)

  it("notices one behind a token that was deleted, where an older one is there", function()
    local text = [[
      server add c:1 log 1-1 1-2 1-3
      server do XDEL log DELETED
      f start 1 log after 1-2
      f batch 1 caught_up gap,1-2,1-3,- - 1-3
    ]]
    notices(NO_REASON, (text:gsub("DELETED", "1-2")))
    clean((text:gsub("DELETED", "1-1 1-2")))
  end)

  it("accepts one behind a token that was trimmed itself", function()
    clean [[
      server add c:1 log 1-1 1-2
      server do XTRIM log MAXLEN = 0
      server add c:2 log 1-3
      f start 1 log after 1-2
      f batch 1 caught_up gap,1-2,1-3,- - 1-3
    ]]
    clean [[
      server add c:1 log 1-1 1-3
      server do XTRIM log MAXLEN = 1
      f start 1 log after 1-2
      f batch 1 caught_up gap,1-2,1-3,- - 1-3
    ]]
  end)
end)
