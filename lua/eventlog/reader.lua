--- Reads a log over one connection, in pages, so that a log of any size is read
--- without stalling the server; and exactly, whatever is added and trimmed
--- meanwhile: the result is the log as it stood at one moment.
---
--- Each page begins with the last entry of the page before it. Where that entry
--- is gone, the log was trimmed past it, and what was read no longer joins what
--- follows: the read starts over.

local core = require "eventlog.core"
local Error = require "eventlog.error"

local Reader = {}
Reader.__index = Reader
Reader.__name = "eventlog.Reader"

local M = {}

-- After so many attempts trimming is faster than we are: then all is read in
-- one page, and the server has to bear that.
local ATTEMPTS = 5
local WHOLE = 2 ^ 31 - 1

---@param connection table one that is established
---@param request userdata an empty one
---@param name string of the log
---@param page_size integer
function M.new(connection, request, name, page_size)
  return setmetatable({
    connection = connection,
    decoder = connection.decoder,
    request = request,
    name = name,
    page_size = page_size,
  }, Reader)
end

--- Sends a command. Returns its reply's type; the decoder has the reply.
---@return string|nil kind
---@return eventlog.Error? err
function Reader:call(...)
  local connection = self.connection
  self.request:command(...)
  local ok, err = connection:send(self.request, 1, 0)
  if not ok then return nil, err end
  local kind
  kind, err = connection:reply()
  if kind ~= "error" then return kind, err end
  return nil, Error.from_server(self.decoder:value())
end

--- A command whose reply is this type: its value, or nil, err.
function Reader:value(expected, ...)
  local kind, err = self:call(...)
  if not kind then return nil, err end
  if kind == expected then return self.decoder:value() end
  return self.connection:reject("protocol", "the reply is not " .. (...) .. "'s")
end

--- A script on keys, the log first; sent whole where the server has forgotten
--- it.
---@param expected string the reply's type
---@param script table of scripts.lua
function Reader:script(expected, script, ...)
  local keys = select("#", ...)
  local value, err = self:value(expected, "EVALSHA", script.sha, keys, ...)
  if err and err.code == "NOSCRIPT" then
    return self:value(expected, "EVAL", script.body, keys, ...)
  end
  return value, err
end

--- Asks for one page with XRANGE or XREVRANGE. Returns how many entries it has,
--- and the first and the last id; the decoder has the page.
local function ask(self, command, from, to, count)
  local kind, err = self:call(command, self.name, from, to, "COUNT", count)
  if not kind then return nil, err end
  local entries, last, first = self.decoder:page("range", count)
  if not entries then return self.connection:reject(last, first) end
  return entries, first, last
end

--- Appends the page at hand, without its first `skip` entries.
local function append(self, entries, skip)
  local ok, kind, why = self.decoder:entries("range", skip, WHOLE, entries)
  if not ok then return self.connection:reject(kind, why) end
  return true
end

--- Whether the log still has an entry at or below this id; or nil, err.
local function has_up_to(self, id)
  local count, err = ask(self, "XRANGE", "-", id, 1)
  if not count then return nil, err end
  return count > 0
end

--- One attempt at reading forwards. Returns entries, or nil, err, or nil where
--- the log was trimmed past what was read.
local function attempt_forwards(self, from, page_size)
  local entries, start, skip, stop = {}, from, 0, "+"
  while true do
    local asked = page_size + skip
    local count, first, last = ask(self, "XRANGE", start, stop, asked)
    if not count then return nil, first end
    if skip == 1 and first ~= start then
      -- has_up_to() takes the page's place in the decoder: a lone deletion
      -- costs one page more.
      local deleted, err = has_up_to(self, start)
      if not deleted then return nil, err end
      start, skip = core.id_next(start), 0
    else
      local ok, err = append(self, entries, skip)
      if not ok then return nil, err end
      if count < asked then return entries end
      if stop == "+" then
        -- Not the end of a moving log, but where it is now.
        local found, newest = ask(self, "XREVRANGE", "+", "-", 1)
        if not found then return nil, newest end
        stop = newest or last
      end
      start, skip = last, 1
    end
  end
end

--- All entries from an id on (of "-" on: all that there are), oldest first.
---@param from string id
---@return table[]|nil entries
---@return eventlog.Error? err
function Reader:forwards(from)
  for attempt = 1, ATTEMPTS + 1 do
    local page_size = attempt > ATTEMPTS and WHOLE or self.page_size
    local entries, err = attempt_forwards(self, from, page_size)
    if entries or err then return entries, err end
  end
end

local function reverse(list)
  local i, j = 1, #list
  while i < j do
    list[i], list[j] = list[j], list[i]
    i, j = i + 1, j - 1
  end
  return list
end
M.reverse = reverse

--- One attempt at reading backwards: as attempt_forwards. `expected` is how
--- many entries there were before.
local function attempt_backwards(self, limit, page_size, expected)
  local entries, start, skip = {}, "+", 0
  while true do
    local asked = math.min(page_size, limit - #entries) + skip
    local count, first, last = ask(self, "XREVRANGE", start, "-", asked)
    if not count then return nil, first end
    if skip == 1 and first ~= start then return nil end
    local ok, err = append(self, entries, skip)
    if not ok then return nil, err end
    if #entries == limit then return reverse(entries) end
    if count < asked then
      return #entries >= expected and reverse(entries) or nil
    end
    start, skip = last, 1
  end
end

--- The last `limit` entries, oldest first.
---@param limit integer
---@return table[]|nil entries
---@return eventlog.Error? err
function Reader:last(limit)
  for _ = 1, ATTEMPTS do
    if limit <= self.page_size then break end
    local length, err = self:value("integer", "XLEN", self.name)
    if not length then return nil, err end
    local entries
    entries, err = attempt_backwards(self, limit, self.page_size,
      math.min(limit, length))
    if entries or err then return entries, err end
  end
  return attempt_backwards(self, limit, WHOLE, 0)
end

--- Those of the last `limit` entries that are not older than an id.
---@param limit integer
---@param from string id
function Reader:last_from(limit, from)
  local entries, err = self:last(limit)
  if not entries then return nil, err end
  local kept = {}
  for _, entry in ipairs(entries) do
    if core.id_compare(entry.id, from) >= 0 then kept[#kept + 1] = entry end
  end
  return kept
end

return M
