--- What a follower does when its connection is lost: it goes back to what it handed
--- out, waits, and connects again, for up to reconnect_timeout seconds from the last
--- progress on. An entry that was handed out is progress, and a wait that the server
--- has ended as it should; that a connection is answered, and breaks again over the
--- same request, is none. self is the follower.

local Error = require "eventlog.base.error"
local backoff = require "eventlog.base.backoff"
local exchange = require "eventlog.follow.exchange"
local page_size = require "eventlog.command.page_size"
local system = require "eventlog.base.system"

local M = {}

--- The follower has got on: what is lost from now on is retried for as long as if
--- it were the first time.
function M.note_progress(self)
  self.retry, self.cut = nil, false
end

--- A page has come whole. After one that was too large, pages grow again up to what
--- was; at the log's end that is forgotten.
function M.note_page(self, more)
  if not self.too_many then return end
  local size = page_size.larger(self.page_size, self.batch_size)
  if not more then
    self.page_size, self.single, self.too_many = self.batch_size, false, nil
  elseif size < self.too_many then
    self.page_size, self.single = size, false
  end
end

--- Whether the connection broke while the server let the follower wait.
local function broke_idle(self)
  local first = self.due[1]
  return first and first.till and self.connection:broke_idle()
end

--- Whether the next page is to be a smaller one, of a single entry: this one was
--- larger than max_reply, or the server has closed the connection over it, twice in
--- a row, or instead of a first answer.
local function asks_for_fewer(self, err)
  local connection = self.connection
  if not connection or not page_size.was_too_large(connection, err) or
    broke_idle(self) then
    return false
  end
  local again = self.cut or err.too_large or not self.was_answered
  self.cut = true
  if self.single or not again then return false end
  self.too_many, self.page_size, self.single = self.page_size, 1, true
  return true
end

--- What is reported at last.
local function explain(self, connection, err)
  if self.single and self.was_answered and connection and
    page_size.was_too_large(connection, err) then
    return page_size.hopeless(err)
  end
  return err
end

--- The connection works, which is no progress yet.
function M.note_answer(self)
  if not self.was_answered then
    self.was_answered = true
    self.endpoint:note_ready()
  end
  if self.retry then self.endpoint:note_up() end
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
  local fewer = asks_for_fewer(self, err)
  if not fewer and not (may_wait and Error.passes(err)) then
    return explain(self, connection, err)
  end
  -- A link that breaks while the log is quiet has done what it can.
  if broke_idle(self) then M.note_progress(self) end
  local now, retry = system.now(), self.retry
  if not retry then
    retry = { since = now, delay = backoff.FIRST }
    self.retry = retry
  end
  if now - retry.since > client.settings.reconnect_timeout then
    return explain(self, connection, err)
  end
  if not err.too_large then
    if self.endpoint then self.endpoint:note_down() end
    local pause
    pause, retry.delay = backoff.step(retry.delay, backoff.LONGEST)
    retry.at = now + pause
  end
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
    if self.endpoint:may_reconnect() then
      retry.at = nil
    else
      retry.at = system.now() + backoff.FIRST * (1 + system.jitter())
    end
  end
  return true
end

return M
