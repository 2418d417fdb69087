--- What a tailer asks about the state of its log, beside the entries.
---
--- A full probe tells the whole state (command/log_state.lua). A quick probe only tells
--- whether one entry is still there and, if so, how many entries the log has: enough to
--- see that nothing was taken out. A quick probe is a script, too, or, if the entry is
--- small, two plain commands: these cost the server a fraction of the script, but send
--- the entry again.

local log_state = require "eventlog.command.log_state"
local script_command = require "eventlog.command.script_command"
local scripts = require "eventlog.command.scripts"
local verdict = require "eventlog.command.verdict"

local Probe = {}
Probe.__index = Probe
Probe.__name = "eventlog.Probe"

local M = {}

-- What plain commands find in a log without that entry: its length would say nothing.
local GONE = -1

---@param name string of the log
---@param abilities eventlog.Abilities
function M.new(name, abilities)
  return setmetatable({
    name = name,
    abilities = abilities,
    by_body = true, -- whether the script is sent whole: until the server has run it
    command = nil, -- by which it was sent last
    refused = nil, -- the error for which it is now sent by the other command
  }, Probe)
end

--- The next server that is asked may not know the script.
function Probe:restart()
  self.by_body = true
end

--- Appends a probe. Returns how many replies it has.
---@param request userdata
---@param id string the entry of which the state says whether it is there
---@param kind "full"|"quick"|"plain"
---@return integer replies
function Probe:ask(request, id, kind)
  local name = self.name
  if kind == "plain" then
    request:command("XRANGE", name, id, id)
    request:command("XLEN", name)
    return 2
  end
  local command, text = script_command.reading(self.abilities, scripts.state, self.by_body)
  self.command = command
  request:command(command, text, 1, name, id, kind == "full" and 1 or 0)
  return 1
end

--- What the script has answered: a state; or the log's length, as a quick probe does
--- if the entry is there; or nil, kind, why.
local function take_script(self, kind, reply, decoder)
  self.by_body, self.refused = false, nil
  if kind == "quick" and reply == "string" then
    local length = log_state.length(decoder:value())
    if length then return length end
    return nil, "protocol", "no log can be so long"
  end
  local list, failure, why = decoder:strings(1, log_state.SIZE)
  local state = list and log_state.parse(list)
  if state then return state end
  return nil, failure or "protocol", why or "no log can stand there"
end

--- What plain commands have answered: the log's length; or GONE; nothing while a reply
--- is due; or nil, kind, why.
local function take_plain(question, reply, decoder)
  if question.found == nil then
    local count, failure, why = decoder:page("range", 1)
    if not count then return nil, failure, why end
    question.found = count == 1
    return nil
  end
  if reply ~= "integer" then return nil, "protocol", "the reply is not XLEN's" end
  return question.found and decoder:value() or GONE
end

--- What a probe has found: a state; or the log's length, as a quick probe does if the
--- entry is there; nothing while a reply is due; or nil, kind, why.
---@param question table probe: which kind was asked for; is changed
---@param reply string the reply's type
---@param decoder userdata which has the reply
function Probe:take(question, reply, decoder)
  local kind = question.probe
  if kind == "plain" then return take_plain(question, reply, decoder) end
  return take_script(self, kind, reply, decoder)
end

--- Takes what has come of a plain probe behind the page that is at hand, without waiting.
--- Returns as take(); "error" if one is at hand now.
---@param question table is changed: replies, which are fewer now
---@param decoder userdata
function Probe:take_at_hand(question, decoder) -- luacheck: no self
  local taken, reply, count, length = decoder:probe()
  if not taken then return nil, reply, count end
  question.replies = question.replies - taken
  if length then return count == 1 and length or GONE end
  if reply == "error" then return nil, "error" end
  if taken == 0 then return nil end
  if taken == 2 or not count then
    return nil, "protocol", "the reply is not what XRANGE, or XLEN, answers"
  end
  question.found = count == 1
  return nil
end

--- What to do about an error of the server's. Returns the error to report; nil: all is
--- to be asked again, and the script is then sent another way.
---@param err eventlog.Error
---@return eventlog.Error?
function Probe:judge(err)
  local way, final = verdict.of_script(err, self.abilities, self.command, self.refused)
  if not way then return final end
  if way == "other_way" then self.refused = err end
end

return M
