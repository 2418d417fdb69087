--- What is said of a log, case by case, on a real server: what a follower had, what
--- happened to the log, and what the next batch tells. Each case is a text, a step a
--- line:
---   follow all | n N | after ID | from ID   makes the follower
---   next IDS [gap AFTER BEFORE MISSED] [reset KIND]
---                            what its next batch has ("-": nothing) and tells
---   wait                     it has nothing more, and waits in the server from now on
---   idle                     it has waited in vain for some time
---   add IDS                  adds an entry each, one by one
---   upgrade                  the log comes from the file of a Redis before 7
---   anything else            Redis commands, carried out as one; `log` is the log, and
---                            + stands for fields

local continuity = require "eventlog.follow.continuity"
local knowledge = require "eventlog.follow.known"
local eventlog = require "eventlog"
local log_state = require "eventlog.command.log_state"
local redis = require "spec.support.redis"
local scripts = require "eventlog.command.scripts"

local server, counting

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

--- Whether the server counts, as Redis does since 7.
local function set_counting(yes)
  local body = counting.body
  if not yes then
    body = body:gsub("'entries%-added'", "'x'"):gsub("'max%-deleted%-entry%-id'", "'x'")
    assert(body ~= counting.body)
  end
  scripts.state = { body = body, sha = server:call("SCRIPT", "LOAD", body) }
end

setup(function() counting = scripts.state end)
after_each(function() scripts.state = counting end)

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

--- As a step writes it.
local function told(batch, err)
  if not batch then return err.kind .. " " .. err.message end
  local words = {}
  for i, entry in ipairs(batch) do words[i] = entry.id end
  if #words == 0 then words[1] = "-" end
  local gap = batch.gap
  if gap then
    words[#words + 1] = string.format("gap %s %s %s", gap.after, gap.before,
      gap.missed and string.format("%d", gap.missed) or "some")
  end
  if batch.reset then words[#words + 1] = "reset " .. batch.reset end
  return table.concat(words, " ")
end

local Case = {}
Case.__index = Case

function Case:run(commands)
  server:call("MULTI")
  for command in commands:gmatch("[^;]+") do
    local words = words_of(command)
    if words[#words] == "+" then
      words[#words], words[#words + 1] = "v", self.value
    end
    server:call((table.unpack or unpack)(words))
  end
  server:call("EXEC")
end

local steps = {}

function steps.follow(self, words)
  local how = { all = "tail_and_follow", n = "tail_n_and_follow",
    after = "tail_after_and_follow", from = "tail_from_and_follow" }
  self.follower = self.log[how[words[2]]](self.log, tonumber(words[3]) and
    words[2] == "n" and tonumber(words[3]) or words[3])
end

function steps.next(self, words)
  table.remove(words, 1)
  local batch, err = self.batch, nil
  self.batch = nil
  if not batch then batch, err = self.follower:next(20) end
  assert.equal(table.concat(words, " "), told(batch, err))
end

function steps.wait(self)
  local batch, err = self.follower:next(0.02)
  assert(not batch and err.kind == "timeout", told(batch, err))
end

function steps.idle(self)
  for _ = 1, 2 do -- after the first wait in vain its probe is a full one
    self.batch = self.follower:next(0.02)
    if self.batch then return end
    for id in server:call("CLIENT", "LIST"):gmatch("id=(%d+)[^\n]*cmd=xread") do
      server:call("CLIENT", "UNBLOCK", id)
    end
  end
  self.batch = self.follower:next(0.02)
end

function steps.add(self, words)
  for i = 2, #words do server:call("XADD", "log", words[i], "v", self.value) end
end

function steps.upgrade()
  server:call("EVAL", [[
    local of, info = {}, redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #info, 2 do of[info[i] ] = info[i + 1] end
    redis.call('XSETID', KEYS[1], of['last-generated-id'], 'ENTRIESADDED', of['length'],
      'MAXDELETEDID', '0-0')]], 1, "log")
  set_counting(true)
end

--- One case, with entries of one size.
local function check(text, options, counts, size)
  server:call("FLUSHALL")
  set_counting(counts)
  local self = setmetatable({
    log = eventlog.new(server.url, "log", options), value = ("v"):rep(size),
  }, Case)
  for line in text:gmatch("[^\n]+") do
    local words = words_of(line)
    if words[1] then
      local step = steps[words[1]]
      local ok, why = pcall(function()
        if step then step(self, words) else self:run(line) end
      end)
      if not ok then
        self.log.client:close()
        error(string.format("at \"%s\", with values of %d bytes: %s", line, size,
          type(why) == "table" and why.message or tostring(why)), 0)
      end
    end
  end
  self.log.client:close()
end

--- Cases, each with entries that may be sent again to see whether they are there, and
--- with larger ones.
local function cases(list, counts)
  for _, case in ipairs(list) do
    it(case[1], function()
      check(case[2], case.options, counts, 1)
      check(case[2], case.options, counts, 2000)
    end)
  end
end

describe("where the server counts,", function()
  cases({
    { "what was trimmed is a gap, with its count", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 2-0 5-0 2
      add 6-0
      next 6-0 ]] },
    { "a worker that deletes each entry it has handled has no gap", [[
      add 1-0
      follow all
      next 1-0
      wait
      add 2-0
      next 2-0
      XDEL log 1-0 2-0
      wait
      add 3-0
      next 3-0
      wait
      XADD log 4-0 +; XADD log 5-0 +
      next 4-0 5-0
      XDEL log 3-0 4-0 5-0
      wait
      add 6-0
      next 6-0 ]] },
    { "the last entries, handed out one by one and deleted at once, are no gap", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      add 3-0
      next 3-0
      wait
      add 4-0
      next 4-0
      XDEL log 1-0 2-0 3-0 4-0
      add 5-0
      next 5-0 ]] },
    { "an entry deleted unread is no gap behind an entry that came after it", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 2-0 +; XADD log 3-0 +; XDEL log 3-0; XADD log 4-0 +; XDEL log 1-0
      next 2-0 4-0
      wait
      XADD log 5-0 +; XADD log 6-0 +; XDEL log 6-0; XADD log 7-0 +; XTRIM log MAXLEN 2
      next 5-0 7-0
      wait
      XADD log 8-0 +; XADD log 9-0 +; XADD log 10-0 +; XDEL log 9-0; XTRIM log MAXLEN 1
      next 10-0 gap 7-0 10-0 some ]] },
    { "the only one that may be missing was deleted unread: no gap", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 2-0 +; XADD log 3-0 +; XDEL log 1-0 2-0
      next 3-0 ]] },
    { "any number deleted unread is no gap before an entry that comes right behind", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 1-1 +; XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XDEL log 1-0 3-0 4-0
      next 1-1 5-0 ]] },
    { "two deleted unread may hide one that was trimmed: a gap without a count", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 2-0 +; XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XDEL log 1-0 3-0 4-0
      next 2-0 5-0 gap 1-0 2-0 some ]] },
    { "entries deleted once they were handed out are no gap where the last id was set", [[
      add 1-0 2-0 3-0
      XTRIM log MAXLEN 2
      XSETID log 4-0
      follow after 3-0
      next -
      XDEL log 2-0 3-0
      wait
      add 5-0
      next 5-0 ]] },
    { "an entry deleted unread is no gap while an older one is there", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      XADD log 3-0 +; XDEL log 3-0
      XADD log 4-0 +; XADD log 5-0 +; XDEL log 2-0 4-0
      next 5-0
      add 6-0
      next 6-0 ]] },
    { "where unread ones may be deleted or trimmed, a gap has no count", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XDEL log 4-0; XTRIM log MAXLEN 1
      next 5-0 gap 2-0 5-0 some
      wait
      XADD log 6-0 +; XADD log 7-0 +; XTRIM log MAXLEN 1
      next 7-0 gap 5-0 7-0 1 ]] },
    { "trimmed after deletions of what was handed out, the count is right", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      XDEL log 1-0 3-0
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 1 ]] },
    { "the last id, of a deleted entry, is a place to begin at", [[
      add 1-0 2-0
      XDEL log 2-0
      follow n 0
      next -
      wait
      XADD log 3-0 +; XTRIM log MAXLEN 1
      next 3-0
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 1 ]] },
    { "a log that was emptied loses what comes and goes behind that", [[
      add 1-0 2-0
      XTRIM log MAXLEN 0
      follow all
      next -
      wait
      XADD log 3-0 +; XADD log 4-0 +; XTRIM log MAXLEN 1
      next 4-0 gap 0-0 4-0 1 ]] },
    { "a log that was emptied before the follower began is the same while idle", [[
      add 1-0 2-0
      XDEL log 1-0 2-0
      follow all
      next -
      wait
      idle
      add 3-0
      next 3-0 ]] },
    { "the newest entries, deleted before the follower began, are not missed later", [[
      add 1-0 2-0 3-0
      XDEL log 2-0 3-0
      follow all
      next 1-0
      wait
      XADD log 4-0 +; XDEL log 1-0
      next 4-0 ]] },
    { "one deleted unread behind the newest leaves no count to a later gap", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 2-0 +; XADD log 2-5 +; XDEL log 1-0 2-5
      next 2-0
      wait
      XADD log 3-0 +; XADD log 4-0 +; XTRIM log MAXLEN 1
      next 4-0 gap 2-0 4-0 some ]] },
    { "a follower that begins on no log counts from there", [[
      follow all
      next -
      wait
      XADD log 4-0 +; XADD log 5-0 +; XADD log 6-0 +; XTRIM log MAXLEN 1
      next 6-0 gap 0-0 6-0 2 ]] },
    { "what came and went between two batches is counted", [[
      add 1-0
      follow all
      next 1-0
      wait
      XADD log 2-0 +; XADD log 3-0 +; XTRIM log MAXLEN 0
      idle
      add 4-0
      next 4-0 gap 1-0 4-0 2 ]] },

    { "a token of an entry that was trimmed: a gap without a count", [[
      add 1-0 2-0 3-0 4-0
      XTRIM log MAXLEN 1
      follow after 2-0
      next 4-0 gap 2-0 4-0 some
      follow from 2-0
      next 4-0 gap 1-18446744073709551615 4-0 some ]] },
    { "a token of an entry that is there, or that was deleted amid others: none", [[
      add 1-0 2-0 3-0 4-0
      follow after 2-0
      next 3-0 4-0
      XDEL log 2-0
      follow after 2-0
      next 3-0 4-0
      follow from 2-0
      next 3-0 4-0
      XTRIM log MAXLEN 2
      follow from 3-0
      next 3-0 4-0 ]] },
    { "a token of the only entry that was taken out, by XDEL: none", [[
      add 1-0 2-0
      XDEL log 1-0
      follow after 1-0
      next 2-0
      follow from 1-0
      next 2-0 ]] },
    { "a token of the only entry that was taken out, trimmed: a gap without a count", [[
      add 1-0 2-0
      XTRIM log MAXLEN 1
      follow after 1-0
      next 2-0 gap 1-0 2-0 some ]] },
    { "a token that is gone though nothing took it, where others were: a gap", [[
      add 3-0 4-0 6-0
      XTRIM log MAXLEN 2
      follow after 5-0
      next 6-0 gap 5-0 6-0 some
      follow from 5-0
      next 6-0 gap 4-18446744073709551615 6-0 some ]] },
    { "a place at the log's end that is trimmed meanwhile", [[
      add 1-0 2-0 3-0
      follow after 3-0
      next -
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 1 ]] },
    { "a point in time claims nothing of what came before", [[
      add 1-0 2-0 3-0 4-0
      XTRIM log MAXLEN 2
      follow after 1
      next 3-0 4-0
      follow from 1
      next 3-0 4-0
      DEL log
      add 3-0
      follow after 1
      next 3-0
      follow from 1
      next 3-0 ]] },
    { "behind a point in time all counts", [[
      add 1-0
      follow after 1
      next -
      wait
      XADD log 2-0 +; XADD log 3-0 +; XTRIM log MAXLEN 1
      next 3-0 gap 1-0 3-0 1 ]] },
    { "a token that no log of that name can have had: a reset", [[
      add 1-0 2-0
      DEL log
      add 3-0 4-0
      follow after 2-0
      next 3-0 4-0 reset recreated
      follow from 2-0
      next 3-0 4-0 reset recreated
      DEL log
      add 1-5 3-5
      follow after 2-0
      next 1-5 3-5 reset rewound
      follow from 2-0
      next 1-5 3-5 reset rewound ]] },
    { "an id beyond the end: a reset, and from then on all counts", [[
      add 1-0 2-0 3-0
      follow from 6-0
      next - reset rewound
      wait
      XADD log 4-0 +; XADD log 5-0 +; XADD log 6-0 +; XTRIM log MAXLEN 1
      next 6-0 gap 3-0 6-0 2 ]] },
    { "0-0 is the beginning", [[
      add 1-0 2-0 3-0
      XTRIM log MAXLEN 1
      follow after 0-0
      next 3-0
      follow from 0-0
      next 3-0 ]] },

    { "made anew, the last id in it again, and more behind it", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 3-0 +; XADD log 4-0 +
      next 3-0 4-0 reset recreated
      add 5-0
      next 5-0 ]] },
    { "made anew, the last id in it again, while idle", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 3-0 +
      idle
      next 3-0 reset recreated
      add 4-0
      next 4-0 ]] },
    { "made anew, just as long, the last id in it again, while idle", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 2-0 +; XADD log 2-5 +; XADD log 3-0 +
      idle
      next 2-0 2-5 3-0 reset recreated ]] },
    { "made anew with the same first and last id, and others between them", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 1-0 +; XADD log 1-5 +; XADD log 2-0 +; XADD log 3-0 +
      idle
      next 1-0 1-5 2-0 3-0 reset rewound ]] },
    { "made anew, with as many entries but for one deleted behind those read", [[
      add 1-0
      follow all
      next 1-0
      wait
      DEL log; XADD log 6-0 +; XADD log 7-0 +; XDEL log 7-0
      next 6-0 reset recreated ]] },
    { "made anew, with as many entries but for one deleted before those read", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      DEL log; XADD log 6-0 +; XADD log 7-0 +; XADD log 8-0 +; XDEL log 6-0
      next 7-0 8-0 reset recreated ]] },
    { "a log without the entry handed out last, which was the newest", [[
      add 1-0 2-0 3-0
      XDEL log 3-0
      follow all
      next 1-0 2-0
      wait
      DEL log; XADD log 1-5 +; XADD log 1-6 +; XADD log 5-0 +
      next 1-5 1-6 5-0 reset recreated ]] },
    { "made anew up to the same id, and trimmed as far as it was", [[
      add 1-0 2-0 3-0
      XTRIM log MAXLEN 2
      follow all
      next 2-0 3-0
      wait
      DEL log
      add 0-5 1-0 1-5 2-5 3-0
      XTRIM log MAXLEN 2
      idle
      next 2-5 3-0 reset rewound ]] },
    { "made anew up to the same id, with others before it that were deleted", [[
      add 3-0
      follow all
      next 3-0
      wait
      DEL log; XADD log 1-0 +; XADD log 2-0 +; XADD log 3-0 +; XDEL log 1-0 2-0
      idle
      next 3-0 reset rewound ]] },
    -- Found by random operations (seed 51000414), and taken for an entry twice.
    { "one that was deleted before the follower began, and is there again: once", [[
      add 1-0 2-0 3-0
      XDEL log 3-0
      follow after 2
      next -
      wait
      DEL log; XADD log 1-0 +; XADD log 2-0 +; XADD log 3-0 +
      next 3-0
      wait
      add 4-0
      next 4-0 ]] },
    { "made anew, with an older one left between two that were deleted", [[
      add 2-2
      follow all
      next 2-2
      wait
      DEL log; XADD log 1-0 +; XADD log 2-0 +; XADD log 3-0 +; XDEL log 1-0 3-0
      idle
      next 2-0 reset recreated ]] },
    { "made anew, with its newest one deleted: once", [[
      add 1-1
      follow all
      next 1-1
      wait
      DEL log; XADD log 6-0 +; XADD log 7-0 +; XDEL log 7-0
      next 6-0 reset recreated
      add 9-0
      next 9-0 ]] },
    { "made anew, with an older one left, and one behind it", [[
      add 2-2
      follow all
      next 2-2
      wait
      DEL log; XADD log 1-0 +; XADD log 2-0 +; XADD log 3-0 +; XADD log 4-0 +; XDEL log 1-0 3-0
      next 2-0 4-0 reset recreated ]] },
    { "the same, where older ones had been handed out", [[
      add 1-7 2-2
      follow all
      next 1-7 2-2
      wait
      DEL log; XADD log 1-0 +; XADD log 1-6 +; XADD log 3-0 +; XDEL log 1-0 3-0
      idle
      next 1-6 reset recreated ]] },
    { "made anew with more than there were, some of them older", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 0-5 +; XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +
      next 0-5 3-0 4-0 5-0 reset recreated ]] },
    { "made anew later", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 4-0 +
      next 4-0 reset recreated ]] },
    { "made anew earlier, while idle", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      DEL log; XADD log 0-5 +
      idle
      next 0-5 reset recreated ]] },
    { "expired, and made anew with the next entry", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      PEXPIRE log 0
      idle
      wait
      add 4-0
      next 4-0 reset recreated ]] },
    { "rolled back, and added to", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      RENAME older log; XADD log 6-0 +
      next 1-0 2-0 3-0 6-0 reset rewound
      add 7-0
      next 7-0 ]] },
    { "rolled back, and added to below and above where the follower was", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      RENAME older log; XADD log 4-5 +; XADD log 6-0 +
      next 1-0 2-0 3-0 4-5 6-0 reset rewound ]] },
    { "rolled back, and more added below than was lost, and trimmed", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      XADD older 4-1 +; XADD older 4-2 +; XADD older 4-3 +
      RENAME older log; XADD log 6-0 +; XTRIM log MAXLEN 6
      next 2-0 3-0 4-1 4-2 4-3 6-0 reset rewound ]] },
    { "rolled back, while idle", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      RENAME older log
      idle
      next 1-0 2-0 3-0 reset rewound ]] },
    { "rolled back to where the follower was: nothing is said", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      COPY log older
      wait
      RENAME older log; XADD log 3-0 +
      next 3-0 ]] },
    { "rolled back to behind where the follower was: nothing is said", [[
      add 1-0 2-0 3-0 4-0
      COPY log older
      add 5-0 6-0
      follow all
      next 1-0 2-0
      RENAME older log
      next 3-0 4-0
      next -
      add 7-0
      next 7-0 ]], options = { batch_size = 2 } },
    { "rolled back to before a trim", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0
      XTRIM log MAXLEN 2
      follow all
      next 3-0 4-0
      wait
      RENAME older log; XADD log 5-0 +
      next 1-0 2-0 3-0 5-0 reset recreated ]] },
    { "another log took its name, as long, all of it newer", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      XADD other 4-0 +; XADD other 5-0 +; XADD other 6-0 +; RENAME other log
      next 4-0 5-0 6-0 reset recreated ]] },
    { "another log took its name, longer, some of it older", [[
      add 3-0
      follow all
      next 3-0
      wait
      XADD other 1-0 +; XADD other 2-0 +; XADD other 5-0 +; XADD other 6-0 +; RENAME other log
      next 1-0 2-0 5-0 6-0 reset recreated ]] },
    { "renamed away and back: nothing is said", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      RENAME log other; RENAME other log; XADD log 3-0 +
      next 3-0 ]] },
    { "restored as it was: nothing is said", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      COPY log other; RENAME other log; XADD log 3-0 +
      next 3-0 ]] },
    -- What nobody can tell: as many were added before its oldest entry as were read.
    { "made anew, with as many trimmed unread as were read of the old one: silence", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      DEL log; XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 ]] },
    { "made anew, with more trimmed unread than were read: a gap, not a reset", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      DEL log; XADD log 3-0 +; XADD log 4-0 +; XADD log 5-0 +; XADD log 6-0 +; XTRIM log MAXLEN 1
      next 6-0 gap 2-0 6-0 1 ]] },

    { "counts of 10^14 are numbers", [[
      add 1-0 2-0
      XSETID log 2-1 ENTRIESADDED 100000000000000
      follow all
      next 1-0 2-0
      wait
      XADD log 3-0 +; XADD log 4-0 +; XTRIM log MAXLEN 1
      next 4-0 gap 2-0 4-0 1
      follow n 0
      next -
      add 5-0
      next 5-0 ]] },
    { "counts beyond 2^53 are unknown", [[
      add 1-0 2-0
      XSETID log 2-1 ENTRIESADDED 9223372036854775800
      follow all
      next 1-0 2-0
      wait
      add 3-0
      next 3-0
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 some ]] },
    { "counts that are raised meanwhile lose nothing", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      XSETID log 2-0 ENTRIESADDED 1000; XADD log 3-0 +
      next 3-0
      idle
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 1 ]] },
  }, true)

  cases({
    { "a log with max_length shows the last ones after a reset, in one batch", [[
      add 1-0 2-0 3-0 4-0
      follow all
      next 2-0 3-0 4-0
      wait
      DEL log; XADD log 5-0 +; XADD log 6-0 +; XADD log 7-0 +; XADD log 8-0 +; XADD log 9-0 +
      next 7-0 8-0 9-0 reset recreated
      add 10-0
      next 10-0
      DEL log
      idle
      wait
      XADD log 5-0 +; XADD log 6-0 +; XADD log 7-0 +; XADD log 8-0 +; XADD log 9-0 +
      next 7-0 8-0 9-0 reset recreated
      add 10-0
      next 10-0 ]], options = { max_length = 3 } },
    { "a log with max_length shows the last ones after a reset, in several batches", [[
      add 1-0 2-0 3-0 4-0
      follow after 2-0
      next 3-0 4-0
      wait
      DEL log; XADD log 5-0 +; XADD log 6-0 +; XADD log 7-0 +; XADD log 8-0 +; XADD log 9-0 +
      next 7-0 8-0 reset recreated
      next 9-0
      add 10-0
      next 10-0 ]], options = { max_length = 3, batch_size = 2 } },
    { "what max_length does not hide is a gap", [[
      add 1-0 2-0 3-0 4-0 5-0
      XTRIM log MAXLEN 2
      follow from 2-0
      next 4-0 5-0 gap 1-18446744073709551615 4-0 some
      follow from 4-0
      next 4-0 5-0
      follow from 2
      next 4-0 5-0
      add 6-0 7-0
      follow from 2-0
      next 5-0 6-0 7-0 ]], options = { max_length = 3 } },
    { "a log with max_length shows the last ones to a token that it cannot have had", [[
      add 5-0 6-0 7-0 8-0
      follow after 2-0
      next 7-0 8-0 reset recreated
      follow from 2-0
      next 7-0 8-0 reset recreated
      follow from 5-0
      next 7-0 8-0
      follow from 2
      next 7-0 8-0 ]], options = { max_length = 2 } },
  }, true)
end)

describe("before Redis 7,", function()
  cases({
    { "what may have been trimmed is a gap, without a count", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      add 3-0
      next 3-0
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 some ]] },
    { "a follower that began on no log hears of what was trimmed before its first entry", [[
      follow all
      next -
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 0-0 5-0 some
      add 6-0
      next 6-0 ]] },
    { "a token that is gone is a gap, wherever; a point in time is none", [[
      add 1-0 2-0 3-0 4-0
      XDEL log 2-0
      follow after 2-0
      next 3-0 4-0 gap 2-0 3-0 some
      follow after 2
      next 3-0 4-0
      XTRIM log MAXLEN 1
      follow after 1-0
      next 4-0 gap 1-0 4-0 some
      follow after 1
      next 4-0 ]] },
    { "a deleted entry may be a gap", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      XDEL log 3-0
      add 4-0
      next 4-0 gap 3-0 4-0 some
      add 5-0
      next 5-0 ]] },
    { "made anew with lower ids than the follower had: a reset", [[
      add 3-0 4-0
      follow all
      next 3-0 4-0
      wait
      DEL log; XADD log 1-0 +; XADD log 5-0 +
      next 1-0 5-0 reset recreated
      add 6-0
      next 6-0 ]] },
    { "made anew with lower ids, the last one in it again: a reset", [[
      add 3-0 4-0
      follow all
      next 3-0 4-0
      wait
      DEL log; XADD log 1-0 +; XADD log 4-0 +; XADD log 5-0 +
      next 1-0 4-0 5-0 reset recreated ]] },
    { "made anew with lower ids than were left of the old one: a reset", [[
      add 1-0 2-0 3-0 4-0
      follow all
      next 1-0 2-0 3-0 4-0
      XTRIM log MAXLEN 2
      add 5-0
      next 5-0
      wait
      DEL log; XADD log 2-0 +; XADD log 6-0 +
      next 2-0 6-0 reset rewound ]] },
    { "rolled back, and added to below and above where the follower was: a reset", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      RENAME older log; XADD log 4-5 +; XADD log 6-0 +
      next 1-0 2-0 3-0 4-5 6-0 reset rewound ]] },
    { "deleted while idle, and made anew later: a reset", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      DEL log
      idle
      wait
      XADD log 3-0 +; XADD log 4-0 +
      next 3-0 4-0 reset recreated ]] },
    { "rolled back, while idle", [[
      add 1-0 2-0 3-0
      COPY log older
      add 4-0 5-0
      follow all
      next 1-0 2-0 3-0 4-0 5-0
      wait
      RENAME older log; XADD log 4-5 +
      idle
      next 1-0 2-0 3-0 4-5 reset rewound ]] },
  }, false)
end)

describe("over an upgrade from before Redis 7,", function()
  cases({
    { "what was there is there", [[
      add 1-0 2-0
      follow all
      next 1-0 2-0
      wait
      upgrade
      idle
      add 3-0
      next 3-0
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      next 5-0 gap 3-0 5-0 1 ]] },
    { "an entry that was trimmed before is a gap", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 1
      upgrade
      add 6-0
      next 5-0 6-0 gap 3-0 5-0 some ]] },
    { "what came and was trimmed before is a gap, however long it idled", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      wait
      XADD log 4-0 +; XADD log 5-0 +; XTRIM log MAXLEN 0
      upgrade
      idle
      add 6-0
      next 6-0 gap 3-0 6-0 some ]] },
    { "an entry that was deleted before is no reset", [[
      add 1-0 2-0 3-0
      follow all
      next 1-0 2-0 3-0
      XDEL log 3-0
      upgrade
      add 4-0
      next 4-0 gap 3-0 4-0 some
      wait
      XADD log 5-0 +; XADD log 6-0 +; XTRIM log MAXLEN 1
      next 6-0 gap 4-0 6-0 1 ]] },
    { "a token is judged by what was taken out since", [[
      add 1-0 2-0 3-0 4-0
      XTRIM log MAXLEN 3
      upgrade
      XTRIM log MAXLEN 2
      follow after 2-0
      next 3-0 4-0 gap 2-0 3-0 some
      XDEL log 3-0
      follow after 3-0
      next 4-0 gap 3-0 4-0 some ]] },
  }, false)
end)

-- What no step can bring about: the log changes between a page and the probe behind it;
-- and facts that only one rule tells apart. Each is judged by itself: a state is what
-- the server answers: last id, first, newest, length, added, deleted, gone.
describe("the judge of a page and the probe behind it", function()
  local function verdict_of(case)
    local known = case.known
    known.seen = log_state.parse(case.seen)
    local batch = {}
    for i, id in ipairs(case.page) do batch[i] = { id = id } end
    return continuity.judge(known, case.after, batch, case.more or false,
      log_state.parse(case.state))
  end

  local function told_by(verdict)
    local gap = verdict.gap
    return (gap and "gap " .. (gap.missed or "some") or "-") .. " " .. (verdict.reset or "-")
  end

  for _, case in ipairs {
    { "an entry that was read already is given out again", "- rewound", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" }, page = { "6-0" },
      seen = { "5-0", "1-0", "5-0", "5", "5", "0-0", "0" },
      state = { "6-0", "1-0", "6-0", "4", "5", "5-0", "1" } },
    { "what was lost behind the follower, or came back, is of no matter", "- -",
      after = "5-0", known = { index = 5, index_known_at = "9-0", entry = true, first = "1-0" },
      page = { "6-0" }, seen = { "9-0", "4-0", "9-0", "5", "9", "4-0", "0" },
      state = { "6-0", "1-0", "6-0", "6", "6", "0-0", "0" } },
    { "the same before Redis 7", "- -", after = "5-0",
      known = { entry = true, first = "1-0", recent = { "4-0", "5-0" } },
      page = { "6-0" }, seen = { "9-0", "4-0", "9-0", "5", "", "", "0" },
      state = { "6-0", "2-0", "6-0", "5", "", "", "0" } },
    { "the last one is gone, and nothing was taken out since", "- rewound", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" }, page = { "8-0" },
      seen = { "7-0", "1-0", "5-0", "5", "7", "7-0", "0" },
      state = { "8-0", "1-0", "8-0", "6", "8", "7-0", "1" } },
    { "the last one is gone, and was already when it was looked at", "- -", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = false, first = "1-0" }, page = { "8-0" },
      seen = { "7-0", "1-0", "4-0", "4", "7", "7-0", "0" },
      state = { "8-0", "1-0", "8-0", "5", "8", "7-0", "1" } },
    { "the log went, and another came, between page and look: before Redis 7",
      "- recreated", after = "5-0",
      known = { entry = true, first = "1-0", recent = { "5-0" } }, page = { "6-0" },
      seen = { "5-0", "1-0", "5-0", "5", "", "", "0" },
      state = { "0-0", "", "", "0", "0", "", "1" } },
    { "all that the page leaves is there, behind a deleted one", "- -", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" },
      page = { "6-0", "7-0" }, more = true,
      seen = { "5-0", "5-0", "5-0", "1", "5", "0-0", "0" },
      state = { "9-0", "6-0", "9-0", "4", "9", "7-0", "1" } },
    -- Found by script/soak 150 777002.
    { "made anew, with one deleted behind the page, and none before it", "- recreated",
      after = "1-0", known = { index = 1, index_known_at = "1-0", entry = true, first = "1-0" },
      page = { "2-0", "3-0" }, more = true,
      seen = { "1-0", "1-0", "1-0", "1", "1", "0-0", "0" },
      state = { "9-0", "2-0", "9-0", "4", "5", "8-0", "1" } },
    { "all gone but what was deleted behind the page", "- -", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" }, page = { "6-0" },
      seen = { "5-0", "5-0", "5-0", "1", "5", "0-0", "0" },
      state = { "8-0", "8-0", "8-0", "1", "8", "7-0", "1" } },
    { "one behind the page was deleted: nobody knows that none before it was trimmed",
      "gap some -", after = "5-0",
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" },
      page = { "6-0", "7-0" }, more = true,
      seen = { "5-0", "5-0", "5-0", "1", "5", "0-0", "0" },
      state = { "9-5", "6-0", "9-5", "3", "10", "9-0", "1" } },
    { "the missing one was deleted unread, as an earlier look told", "- -", after = "3-0",
      known = { index = 3, index_known_at = "1-0", entry = true, first = "1-0" }, page = { "5-0" },
      seen = { "5-0", "1-0", "5-0", "4", "5", "4-0", "0" },
      state = { "5-0", "5-0", "5-0", "1", "5", "4-0", "1" } },
    { "one deleted unread that the index has already is none that is missing", "gap some -",
      after = "3-0", known = { index = 4, index_known_at = "1-0", covered = "4-0", entry = true,
        first = "1-0" }, page = { "6-0" },
      seen = { "4-0", "1-0", "3-0", "3", "4", "4-0", "0" },
      state = { "6-0", "6-0", "6-0", "1", "6", "4-0", "1" } },
    { "all of the page was trimmed behind it, and others with it", "gap some -",
      after = "5-0", known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" },
      page = { "6-0" }, seen = { "5-0", "5-0", "5-0", "1", "5", "0-0", "0" },
      state = { "8-0", "8-0", "8-0", "1", "8", "0-0", "1" } },
  } do
    it("says right: " .. case[1], function()
      assert.equal(case[2], told_by(verdict_of(case)))
    end)
  end

  it("does not count on, where a gap was not counted", function()
    local verdict = verdict_of { after = "5-0", page = { "6-0" },
      known = { index = 5, index_known_at = "5-0", entry = true, first = "1-0" },
      seen = { "5-0", "5-0", "5-0", "1", "5", "0-0", "0" },
      state = { "8-0", "8-0", "8-0", "1", "8", "0-0", "1" } }
    verdict = verdict_of { after = "6-0", known = verdict.known, page = { "9-0" },
      seen = { "8-0", "8-0", "8-0", "1", "8", "0-0", "1" },
      state = { "9-0", "9-0", "9-0", "1", "9", "0-0", "1" } }
    assert.equal("gap some -", told_by(verdict))
  end)

  it("does not take an entry for seen that was deleted between page and look", function()
    local seen = { "5-0", "1-0", "4-0", "4", "5", "5-0", "0" }
    local verdict = verdict_of { after = "4-0", page = { "5-0" },
      known = { index = 4, index_known_at = "4-0", entry = true, first = "1-0" },
      seen = { "4-0", "1-0", "4-0", "4", "4", "0-0", "0" }, state = seen }
    assert.equal("- -", told_by(verdict))
    verdict = verdict_of { after = "5-0", known = verdict.known, page = { "6-0" },
      seen = seen, state = { "6-0", "1-0", "6-0", "5", "6", "5-0", "1" } }
    assert.equal("- -", told_by(verdict))
  end)

  it("knows that a token's entry was there when it began", function()
    local seen = { "4-0", "2-0", "4-0", "3", "4", "0-0", "0" }
    for _, case in ipairs { { "3-0", "2", "- -" }, { "4-0", "1", "gap some -" } } do
      local verdict = verdict_of { after = "2-0", page = { case[1] },
        known = knowledge.at_start(log_state.parse(seen), "2-0", "2-0"), seen = seen,
        state = { "4-0", case[1], "4-0", case[2], "4", "0-0", "1" }, more = case[1] ~= "4-0" }
      assert.equal(case[3], told_by(verdict))
    end
  end)
end)
