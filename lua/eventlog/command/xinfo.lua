--- Where a log stands, for reads: asked of XINFO STREAM, which every user may
--- send who may read the log, and which changes nothing. Plain, it copies the
--- log's first and last entry into its answer; FULL COUNT 1 (Redis 6) only the
--- first. A script would copy both into Redis's Lua, ten times as slowly.
---
--- The first of the ways below comes first; when the server refuses it, the next
--- one, which is noted for the server.

local core = require "eventlog.core"
local Error = require "eventlog.base.error"

---@class eventlog.PlainState the part of eventlog.State that is told so
---@field last string id that no entry of then is beyond: as a rule the one that
---  was generated last; "0-0": no log
---@field length integer
---@field first string? id of the oldest entry; nil: none, or not known
---@field added integer? entries ever; nil: not known (before Redis 7)
---@field deleted string? the highest id that XDEL took; nil: not known

local M = {}

-- Beyond this not every Lua counts exactly.
local MAX_INTEGER = 2 ^ 53

local function id(text) return type(text) == "string" and core.id(text) or nil end

local function count(number)
  return type(number) == "number" and number >= 0 and number <= MAX_INTEGER and
    number or nil
end

--- The state, of what XINFO STREAM answers; nil if it cannot be its answer.
local function parse(info)
  local state = {
    last = id(info["last-generated-id"]),
    length = count(info.length),
    first = id(info.entries or info["first-entry"]),
    added = count(info["entries-added"]),
    deleted = id(info["max-deleted-entry-id"]),
  }
  return state.last and state.length and state or nil
end

local function take_info(connection)
  local info, kind, why = connection.decoder:info()
  local state = info and parse(info)
  if state then return state end
  return connection:reject(kind or "protocol", why or "no log can stand there")
end

--- The last entry, then the length: what came in between is in the second only.
local function take_ends(connection)
  local found, last, why = connection.decoder:page("range", 1)
  if not found then return connection:reject(last, why) end
  local kind, err = connection:reply()
  if not kind then return nil, err end
  if kind == "error" then
    return nil, Error.from_server(connection.decoder:value())
  end
  local length = count(connection.decoder:value())
  if not length then return connection:reject("protocol", "the length is none") end
  return { last = last or "0-0", length = length }
end

local ways = {
  { replies = 1, take = take_info, ask = function(request, name)
    request:command("XINFO", "STREAM", name, "FULL", "COUNT", 1)
  end },
  { replies = 1, take = take_info, ask = function(request, name)
    request:command("XINFO", "STREAM", name)
  end },
  { replies = 2, take = take_ends, ask = function(request, name)
    request:command("XREVRANGE", name, "+", "-", "COUNT", 1)
    request:command("XLEN", name)
  end },
}

--- Whether the user or the server does without that question: Redis 5 knows no
--- FULL.
local function is_refusal(err)
  local text = err.message:lower()
  return err.code == "NOPERM" or
    text:find("unknown command", 1, true) ~= nil or
    text:find("unknown subcommand", 1, true) ~= nil or
    text:find("wrong number of arguments", 1, true) ~= nil or
    text:find("syntax error", 1, true) ~= nil
end

--- The ways in which a server is asked for the id that was generated last, which the
--- last way does not tell: an iterator.
---@param abilities eventlog.Abilities
function M.ways_to_last_id(abilities)
  local way = math.min(abilities.asks_state_by, #ways - 1) - 1
  return function()
    way = way + 1
    return way < #ways and way or nil
  end
end

--- Appends the question. Returns how many replies it has.
---@param way integer
---@param request userdata
---@param name string of the log
function M.ask(way, request, name)
  ways[way].ask(request, name)
  return ways[way].replies
end

--- The way that tells what reads need, and has no other entry in its replies than the
--- newest one.
M.NEWEST_ONLY = #ways

--- The id that was generated last, of a reply that is too large: Redis says it before
--- the entries. nil: the id is too far behind, too.
---@param decoder userdata
---@return string|nil last
function M.last_of_part(decoder)
  local info = decoder:info()
  return info and id(info["last-generated-id"])
end

--- Takes its replies apart, the first of which is at hand.
---@param way integer in which it was asked
---@param connection table
---@param kind string the first reply's type
---@return eventlog.PlainState|nil state
---@return eventlog.Error? err
---@return boolean? refused whether it is refused in this way only: the server is
---  asked in the next one from now on
function M.take(way, connection, kind)
  if kind ~= "error" then return ways[way].take(connection) end
  local err = Error.from_server(connection.decoder:value())
  if err.message:find("no such key", 1, true) then
    return { last = "0-0", length = 0 }
  end
  if way == #ways or not is_refusal(err) then return nil, err end
  connection.abilities.asks_state_by = way + 1
  return nil, err, true
end

return M
