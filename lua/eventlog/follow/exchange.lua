--- What a follower's stages share: asking, taking pages and looks apart, and
--- telling what became of the log. self is the follower.

local core = require "eventlog.core"
local Error = require "eventlog.base.error"
local continuity = require "eventlog.follow.continuity"
local log_state = require "eventlog.command.log_state"
local reading_script = require "eventlog.command.reading_script"
local scripts = require "eventlog.command.scripts"
local system = require "eventlog.base.system"

local M = {}

-- Seconds that a follower grants a silent server, whatever the client's `timeout`;
-- and with what the server may let it wait: a dead link is noticed within 15.
local LONGEST_SILENCE, LONGEST_WAIT = 9, 14

--- For how many seconds the server may be silent before the first of what is due is
--- answered.
local function read_timeout(self)
  local till, timeout = self.due[1].till, self.client.settings.timeout
  local block = till and math.max(0, till - system.now()) or 0
  return math.min(timeout, LONGEST_SILENCE, LONGEST_WAIT - block) + block
end

--- Sends the request. Its replies belong to `item`, behind those that are due.
function M.send(self, item)
  self.due[#self.due + 1] = item
  return self.connection:send(self.request, item.replies, read_timeout(self))
end

--- Sends a stage's request: behind others, to which replies are due, at most.
function M.ask(self, stage)
  self.stage = stage
  self.request:clear()
  local replies, item = stage.ask(self, self.request)
  item = item or {}
  item.replies = replies
  return M.send(self, item)
end

--- Notes that a reply has come. Returns what it belongs to.
function M.arrived(self)
  local due = self.due
  local item = due[1]
  item.replies = item.replies - 1
  if item.replies == 0 then
    table.remove(due, 1)
    if due[1] and due[1].till then self.connection:allow(read_timeout(self)) end
  end
  return item
end

--- What is asked behind what is being answered is of no use any more: its replies
--- are to be passed over.
---@param item table what is being answered
function M.disregard(self, item)
  for _, other in ipairs(self.due) do other.useless = other ~= item end
end

--- Whether something is asked for that is still of use.
function M.is_due(self)
  local last = self.due[#self.due]
  return last ~= nil and not last.useless
end

-- Seconds after which a reply is missed that comes right behind another one.
local MISSED = 1

--- KeyDB 6.3 runs what is pipelined behind a blocking command only when something
--- else comes. When it is to be sent something else, because the look behind a page
--- that was waited for is missed; nil: never.
---@param pending table? the page
function M.nudge_at(pending)
  if not pending or pending.nudged or not pending.came then return nil end
  return pending.came + MISSED
end

function M.nudge(self, pending)
  pending.nudged = true
  self.request:clear()
  self.request:command("XLEN", self.log.name)
  M.send(self, { replies = 1, useless = true })
end

--- A nudge has helped: from now on nothing is pipelined behind a blocking command.
function M.degrade(self)
  local abilities = self.connection.abilities
  if abilities.waits_alone then return end
  abilities.waits_alone = true
  self.client:tell("degraded", self.log.name, "the server holds back what is pipelined " ..
    "behind a blocking command: each batch takes one more round trip")
end

--- A page of the reply at hand: how many entries it has, the id of the last of
--- its first `limit`, the first id, and how many bytes the last of all has. Or
--- nil, err.
function M.page(self, shape, limit)
  local decoder = self.connection.decoder
  local count, last, first, size = decoder:page(shape, limit)
  if not count then return self.connection:reject(last, first) end
  return count, last, first, size
end

--- A list of the reply's first entries; or nil, err.
function M.entries_of(self, shape, limit)
  local batch, kind, why = self.connection.decoder:entries(shape, 0, limit,
    nil, self.log.settings.fields == "pairs")
  if not batch then return self.connection:reject(kind, why) end
  return batch
end

--- Asks where the log stands; only the first time with the script's body.
--- `whole`: the whole state even if `after` is still there.
function M.look(self, request, after, whole)
  local command, text = reading_script.command(self.connection.abilities, scripts.state,
    self.by_body)
  self.look_command = command
  request:command(command, text, 1, self.log.name, after, whole and 1 or 0)
end

--- What it answers: a state; or the log's length where `after` is still there,
--- unless the whole state was asked for; or nil, err.
function M.looked(self, kind, whole)
  self.by_body, self.refused = false, nil
  local decoder = self.connection.decoder
  if not whole and kind == "string" then
    local length = log_state.length(decoder:value())
    if length then return length end
    return self.connection:reject("protocol", "no log can be so long")
  end
  local list, failure, why = decoder:strings(1, log_state.SIZE)
  local state = list and log_state.parse(list)
  if state then return state end
  return self.connection:reject(failure or "protocol",
    why or "no log can stand there")
end

--- The error that ends a follower of a log with on_gap = "error".
local function gap_error(self, message)
  return Error.new("gap", string.format("log %s %s",
    core.quote(self.log.name), message))
end

--- Puts a gap or a reset on a batch, and tells of it; or nil, err.
function M.report(self, batch, gap, reset)
  local message
  if gap then
    message = string.format("has lost %s entries between %s and %s",
      gap.missed and string.format("%d", gap.missed) or "some", gap.after,
      gap.before)
    batch.gap = gap
    self.client:tell("gap", self.log.name, message)
  end
  if reset then
    message = "was " .. (reset == "rewound" and "rolled back" or "made anew")
    batch.reset = reset
    self.client:tell("reset", self.log.name, message)
  end
  if message and self.log.settings.on_gap == "error" then
    return nil, gap_error(self, message)
  end
  return batch
end

--- What a first batch has to say of the id to begin at: that it is beyond the
--- log's end.
function M.beyond(self, state)
  local id = self.start.id
  if id and core.id_compare(id, state.last) > 0 then
    return state.last == "0-0" and "recreated" or "rewound"
  end
end

--- Hands out a batch. A reset waits for one that has entries.
function M.hand_out(self, batch, gap, reset)
  self.known.beginning = nil
  if #batch > 0 then
    reset, self.reset = self.reset or reset, nil
  end
  return M.report(self, batch, gap, reset)
end

--- The log is another one, and read from its beginning; with max_length, as
--- tail() would. Where nothing was handed out yet, and the connection is lost,
--- all begins as the caller said.
---@param state eventlog.State of that log
function M.start_over(self, reset, state)
  self.start = { limit = self.log.settings.max_length }
  self.located = 0
  self.reset = reset
  self.relocates = self.start.limit ~= nil
  self.position, self.more, self.idle = "0-0", false, false
  self.first = not self.handed_out -- even if a page had come
  self.known = { beginning = true, seen = state }
  self.last_size = nil
  -- Here it goes back to, too, should the connection be lost before the reset
  -- was reported.
  if self.handed_out then self.handed_out = M.mark(self, true) end
end

--- The place to begin at was found in a log that is another one now: it is looked
--- for again.
function M.begin_again(self, state)
  if self.reset then
    M.start_over(self, self.reset, state)
    self.next_stage = self.read_stage
    return
  end
  self.position, self.located, self.beyond = "0-0", 0, nil
  self.first = not self.handed_out
  self.known = { beginning = true }
  self.next_stage = self.locates(self.start)
end

--- Where a follower is, to go back to.
function M.mark(self, caught_up)
  return {
    position = self.position, known = continuity.copy(self.known),
    caught_up = caught_up, reset = self.reset, start = self.start,
    relocates = self.relocates,
  }
end

--- Lets the connection go, with what is under way on it.
function M.detach(self)
  local connection = self.connection
  self.stage, self.pending, self.state, self.due = nil, nil, nil, {}
  if connection then
    self.connection = nil
    connection:close()
    self.endpoint:release(connection, self.log.name)
  end
end

--- To where the last batch ended, or to the start; without a connection.
function M.go_back(self)
  M.detach(self)
  local out = self.handed_out
  self.position = out and out.position or "0-0" -- XREAD goes on after this
  self.first = not out -- no batch was handed out yet
  self.known = out and continuity.copy(out.known) or { beginning = true }
  self.start = out and out.start or self.origin
  self.more = not (out and out.caught_up) -- whether the log goes on behind that
  self.located = 0 -- entries before the first batch that are to come in it
  self.reset = out and out.reset -- for the next batch that has entries
  self.relocates = out and out.relocates -- whether to find the last max_length first
  self.beyond = nil -- a reset to report: the id to begin at is beyond the end
  self.idle = false -- whether its last wait brought nothing
  self.last_size = nil -- of the last entry, where it came on this connection
  self.suspicious = false -- whether the look behind a page has to be a close one
  self.again = false -- whether a page is read once more
  self.by_body = true -- scripts are sent whole until one was answered
  self.next_stage = self.first and self.locates(self.start) or self.read_stage
end

return M
