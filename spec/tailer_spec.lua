--- A tailer without a server, a connection or a clock: what it asks, and what it makes of
--- the bytes of each reply. Each case is a text, a line for each question:
---
---   QUESTION <- REPLY | REPLY ... -> OUTCOME
---
--- QUESTION: what is asked: "read N ID" (XREAD of N entries after ID; "read N wait ID":
--- the server may wait), "last N", "back N ID" (XREVRANGE), "plain(ID)" (XRANGE of ID,
--- XLEN), "state(ID)" and "quick(ID)" (the script; "whole": its body; "ro": EVAL_RO).
--- Nothing: the one that was asked before. "ask QUESTION": it is not answered yet.
--- REPLY: ids are entries; "-" none; "nil" what XREAD answers if there are none; a number
--- an integer, "length N" one in a string; "state FIRST NEWEST ADDED REMOVED [LAST
--- [GONE]]"; "error TEXT".
--- OUTCOME: what the last reply brings; "undelivered": the batch is not delivered.
--- A line "restart" calls that.

local core = require "eventlog.core"
local played = require "spec.support.played"
local scripts = require "eventlog.command.scripts"
local tailer = require "eventlog.follow.tailer"

local array, bulk = played.array, played.bulk

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

--- The commands that a request holds, in words.
local function said(request)
  local bytes, at, commands = request:bytes(), 1, {}
  while at <= #bytes do
    local n, behind = bytes:match("^%*(%d+)\r\n()", at)
    local words = {}
    for i = 1, tonumber(n) do
      local size, start = bytes:match("^%$(%d+)\r\n()", behind)
      words[i] = bytes:sub(start, start + size - 1)
      behind = start + size + 2
    end
    local text = table.concat(words, " ")
    if text:find("^EVAL") then
      local sends = words[2] == scripts.state.body and "whole " or ""
      assert(sends ~= "" or words[2] == scripts.state.sha)
      text = sends .. (words[1]:find("_RO$") and "ro " or "") ..
        (words[6] == "1" and "state" or "quick") .. "(" .. words[5] .. ")"
    end
    commands[#commands + 1] = text
    at = behind
  end
  return (table.concat(commands, ", ") .. ",")
    :gsub("XREAD COUNT (%d+) BLOCK 5000 STREAMS log ", "read %1 wait ")
    :gsub("XREAD COUNT (%d+) STREAMS log ", "read %1 ")
    :gsub("XREVRANGE log %+ %- COUNT (%d+)", "last %1")
    :gsub("XREVRANGE log (%S+) %- COUNT (%d+)", "back %2 %1")
    :gsub("XRANGE log (%S+) %1, XLEN log", "plain(%1)")
    :gsub(",$", "")
end

local function entries(ids)
  local list = {}
  for i, id in ipairs(ids) do list[i] = played.entry(id, "i", id) end
  return array((table.unpack or unpack)(list))
end

--- A reply as bytes. is_read: whether it is XREAD's.
local function encode(text, is_read)
  local words = words_of(text)
  if text == "nil" then return "*-1\r\n" end
  if words[1] == "error" then return "-" .. text:sub(7) .. "\r\n" end
  if words[1] == "length" then return bulk(words[2]) end
  if words[1] == "state" then
    local none = words[2] == "none"
    local added, removed = tonumber(words[4]), tonumber(words[5])
    return array(bulk(words[6] or none and "0-0" or words[3]), bulk(none and "" or words[2]),
      bulk(none and "" or words[3]), bulk(tostring(added - removed)),
      bulk(tostring(added)), bulk "0-0", bulk(words[7] or "0"))
  end
  if text:find("^%d+$") then return ":" .. text .. "\r\n" end
  local page = entries(text == "-" and {} or words)
  return is_read and array(array(bulk "log", page)) or page
end

local function told(outcome, a, b)
  local words = { outcome }
  if outcome == "batch" then
    for _, entry in ipairs(a) do words[#words + 1] = entry.id end
    if a.caught_up then words[#words + 1] = "caught_up" end
    if a.gap then
      words[#words + 1] = string.format("gap %s %s %s", a.gap.after, a.gap.before,
        tostring(a.gap.missed))
    end
    if a.reset then words[#words + 1] = a.reset end
    local count = (a.gap and 1 or 0) + (a.reset and 1 or 0)
    assert.equal(count, b and #b or 0) -- events
  elseif outcome == "failed" then
    words[#words + 1] = a.kind
  elseif outcome == "broken" then
    words[#words + 1] = a
  end
  return table.concat(words, " ")
end

--- Feeds the replies to a question. Returns what the last one brings.
local function answer(reader, decoder, asked, replies)
  local bytes = {}
  for reply in (replies .. " | "):gmatch("(.-) | ") do
    local is_read = asked.text:find("^read") and not asked.begun
    bytes[#bytes + 1] = encode(reply, is_read)
    asked.begun = true
  end
  assert(decoder:feed(table.concat(bytes)))
  local results
  repeat
    local kind = decoder:next()
    assert.is_string(kind)
    results = { reader:take(asked.question, kind, decoder) }
    if results[1] == "ahead" then results = { reader:build(decoder) } end
  until decoder:empty()
  return (table.unpack or unpack)(results)
end

local function run(options, text)
  local settings = {
    batch_size = options.batch_size or 3, max_length = options.max_length,
    fields = options.fields or "map", on_gap = options.on_gap or "report",
  }
  local abilities = { reads_by = "", waits_alone = options.waits_alone }
  local reader = tailer.new("log", options.start or {}, settings, abilities)
  local decoder, request, waiting = core.decoder(), core.request(), {}
  local function ask(question)
    local asked = reader:ask(request, options.wait ~= false and 5 or nil)
    assert.equal(question, said(request))
    request:clear()
    waiting[#waiting + 1] = { question = asked, text = question }
  end
  for line in text:gsub("\n%s*%->", " ->"):gmatch("[^\n]+") do
    line = line:match("^%s*(.-)%s*$")
    local question, replies, outcome = line:match("^(.-)%s*<%-%s*(.-)%s*%->%s*(.*)$")
    if line == "restart" then
      reader:restart()
      waiting = {}
    elseif question then
      if question ~= "" then ask(question) end
      local asked = waiting[1]
      local what, a, b = answer(reader, decoder, asked, replies)
      local undelivered = outcome:find(" undelivered$")
      assert.equal(outcome:gsub(" undelivered$", ""), told(what, a, b), line)
      if what == "batch" and not undelivered then reader:deliver(a.caught_up) end
      if asked.question.replies == 0 then table.remove(waiting, 1) end
    elseif line ~= "" then
      ask(assert(line:match("^ask (.*)")))
    end
  end
  return reader
end

-- name, options, lines
local CASES = {
  { "reads what is there, and then waits", {}, [[
    whole state(0-0) <- state 1-0 5-0 5 0 -> next
    read 4 0-0, state(5-0) <- 1-0 2-0 3-0 4-0 | state 1-0 5-0 5 0 -> batch 1-0 2-0 3-0
    read 4 3-0, state(3-0) <- 4-0 5-0 | state 1-0 5-0 5 0 -> batch 4-0 5-0 caught_up
    read 4 wait 5-0, plain(5-0) <- 6-0 | 5-0 | 6 -> batch 6-0 caught_up
    read 4 wait 6-0, plain(6-0) <- 7-0 8-0 | 6-0 | 8 -> batch 7-0 8-0 caught_up
  ]] },
  { "asks without a wait, if that is not wanted", { wait = false }, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 1-0, plain(1-0) <- nil | 1-0 | 1 -> next
    read 4 1-0, state(1-0) <- 2-0 | state 1-0 2-0 2 0 -> batch 2-0 caught_up
  ]] },
  { "hands out an empty first batch, and no other one", {}, [[
    whole state(0-0) <- state none none 0 0 -> next
    read 4 0-0, state(0-0) <- nil | state none none 0 0 -> batch caught_up
    read 4 wait 0-0, quick(0-0) <- nil | state none none 0 0 0-0 1 -> next
    read 4 wait 0-0, state(0-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
  ]] },
  { "needs more, until the last reply has come", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 -> more
    <- state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 wait 1-0, plain(1-0) <- 2-0 -> more
    <- 1-0 -> more
    <- 2 -> batch 2-0 caught_up
    read 4 wait 2-0, plain(2-0) <- 3-0 | 2-0 -> more
    <- 3 -> batch 3-0 caught_up
  ]] },
  { "passes over what was asked behind a page that brings entries", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    ask read 4 wait 1-0, plain(1-0)
    ask read 4 wait 1-0, state(1-0)
    <- 2-0 | 1-0 | 2 -> batch 2-0 caught_up
    <- 2-0 | state 1-0 2-0 2 0 -> more
    read 4 wait 2-0, plain(2-0) <- 3-0 | 2-0 | 3 -> batch 3-0 caught_up
  ]] },
  { "reads a page again, without a wait, if a quick probe finds that something is gone", {}, [[
    whole state(0-0) <- state 1-0 2-0 2 0 -> next
    read 4 0-0, state(2-0) <- 1-0 2-0 | state 1-0 2-0 2 0 -> batch 1-0 2-0 caught_up
    read 4 wait 2-0, plain(2-0) <- 5-0 | - | 1 -> drop
    read 4 2-0, state(2-0) <- 5-0 | state 5-0 5-0 5 4 5-0 1
      -> batch 5-0 caught_up gap 2-0 5-0 2
    read 4 wait 5-0, state(5-0) <- 6-0 | state 5-0 6-0 6 4 -> batch 6-0 caught_up
    read 4 wait 6-0, plain(6-0) <- 7-0 | 6-0 | 3 -> batch 7-0 caught_up
  ]] },
  { "ends with a gap, if it is told to", { on_gap = "error" }, [[
    whole state(0-0) <- state 1-0 2-0 2 0 -> next
    read 4 0-0, state(2-0) <- 1-0 2-0 | state 1-0 2-0 2 0 -> batch 1-0 2-0 caught_up
    read 4 wait 2-0, plain(2-0) <- 5-0 | - | 1 -> drop
    read 4 2-0, state(2-0) <- 5-0 | state 5-0 5-0 5 4 5-0 1 -> failed gap
  ]] },
  { "reads a log that was made anew from its beginning", {}, [[
    whole state(0-0) <- state 1-0 2-0 2 0 -> next
    read 4 0-0, state(2-0) <- 1-0 2-0 | state 1-0 2-0 2 0 -> batch 1-0 2-0 caught_up
    read 4 wait 2-0, plain(2-0) <- 9-0 | - | 2 -> drop
    read 4 2-0, state(2-0) <- 9-0 | state 8-0 9-0 2 0 9-0 1 -> drop
    read 4 wait 0-0, state(9-0) <- 8-0 9-0 | state 8-0 9-0 2 0
      -> batch 8-0 9-0 caught_up recreated
  ]] },
  { "with max_length reads the last entries of a log that was made anew, once it has any",
    { max_length = 2, start = { limit = 2 } }, [[
    whole state(0-0), last 2 <- state 1-0 1-0 1 0 | 1-0 -> batch 1-0 caught_up
    read 4 wait 1-0, quick(1-0) <- nil | state none none 0 0 0-0 1 -> drop
    read 4 wait 0-0, state(0-0) <- 7-0 8-0 9-0 | state 7-0 9-0 3 0 -> drop
    state(0-0), last 2 <- state 7-0 9-0 3 0 | 9-0 8-0 -> batch 8-0 9-0 caught_up recreated
  ]] },
  { "takes the last entries as one batch, if they fit into one", { start = { limit = 2 } }, [[
    whole state(0-0), last 2 <- state 1-0 5-0 5 0 | 5-0 4-0 -> batch 4-0 5-0 caught_up
    read 4 wait 5-0, quick(5-0) <- 6-0 | length 6 -> batch 6-0 caught_up
  ]] },
  { "looks at no entry if none is wanted", { start = { limit = 0 } }, [[
    whole state(0-0) <- state 1-0 5-0 5 0 -> batch caught_up
    read 4 wait 5-0, quick(5-0) <- 6-0 | length 6 -> batch 6-0 caught_up
  ]] },
  { "counts back to where the last entries begin", { start = { limit = 5 } }, [[
    whole state(0-0), last 4 <- state 1-0 9-0 9 0 | 9-0 8-0 7-0 6-0 -> next
    back 2 6-0 <- 6-0 5-0 -> next
    read 4 4-18446744073709551615, state(9-0) <- 5-0 6-0 7-0 8-0 | state 1-0 9-0 9 0
      -> batch 5-0 6-0 7-0
    read 4 7-0, state(7-0) <- 8-0 9-0 | state 1-0 9-0 9 0 -> batch 8-0 9-0 caught_up
  ]] },
  { "locates the beginning again if the log became another one meanwhile",
    { start = { limit = 5 } }, [[
    whole state(0-0), last 4 <- state 1-0 9-0 9 0 | 9-0 8-0 7-0 6-0 -> next
    back 2 6-0 <- 6-0 5-0 -> next
    read 4 4-18446744073709551615, state(9-0) <- nil | state 3-0 3-0 1 0 3-0 1 -> drop
    state(0-0), last 4 <- state 3-0 3-0 1 0 | 3-0 -> batch 3-0 caught_up
  ]] },
  { "says of an id beyond the end that the log is another one",
    { start = { after = "9-0", id = "9-0", claim = "9-0" } }, [[
    whole state(9-0) <- state 1-0 2-0 2 0 2-0 1 -> next
    read 4 2-0, state(2-0) <- nil | state 1-0 2-0 2 0 -> batch caught_up rewound
    read 4 wait 2-0, quick(2-0) <- 3-0 | length 3 -> batch 3-0 caught_up
  ]] },
  { "goes back to the last batch, and gets an answer first", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 wait 1-0, plain(1-0) <- 2-0 -> more
    restart
    read 4 1-0, whole state(1-0) <- 2-0 | state 1-0 2-0 2 0 -> batch 2-0 caught_up
    read 4 wait 2-0, plain(2-0) <- nil | 2-0 | 2 -> next
  ]] },
  { "goes back to the start, if no batch was delivered", { start = { limit = 5 } }, [[
    whole state(0-0), last 4 <- state 1-0 9-0 9 0 | 9-0 8-0 7-0 6-0 -> next
    restart
    whole state(0-0), last 4 <- state 1-0 1-0 1 0 | 1-0 -> batch 1-0 caught_up
  ]] },
  { "probes separately, if the server holds back what stands behind a wait",
    { waits_alone = true }, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 wait 1-0 <- 2-0 -> next
    plain(1-0) <- 1-0 | 2 -> batch 2-0 caught_up
    read 4 wait 2-0 <- nil -> next
    plain(2-0) <- 2-0 | 2 -> next
  ]] },
  { "starts again with the whole script, if the server does not know it", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | error NOSCRIPT No matching script -> restart
    restart
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
  ]] },
  { "sends the script by the other command, if a user may only read", {}, [[
    whole state(0-0) <- error NOPERM this user has no permissions -> restart
    restart
    whole ro state(0-0) <- error NOPERM this user has no permissions -> failed server
  ]] },
  { "ends with what the server refuses", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- error WRONGTYPE Operation against a key -> failed server
  ]] },
  { "takes nothing for a probe that is none", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 wait 1-0, plain(1-0) <- 2-0 | 1-0 | length 2 -> broken protocol
  ]] },
  { "ends with a probe that is refused", {}, [[
    whole state(0-0) <- state 1-0 1-0 1 0 -> next
    read 4 0-0, state(1-0) <- 1-0 | state 1-0 1-0 1 0 -> batch 1-0 caught_up
    read 4 wait 1-0, plain(1-0) <- 2-0 | 1-0 | error OOM no memory -> failed server
  ]] },
}

describe("a tailer", function()
  for _, case in ipairs(CASES) do
    it(case[1], function() run(case[2], case[3]) end)
  end

  it("makes single entries of what was too large, and more again behind them", function()
    local reader = run({}, [[
      whole state(0-0) <- state 1-0 9-0 9 0 -> next
    ]])
    assert.is_true(reader:page_limit():shrink())
    assert.is_false(reader:page_limit():shrink())
    local request = core.request()
    reader:ask(request, 5)
    assert.equal("read 1 0-0, state(9-0)", said(request))
  end)

  it("says in which state it is", function()
    local reader = tailer.new("log", { limit = 5 }, { batch_size = 3, fields = "map",
      on_gap = "report" }, { reads_by = "" })
    assert.equal("last", reader:state())
    assert.equal("place", tailer.new("log", {}, { batch_size = 3, fields = "map",
      on_gap = "report" }, { reads_by = "" }):state())
    local states = {}
    for _, lines in ipairs {
      "whole state(0-0), last 4 <- state 1-0 9-0 9 0 | 9-0 8-0 7-0 6-0 -> next",
      "\nback 2 6-0 <- 6-0 5-0 -> next",
      "\nread 4 4-18446744073709551615, state(9-0) <- 5-0 6-0 -> more",
    } do
      states[#states + 1] = lines
      states[lines] = run({ start = { limit = 5 } }, table.concat(states)):state()
    end
    assert.same({ "back", "page", "probe" },
      { states[states[1]], states[states[2]], states[states[3]] })
  end)

  it("makes the batch that was not delivered again", function()
    local lines = [[
      whole state(0-0) <- state 1-0 2-0 2 0 -> next
      read 4 0-0, state(2-0) <- 1-0 2-0 | state 1-0 2-0 2 0 -> batch 1-0 2-0 caught_up
      read 4 wait 2-0, plain(2-0) <- 3-0 | 2-0 | 3 -> batch 3-0 caught_up undelivered
      restart
      read 4 2-0, whole state(2-0) <- 3-0 | state 1-0 3-0 3 0 -> batch 3-0 caught_up
      read 4 wait 3-0, plain(3-0) <- 9-0 | - | 1 -> drop]]
    -- Told each time, with the same count.
    local gap = "<- 9-0 | state 9-0 9-0 9 8 9-0 1 -> batch 9-0 caught_up gap 3-0 9-0 5"
    run({}, lines .. "\nread 4 3-0, state(3-0)" .. gap .. " undelivered\nrestart" ..
      "\nread 4 3-0, whole state(3-0)" .. gap .. " undelivered\nrestart" ..
      "\nread 4 3-0, whole state(3-0)" .. gap)
  end)
end)
