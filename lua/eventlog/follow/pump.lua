--- One tailer on one connection: sends what the tailer asks for, brings it the replies,
--- and connects again if the connection is lost.
---
--- What is owed when next() runs into its timeout is still owed at the next call, so
--- nothing is lost or repeated. If that cannot be (next() was broken off by an error,
--- such as Ctrl-C's; the process was forked), the tailer goes back to the last batch, on
--- a new connection.
---
--- When code of the host's is called (on_event, the driver's wait), the state is whole:
--- that code may close the follower, or raise an error.

local Error = require "eventlog.base.error"
local Link = require "eventlog.follow.link"
local Polling = require "eventlog.follow.polling"
local Retry = require "eventlog.follow.retry"
local system = require "eventlog.base.system"

local Pump = {}
Pump.__index = Pump
Pump.__name = "eventlog.Pump"

local M = {}

-- Seconds that the server lets one XREAD wait. A dead link, and a log that was made
-- anew, are noticed that much later, at most.
local BLOCK = 5

---@param client eventlog.Client
---@param tailer eventlog.Tailer
---@param name string of the log
function M.new(client, tailer, name)
  return setmetatable({
    client = client,
    driver = client.driver,
    name = name,
    tailer = tailer,
    link = Link.new(client, name),
    retry = Retry.new(client.settings, client.topology),
    polling = Polling.new(),
    polls = false, -- whether the host polls with next(0)
    closed = nil, -- the error that all calls return from now on
  }, Pump)
end

--- Sends what the tailer asks next, unless a part of the last request is still to be
--- sent. Returns true, or nil, err.
local function ask(self)
  local link = self.link
  local connection = link.connection
  if connection:is_sending() then return true end
  local question = self.tailer:ask(link.request, self.polls and Polling.BLOCK or BLOCK)
  if question.block then connection.decoder:trim() end -- the answer may be far
  return link:send(question)
end

--- Lets the connection go. The tailer goes back.
function Pump:restart()
  self.tailer:restart()
  self.link:drop()
end

--- Tells on_event what the tailer says.
local function tell(self, events)
  for _, event in ipairs(events or {}) do
    self.client:tell(event.kind, self.name, event.message)
  end
end

--- A reply has come. Returns what the tailer makes of it.
local function take(self, connection, reply, question)
  local tailer, decoder, due = self.tailer, connection.decoder, question.replies
  local outcome, a, b = tailer:take(question, reply, decoder)
  if outcome == "ahead" then
    -- A host that polls has the next batch at its next call only if that is asked for by
    -- then; else the end of the log can be handed out sooner. If asking fails, the next
    -- reply says so.
    if a or self.polls then ask(self) end
    outcome, a, b = tailer:build(decoder)
  end
  local taken = due - question.replies - 1
  if taken > 0 then connection:settle(taken) end
  return outcome, a, b
end

-- What is to be done once the tailer has made something of a reply. Each returns whether
-- there is something else to do than to take the next reply; then a batch, or nil, err.
local acts = {}

-- If no reply is due, what came was void, and what comes next could not be asked yet,
-- since that was still being sent.
function acts.more(self) return not self.link.oldest end

function acts.next() return true end

function acts.batch(self, batch, events)
  if events then tell(self, events) end
  return true, batch
end

function acts.drop(self)
  if self.link.newest then self.link:drop() end
  return true
end

function acts.restart(self)
  self.tailer:restart()
  return acts.drop(self)
end

function acts.failed(self, err, events)
  tell(self, events)
  return true, nil, err
end

function acts.broken(self, kind, why)
  return true, self.link.connection:reject(kind, why)
end

--- What a reply says of the connection, before anything is done about it.
local function note_answer(self, question, outcome)
  local retry, link = self.retry, self.link
  if question.replies == 0 then link:pass(question) end
  if outcome == "failed" or outcome == "broken" then return end
  -- A batch is progress when it is delivered.
  if question.block and outcome ~= "batch" and not question.was_awaited then
    question.was_awaited = true
    retry:note_progress()
  end
  if retry.since or not retry.was_answered then retry:note_answer(link.endpoint) end
  if link.missed_at and not self.tailer:awaits_probe() then link:found() end
end

--- Brings the tailer replies until there is a batch, or something else is to be done.
--- Returns the batch; or nothing; or nil, err.
local function converse(self, connection, deadline)
  local link, tailer = self.link, self.tailer
  while true do
    local reply, question = link:reply(deadline, tailer:awaits_probe())
    if not reply then return nil, question end
    if question.is_nudge then
      link:pass(question)
    else
      local outcome, a, b = take(self, connection, reply, question)
      note_answer(self, question, outcome)
      local done, batch, err = acts[outcome](self, a, b)
      if done then return batch, err end
    end
  end
end

--- One step: connects, asks, takes replies. Returns a batch; or nothing, if there is
--- more to do; or nil, err.
local function step(self, deadline)
  local connection, ok, err = self.link.connection
  if connection and connection:is_foreign() then
    self:restart()
    connection = nil
  end
  if not connection or not connection:is_established() then
    if self.closed then return nil, self.closed end
    connection, err = self.link:connect(self.retry, deadline)
    if not connection then return nil, err end
  end
  if not self.tailer:is_asking() then
    ok, err = ask(self)
    if not ok then return nil, err end
  end
  return converse(self, connection, deadline)
end

--- Whether the host is about to end, and what waits with it.
local function interrupted(self)
  local driver = self.driver
  local why = driver.interrupted and driver.interrupted()
  return why and Error.new("exiting", why)
end

--- The connection is lost, or the server refuses. Goes back to the last batch, to
--- connect again; or returns the error to report, if that is not to be.
local function recover(self, err)
  local link = self.link
  local plan, final = self.retry:plan(err, link, self.tailer:page_limit())
  if plan == "final" then return final end
  self:restart()
  if plan == "later" then self.client:tell("reconnecting", self.name, err.message) end
end

--- The next batch; or nil, err. It counts as delivered only when deliver() is called.
---@param deadline number? of system.now()
---@return eventlog.Batch? batch
---@return eventlog.Error? err
function Pump:next(deadline)
  local driver = self.driver
  -- A reader that catches up may finish that.
  local why = driver.interrupted and self.tailer:is_caught_up() and interrupted(self)
  if why then return nil, why end
  while true do
    -- If the driver cannot wake us, waits are cut into slices.
    local limit = driver.slice and system.now() + driver.slice or deadline
    if deadline and deadline < limit then limit = deadline end
    local batch, err = step(self, limit)
    if batch then return batch end
    if err then
      if err.kind ~= "timeout" then
        err = recover(self, err) or interrupted(self)
      elseif limit ~= deadline then
        err = interrupted(self)
      end
      if err then return nil, err end
    end
  end
end

--- The caller has the last batch: from now on restart() leads behind it.
---@param caught_up boolean whether the batch was
function Pump:deliver(caught_up)
  self.retry:note_progress()
  self.tailer:deliver(caught_up)
end

--- The caller comes.
---@param polls boolean whether it does not wait
function Pump:arrive(polls)
  self.polls = polls
  if polls then self.polling:arrive() end
end

--- The caller, who polls, leaves: what is to be there at the next call is asked for.
function Pump:leave()
  local link, tailer = self.link, self.tailer
  local connection, wanted = link.connection, self.polling:leave()
  if self.closed or not connection or not connection:is_established() then return end
  local ok = tailer:is_asking() or ask(self)
  while ok and tailer:can_wait_more() and not connection:is_sending() and
    link.newest.till < wanted do
    ok = ask(self)
  end
end

--- Whether another request of the host's uses its connection: in OpenResty.
function Pump:is_anothers()
  local connection = self.link.connection
  return connection ~= nil and connection:is_anothers()
end

--- Ends it: later calls return err.
---@param err eventlog.Error
---@param waiting boolean whether somebody is in next(), who lets the connection go
function Pump:close(err, waiting)
  self.closed = err
  local connection = self.link.connection
  if connection and waiting then
    connection:abort()
  elseif connection then
    self:restart()
  end
end

return M
