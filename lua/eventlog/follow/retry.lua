--- What a pump does when its connection is lost: whether it connects again, and when.
--- It does so for up to reconnect_timeout seconds from the last progress on. A batch that
--- is delivered is progress, and a wait that the server has ended as it should; that a
--- connection is answered, and breaks again over the same request, is none.

local backoff = require "eventlog.base.backoff"
local page_size = require "eventlog.command.page_size"
local system = require "eventlog.base.system"
local verdict = require "eventlog.command.verdict"

local Retry = {}
Retry.__index = Retry
Retry.__name = "eventlog.Retry"

local M = {}

---@param settings table of the client
---@param topology eventlog.Topology
function M.new(settings, topology)
  return setmetatable({
    settings = settings,
    topology = topology,
    since = nil, -- when the connection was lost; nil: since then there was progress
    delay = nil, -- seconds: of the next pause, before jitter
    at = nil, -- when it may connect; nil: at once
    was_cut = false, -- whether the server closed the connection instead of an answer
    was_answered = false, -- whether there ever was a connection that worked
  }, Retry)
end

--- What is lost from now on is retried for as long as if it were the first time.
function Retry:note_progress()
  self.since, self.was_cut = nil, false
end

--- The connection works, which is no progress yet.
---@param endpoint eventlog.Endpoint
function Retry:note_answer(endpoint)
  if not self.was_answered then
    self.was_answered = true
    endpoint:note_ready()
  end
  if self.since then endpoint:note_up() end
end

--- Whether the connection is lost, and there was no progress since then.
function Retry:is_on()
  return self.since ~= nil
end

--- Whether the next page is to be a smaller one, of a single entry: this one was larger
--- than max_reply, or the server has closed the connection over it, twice in a row, or
--- instead of a first answer.
local function asks_for_fewer(self, err, connection, was_idle, size)
  if not connection or was_idle or not page_size.was_too_large(connection, err) then
    return false
  end
  local again = self.was_cut or err.too_large or not self.was_answered
  self.was_cut = true
  return again and size:shrink()
end

--- What is reported at last.
local function explained(self, err, connection, size)
  if size.single and self.was_answered and connection and
    page_size.was_too_large(connection, err) then
    return page_size.hopeless(err)
  end
  return err
end

--- The connection is lost, or was never made, or the server refuses.
---@param err eventlog.Error
---@param link table whose connection it is, or was to be
---@param size table how many entries the tailer asks for at a time
---@return "final"|"now"|"later" what to do: report the error, connect at once, or
---  when wait_for_turn() says so
---@return eventlog.Error? err to report
function Retry:plan(err, link, size)
  local connection, oldest = link.connection, link.oldest
  local where = verdict.of(err, self.topology, link.endpoint, connection)
  if where == "anew" then return "now" end
  local settings = self.settings
  -- Whether the link broke while the server was to wait for an entry.
  local was_idle = oldest and oldest.till and connection and connection:broke_idle()
  local may_wait = self.was_answered or settings.retry_first_connection
  local fewer = asks_for_fewer(self, err, connection, was_idle, size)
  if not fewer and not (may_wait and where ~= "never") then
    return "final", explained(self, err, connection, size)
  end
  -- A link that breaks while the log is quiet has done what it can.
  if was_idle then self:note_progress() end
  local now = system.now()
  if not self.since then self.since, self.delay = now, backoff.FIRST end
  if now - self.since > settings.reconnect_timeout then
    return "final", explained(self, err, connection, size)
  end
  if not err.too_large and where ~= "elsewhere" then
    if link.endpoint then link.endpoint:note_down() end
    local pause
    pause, self.delay = backoff.step(self.delay, backoff.LONGEST)
    self.at = now + pause
  end
  return "later"
end

--- Waits until it may connect again. Returns true, or nil, err.
---@param endpoint eventlog.Endpoint
---@param connection table which waits
---@param deadline number? of system.now()
function Retry:wait_for_turn(endpoint, connection, deadline)
  while self.since and self.at do
    local ok, err = connection:sleep_until(self.at, deadline)
    if not ok then return nil, err end
    if endpoint:may_reconnect() then
      self.at = nil
    else
      self.at = system.now() + backoff.FIRST * (1 + system.jitter())
    end
  end
  return true
end

return M
