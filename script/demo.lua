--- The processes that script/demo starts, each with a part of its own:
---
---   writer i   adds each fourth line, from the i-th on, as an event
---   reader i   follows, and holds each event against the line it came from
---   screen     follows, too, and shows a person what happens
---
--- Each gets the server's URL, the file of lines, the part, and what it needs.
--- The readers tell the screen through a log, of course.

local eventlog = require "eventlog"
local core = require "eventlog.core" -- for a clock and a sleep, which Lua lacks

local WRITERS, READERS = 4, 3

-- How long the writers take, unless that is more than the machine can do.
local SECONDS = 7
-- What no longer moves has failed.
local PATIENCE = 20

local url, path, part = arg[1], arg[2], arg[3]
if not part then
  io.stderr:write("script/demo.lua is a part of script/demo, which starts a Redis: run that\n")
  os.exit(2)
end
local client = eventlog.connect(url)
local log = eventlog.new(client, "demo:lines")
local reports = eventlog.new(client, "demo:reports")

-- --- lines and events -------------------------------------------------------

local function open()
  return assert(io.open(path, "rb"))
end

--- The lines of one writer: an iterator of number, line.
local function share(writer)
  local next_line, number = open():lines(), 0
  return function()
    for line in next_line do
      number = number + 1
      if number % WRITERS == writer % WRITERS then return number, line end
    end
  end
end

local DATE = "^(%d+%-%d+%-%d+ %d+:%d+:%d+) "

-- The first that fits: a pattern, and the names of what it captures.
local FORMS = {
  -- dpkg.log
  { DATE .. "(status) (%S+) (%S+) (%S+)$",
    "time", "action", "state", "package", "version" },
  { DATE .. "(%l+) (%S+) (%S+) (%S+)$",
    "time", "action", "package", "old", "new" },
  { DATE .. "(%l+) (.+)$", "time", "action", "detail" },
  -- syslog, new and old
  { "^(%d+%-%d+%-%d+T%S+) (%S+) (%S+): (.*)$", "time", "host", "program", "text" },
  { "^(%a%a%a [ %d]%d %d+:%d+:%d+) (%S+) (%S+): (.*)$",
    "time", "host", "program", "text" },
  { "^(.*)$", "text" },
}

--- A line taken apart.
local function parse(line)
  for _, form in ipairs(FORMS) do
    local captures = { line:match(form[1]) }
    if captures[1] then
      local fields = {}
      for i, capture in ipairs(captures) do fields[form[i + 1]] = capture end
      return fields
    end
  end
end

--- The event for a line: its fields, where it stood, and who added it.
local function event_of(line, number, writer)
  local fields = parse(line)
  fields.line, fields.writer = number, writer
  return fields
end

-- --- writer -----------------------------------------------------------------

local function sleep_until(time)
  while core.now() < time do core.wait(-1, "r", time - core.now()) end
end

local function write(writer)
  local count = 0
  for _ in share(writer) do count = count + 1 end
  -- At most 25 calls a second; of few lines, one at a time and not too slowly.
  local size = math.max(1, math.ceil(count / (25 * SECONDS)))
  local pause = math.min(0.25, SECONDS * size / math.max(count, 1))
  local next_line, started = share(writer), core.now()
  for call = 1, math.ceil(count / size) do
    local events = {}
    while #events < size do
      local number, line = next_line()
      if not number then break end
      events[#events + 1] = event_of(line, number, writer)
    end
    assert(log:add_many(events))
    sleep_until(started + call * pause)
  end
  assert(log:add { writer = writer, lines = count }) -- that was all
end

-- --- reader -----------------------------------------------------------------

--- What is wrong with an event, given its writer's next line; nil: nothing.
local function fault(fields, number, line)
  if not number then return "an event too many" end
  if fields.line ~= tostring(number) then
    return string.format("line %s where line %d was due", fields.line, number)
  end
  for name, value in pairs(event_of(line, number, fields.writer)) do
    if fields[name] ~= tostring(value) then
      return string.format("line %d has another %s", number, name)
    end
  end
end

local function read(reader)
  local shares = {}
  for writer = 1, WRITERS do shares[tostring(writer)] = share(writer) end
  local seen, writing, last_ms, last_seq = 0, WRITERS, -1, -1
  local order = 0xcbf29ce484222325 -- a hash (FNV-1a) over all ids
  local report_at, problem = 0, nil

  local function take(event)
    local fields = event.fields
    local ms, seq = event.id:match("^(%d+)-(%d+)$")
    ms, seq = tonumber(ms), tonumber(seq)
    if ms < last_ms or (ms == last_ms and seq <= last_seq) then
      return "the ids do not rise"
    end
    last_ms, last_seq = ms, seq
    order = ((order ~ ms) * 0x100000001b3 ~ seq) * 0x100000001b3
    local number, line = shares[fields.writer]()
    if fields.lines then
      writing = writing - 1
      return number and "an event is missing"
    end
    seen = seen + 1
    return fault(fields, number, line)
  end

  for batch in log:tail_and_follow() do
    for _, event in ipairs(batch) do problem = problem or take(event) end
    if problem or writing == 0 then break end
    if core.now() >= report_at then
      report_at = core.now() + 0.2
      assert(reports:add { reader = reader, seen = seen })
    end
  end
  assert(reports:add {
    reader = reader, seen = seen, order = string.format("%016x", order),
    problem = problem or "none",
  })
end

-- --- screen -----------------------------------------------------------------

--- 6145 as 6,145
local function grouped(n)
  local text = string.format("%d", n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

--- "1 line", "6,145 lines"
local function count_of_lines(n)
  return grouped(n) .. (n == 1 and " line" or " lines")
end

--- A text of the file's, so that a terminal can show it, cut to a width.
local function printable(text, width)
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  text = text:gsub("\194[\128-\159]", "."):gsub("%c", ".")
  local stop = utf8.offset(text, width + 1)
  return stop and text:sub(1, stop - 1) or text
end

local SHOWN = { "time", "host", "program", "action", "state", "package", "old",
  "new", "version", "detail", "text" }

local function describe(event, width)
  local words = {}
  for _, name in ipairs(SHOWN) do words[#words + 1] = event.fields[name] end
  return printable(string.format("  writer %s  %s", event.fields.writer,
    table.concat(words, "  ")), width)
end

--- Lines that scroll, over a block that is drawn again and again; where width is
--- 0, no terminal is there: lines only.
local Display = {}
Display.__index = Display

function Display.new(width)
  return setmetatable({ width = width, height = 0 }, Display)
end

function Display:draw(lines, block)
  local out = {}
  if self.height > 0 then out[1] = string.format("\27[%dA\27[J", self.height) end
  for _, line in ipairs(lines) do out[#out + 1] = line .. "\n" end
  self.height = self.width > 0 and #block or 0
  if self.width > 0 then
    for _, line in ipairs(block) do
      out[#out + 1] = printable(line, self.width - 1) .. "\n"
    end
  end
  io.write(table.concat(out))
  io.flush()
end

local function size_of(name)
  local file = io.open(name, "rb")
  local size = file and file:seek("end") or 0
  if file then file:close() end
  return size
end

local function show(name, width)
  local total, written, ended = 0, 0, 0
  for _ in open():lines() do total = total + 1 end
  local display, readers = Display.new(width), {}
  for i = 1, READERS do readers[i] = { seen = 0 } end
  local follower, news = log:tail_and_follow(), reports:tail_and_follow()
  local started, moved_at = core.now(), core.now()
  local finished_at
  local latest, turn = {}, 0 -- by writer; whose line is shown next

  local function rate()
    return written / math.max((finished_at or core.now()) - started, 0.001)
  end

  local function block()
    local seen = {}
    for i, reader in ipairs(readers) do
      seen[i] = string.format("reader %d  %-10s", i, grouped(reader.seen))
    end
    local bar = ("#"):rep(math.floor(40 * written / total))
    return {
      "",
      string.format("  [%-40s]  %s a second", bar, grouped(rate() // 1)),
      string.format("  written  %s of %s", grouped(written), count_of_lines(total)),
      "  " .. table.concat(seen),
    }
  end

  local function take_events()
    local batch, err = follower:next(0.05)
    if not batch then
      if err.kind ~= "timeout" then error(err, 0) end
      return
    end
    for _, event in ipairs(batch) do
      moved_at = core.now()
      if event.fields.lines then
        ended = ended + 1
        finished_at = ended == WRITERS and moved_at or nil
      else
        written = written + 1
        latest[tonumber(event.fields.writer)] = event
      end
    end
  end

  --- The writer whose line is shown now: in turn, so that all are seen; nil if
  --- nothing new has come.
  local function next_writer()
    for _ = 1, WRITERS do
      turn = turn % WRITERS + 1
      if latest[turn] then return turn end
    end
  end

  local function take_reports()
    while true do
      local batch, err = news:next(0)
      if not batch then
        if err.kind ~= "timeout" then error(err, 0) end
        return
      end
      for _, event in ipairs(batch) do
        local fields = event.fields
        local reader = readers[tonumber(fields.reader)]
        moved_at = core.now()
        reader.seen = tonumber(fields.seen)
        reader.order, reader.problem = fields.order, fields.problem
      end
    end
  end

  local function done()
    for _, reader in ipairs(readers) do
      if not reader.problem then return false end
    end
    return finished_at
  end

  local function verdict()
    local problems = {}
    local function expect(right, ...)
      if not right then problems[#problems + 1] = string.format(...) end
    end
    for i, reader in ipairs(readers) do
      expect(reader.problem == "none", "reader %d: %s", i, reader.problem)
      expect(reader.seen == total, "reader %d saw %d of %s", i, reader.seen,
        count_of_lines(total))
      expect(reader.order == readers[1].order, "reader %d saw another order", i)
    end
    local length = assert(log:length())
    expect(length == total + WRITERS, "the log's length is %d, not %d", length,
      total + WRITERS)
    return problems
  end

  display:draw({
    string.format("%d processes write the %s of %s%s,", WRITERS,
      count_of_lines(total), size_of(name) > size_of(path) and "the beginning of " or "",
      printable(name, 200)),
    string.format("%d others follow them from the start. Some of what comes:",
      READERS),
    "",
  }, {})
  local event_at, draw_at, count_at = 0, 0, core.now() + 1
  while not done() do
    take_events()
    take_reports()
    local now = core.now()
    if now - moved_at > PATIENCE then
      error(string.format("nothing has moved for %d seconds", PATIENCE), 0)
    end
    local lines = {}
    local writer = now >= event_at and next_writer()
    if writer then
      lines[1] = describe(latest[writer], width > 0 and width - 1 or 100)
      latest[writer], event_at = nil, now + 0.25
    end
    if width == 0 and now >= count_at then
      for i = 2, 4 do lines[#lines + 1] = block()[i] end
      count_at = now + 2
    end
    if #lines > 0 or (width > 0 and now >= draw_at) then
      display:draw(lines, block())
      draw_at = now + 0.1
    end
  end

  display:draw({}, block())
  local lines = { "" }
  for i, reader in ipairs(readers) do
    lines[#lines + 1] = string.format("  reader %d saw %s, order %s", i,
      count_of_lines(reader.seen), reader.order)
  end
  lines[#lines + 1] = ""
  local problems = verdict()
  for _, problem in ipairs(problems) do lines[#lines + 1] = "FAILED: " .. problem end
  if #problems == 0 then
    lines[#lines + 1] = string.format("%s written in %.1f s, %s a second.",
      count_of_lines(total), finished_at - started, grouped(rate() // 1))
    lines[#lines + 1] = "Each reader saw every line once, all in the same order."
  end
  display.height = 0 -- the block stays
  display:draw(lines, {})
  return #problems == 0
end

-- --- main -------------------------------------------------------------------

local parts = {
  writer = function() write(tonumber(arg[4])) end,
  reader = function() read(tonumber(arg[4])) end,
  screen = function()
    if not show(arg[4], tonumber(arg[5])) then os.exit(1, true) end
  end,
}

local ok, err = pcall(parts[part])
if not ok then
  if tostring(err):find("interrupted!", 1, true) then os.exit(130) end
  io.stderr:write("script/demo: ", part, ": ", tostring(err), "\n")
  os.exit(1)
end
