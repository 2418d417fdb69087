--- The game: three channels, each a log that this server and others add events
--- to and that this server follows. main.c calls tick() once a frame.
---
--- Nothing in a frame waits: followers are asked with next(0), and adds are done
--- in tasks (host.spawn), which the host goes on with when the frame is over.

local eventlog = require "eventlog"

local host = ... -- url, spawn(f), now(), pid

-- Seconds of a frame (1/60) that a follower may fill, of three.
local BUDGET = 0.003

--- Ends the game with an error of eventlog's, as a line for the one who started it.
local function give_up(err)
  local line = tostring(err)
  if err.kind == "connection" then
    line = line .. "; redis-server starts one"
  end
  error(setmetatable({}, { __tostring = function() return line end }), 0)
end

--- How eventlog waits. In a task this suspends the task: main.c polls the
--- descriptor, and resumes with whether it is ready. In the frame itself there
--- is nothing to suspend, so that waiting there is a mistake, and says so.
local function wait(fd, mode, timeout)
  assert(coroutine.isyieldable(), "this frame would wait for Redis: use host.spawn")
  return coroutine.yield(fd, mode, timeout)
end

local client = eventlog.connect {
  url = host.url,
  driver = wait,
  spin = 0, -- nothing here has microseconds to burn
  timeout = 30, -- a Redis that stands still costs the game nothing
}

local function open_channel(name)
  local log = eventlog.new(client, name, { batch_size = 100 })
  return {
    name = name,
    log = log,
    follower = log:tail_and_follow(),
    outbox = {}, -- events to be added
    adding = false, -- whether a task is at it
    largest = 0, -- add so far, in events
    sent = 0, -- events put into the outbox: each bears its number
    added = 0, -- those that Redis took in
    seen = 0, -- events from all
    seen_of = {}, -- by their sender
    wrong = 0, -- events that were not the next one of their sender
  }
end

local moves, chat, scores = open_channel "moves", open_channel "chat", open_channel "scores"
local channels = { moves, chat, scores }

-- Who numbers this run's events: another run on the same Redis is another sender.
local ME = string.format("server-%d-%d", os.time(), host.pid)

--- Puts an event into its channel's outbox. Never waits.
local function emit(channel, event)
  channel.sent = channel.sent + 1
  event.from, event.n = ME, channel.sent
  table.insert(channel.outbox, event)
end

--- Adds what is in the outbox, in a task. There is one task a channel, so that
--- events keep their order: while Redis is slow they gather in the outbox, and
--- then go as one unit.
local function flush(channel)
  if channel.adding or #channel.outbox == 0 then return end
  channel.adding = true
  host.spawn(function()
    local events = channel.outbox
    channel.outbox = {}
    channel.largest = math.max(channel.largest, #events)
    local ids, err = channel.log:add_many(events) -- suspends this task only
    channel.adding = false
    if ids then
      channel.added = channel.added + #ids
    elseif err.retriable and err.outcome == "none" then
      table.move(channel.outbox, 1, #channel.outbox, #events + 1, events)
      channel.outbox = events -- once more in the next tick
    else
      give_up(err)
    end
  end)
end

--- What an event does to the world. In this one it is counted.
local function handle(channel, event)
  local from, n = event.fields.from, tonumber(event.fields.n)
  if n ~= (channel.seen_of[from] or 0) + 1 then channel.wrong = channel.wrong + 1 end
  channel.seen_of[from] = n
  channel.seen = channel.seen + 1
end

--- Handles what has come. What does not fit into this frame waits for the next.
local function drain(channel)
  local limit = host.now() + BUDGET
  repeat
    local batch, err = channel.follower:next(0)
    if not batch then
      if err.kind == "timeout" then return end -- nothing yet
      give_up(err)
    end
    for _, event in ipairs(batch) do handle(channel, event) end
  until batch.caught_up or host.now() >= limit
end

local function play(n)
  emit(moves, { player = n % 4, x = math.sin(n / 60), y = math.cos(n / 60) })
  if n % 10 == 0 then emit(chat, { player = n % 4, text = "here I am" }) end
  if n % 20 == 0 then emit(scores, { player = n % 4, points = n }) end
end

local game = {}

--- The n-th frame. Returns whether the game is over: when it is to close, and
--- every event of its own has been added and has come back.
function game.tick(n, closing)
  local over = closing
  for _, channel in ipairs(channels) do drain(channel) end
  if not closing then play(n) end
  for _, channel in ipairs(channels) do
    flush(channel)
    if channel.adding or (channel.seen_of[ME] or 0) < channel.sent then over = false end
  end
  if n % 30 == 0 then print("tick " .. n) end
  return over
end

function game.close()
  print("report sender name=" .. ME)
  for _, c in ipairs(channels) do
    print(string.format("report %s seen=%d wrong=%d last_id=%s added=%d largest=%d", c.name,
      c.seen, c.wrong, c.follower.last_id, c.added, c.largest))
  end
  client:close()
end

return game
