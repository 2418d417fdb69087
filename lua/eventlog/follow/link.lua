--- The connection of a pump (pump.lua), and the questions to which replies are due on it.
---
--- The server is silent while it waits for an entry. How long that may last before the
--- link is taken for dead: as long as the server may wait, and the client's `timeout`
--- beyond that, but no more than LONGEST_SILENCE seconds beyond, and no more than
--- LONGEST_WAIT seconds in all; so a dead link is noticed within 15. If another reply is
--- due first, the wait behind it counts only once that one has come.

local core = require "eventlog.core"
local system = require "eventlog.base.system"

local Link = {}
Link.__index = Link
Link.__name = "eventlog.Link"

local M = {}

-- Seconds that a silent server is granted beyond its wait, whatever the client's
-- `timeout`; and with that wait.
local LONGEST_SILENCE, LONGEST_WAIT = 9, 14

-- Seconds after which a reply is missed that comes right behind another one: KeyDB 6.3
-- runs what is pipelined behind a wait only when something else comes.
local MISSED = 1

---@param client eventlog.Client
---@param name string of the log
function M.new(client, name)
  return setmetatable({
    client = client,
    name = name,
    request = core.request(), -- empty, unless a part of it is still to be sent
    endpoint = nil, -- the server that the log was last asked of
    connection = nil,
    oldest = nil, -- of the questions to which replies are due; each has the one that was
    newest = nil, -- asked `behind` it, and till when the server may wait, if it may
    missed_at = nil, -- when the probe behind a wait is missed, if it has not come
    nudged = false, -- whether the server was sent something else since
  }, Link)
end

--- Connects, or goes on with that. Returns the connection, or nil, err.
---@param retry table retry.lua
---@param deadline number? of system.now()
function Link:connect(retry, deadline)
  local connection, ok, err = self.connection
  if not connection then
    self.endpoint, err = self.client.topology:endpoint(self.name, deadline)
    if not self.endpoint then return nil, err end
    connection, err = self.endpoint:checkout(retry:is_on())
    if not connection then return nil, err end
    self.connection = connection
  end
  if not connection:is_established() then
    ok, err = retry:wait_for_turn(self.endpoint, connection, deadline)
    if not ok then return nil, err end
  end
  ok, err = self.endpoint:establish(connection, self.name, deadline) -- tells of it
  if not ok then return nil, err end
  return connection
end

--- Lets the connection go, with what is due on it.
function Link:drop()
  local connection = self.connection
  self.connection, self.oldest, self.newest = nil, nil, nil
  self.missed_at, self.nudged = nil, false
  self.request:clear()
  if not connection then return end
  connection:close()
  self.endpoint:release(connection, self.name) -- tells of it
end

--- For how many seconds the server may be silent that may wait for `block` seconds.
local function allowed(self, block)
  local timeout = self.client.settings.timeout
  if timeout > LONGEST_SILENCE then timeout = LONGEST_SILENCE end
  if timeout + block > LONGEST_WAIT then timeout = LONGEST_WAIT - block end
  return timeout + block
end

--- The same until the oldest question is answered.
local function read_timeout(self)
  local till = self.oldest.till
  return allowed(self, till and math.max(0, till - system.now()) or 0)
end

--- Sends the request; the question's replies come behind those that are due. The part
--- of it that cannot be sent at once is sent by reply(). Returns true, or nil, err.
---@param question table replies, block
function Link:send(question)
  local newest, block = self.newest, question.block
  local connection = self.connection
  question.behind, question.till, self.newest = nil, nil, question
  local ok, err
  if newest then
    newest.behind = question
    local till, give_up = self.oldest.till, connection.io_deadline
    ok, err = connection:send(self.request, question.replies, read_timeout(self),
      question)
    -- Another wait behind it gives the server no more time for the first one.
    if till and block and give_up > connection.asked_at then
      connection.io_deadline = math.min(give_up, connection.io_deadline)
    end
  else
    self.oldest = question
    ok, err = connection:send(self.request, question.replies,
      allowed(self, block or 0), question)
  end
  if block and ok then -- behind another wait it begins when that one ends
    question.till = block + (newest and newest.till or connection.asked_at)
  end
  return ok, err
end

--- A question has got all of its replies.
function Link:pass(question)
  local behind = question.behind
  self.oldest = behind
  if not behind then
    self.newest = nil
  elseif behind.till then
    self.connection:allow(read_timeout(self))
  end
end

--- The next reply: its type, and the question. Or nil, err.
---@param deadline number? of system.now()
---@param misses boolean whether a probe is to come right behind what came last
function Link:reply(deadline, misses)
  local connection = self.connection
  if not misses then return connection:reply(deadline) end
  local kind, question = connection:reply_at_hand() -- as a rule: both come at once
  if kind then return kind, question end
  if not self.nudged then
    self.missed_at = self.missed_at or system.now() + MISSED
    local sooner = math.min(self.missed_at, deadline or math.huge)
    kind, question = connection:reply(sooner)
    if kind or sooner == deadline or question.kind ~= "timeout" then
      return kind, question
    end
    if not connection:is_sending() then
      self.nudged = true
      self.request:command("XLEN", self.name)
      self:send { replies = 1, is_nudge = true }
    end
  end
  return connection:reply(deadline)
end

--- The probe that might have been missed has come. If that took something else to be
--- sent, the server holds back what is pipelined behind a wait: from now on nothing is.
function Link:found()
  local abilities, nudged = self.connection.abilities, self.nudged
  self.missed_at, self.nudged = nil, false
  if not nudged or abilities.waits_alone then return end
  abilities.waits_alone = true
  self.client:tell("degraded", self.name, "the server holds back what is pipelined " ..
    "behind a blocking command: each batch takes one more round trip")
end

return M
