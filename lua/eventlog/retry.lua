--- What a follower does when its connection is lost: it goes back to what it handed
--- out, waits, and connects again, for up to reconnect_timeout seconds from the last
--- progress on. An entry that was handed out is progress, and a wait that the server
--- has ended as it should; that a connection is answered, and breaks again over the
--- same request, is none. self is the follower.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local backoff = require "eventlog.backoff"
local exchange = require "eventlog.exchange"

local M = {}

-- Seconds between attempts to reconnect, at most.
local LONGEST_DELAY = 0.5

--- The follower has got on: what is lost from now on is retried for as long as if
--- it were the first time.
function M.note_progress(self)
  self.retry = nil
end

--- The connection works, which is no progress yet.
function M.note_answer(self)
  if not self.was_answered then
    self.was_answered = true
    self.client:note_ready()
  end
  if self.retry then self.client:note_up() end
end

--- The connection is lost: what the follower does next. Returns nothing if it
--- tries again, or err if it does not.
function M.plan(self, err)
  local connection, client = self.connection, self.client
  if connection and connection:was_stale() then
    exchange.go_back(self) -- and takes another one
    return
  end
  local may_wait = self.was_answered or client.settings.retry_first_connection
  if not may_wait or not Error.passes(err) then return err end
  -- A link that breaks while the log is quiet has done what it can.
  local first = self.due[1]
  if first and first.till and connection:broke_idle() then M.note_progress(self) end
  local now, retry = core.now(), self.retry
  if not retry then
    retry = { since = now, delay = backoff.FIRST }
    self.retry = retry
  end
  if now - retry.since > client.settings.reconnect_timeout then return err end
  client:note_down()
  local pause
  pause, retry.delay = backoff.step(retry.delay, LONGEST_DELAY)
  retry.at = now + pause
  exchange.go_back(self)
  self.again = not (self.first or self.more) -- an answer first, then a wait
  client:tell("reconnecting", self.log.name, err.message)
end

--- Waits until it may connect again. Returns true, or nil, err.
function M.wait_for_turn(self, connection, deadline)
  local retry = self.retry
  while retry and retry.at do
    local ok, err = connection:sleep_until(retry.at, deadline)
    if not ok then return nil, err end
    if self.client:may_reconnect() then
      retry.at = nil
    else
      retry.at = core.now() + backoff.FIRST * (1 + backoff.jitter())
    end
  end
  return true
end

return M
