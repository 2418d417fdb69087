--- Reads a log over one connection, in pages, so that a log of any size is read
--- without stalling the server; and exactly, whatever is added and trimmed
--- meanwhile: the result is the log as it stood at one moment.
---
--- Each page begins with the last entry of the page before it. Where that entry
--- is gone, the log was trimmed past it, and what was read no longer joins what
--- follows: the read starts over.

local core = require "eventlog.core"
local Error = require "eventlog.error"
local scripts = require "eventlog.scripts"

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
---@param settings table of the log
function M.new(connection, request, name, settings)
  return setmetatable({
    connection = connection,
    decoder = connection.decoder,
    request = request,
    name = name,
    page_size = settings.batch_size,
    as_pairs = settings.fields == "pairs",
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

--- The id that the log generated last.
function Reader:newest_id()
  local id, err = self:script("string", scripts.last_id, self.name)
  if not id or core.id(id) then return id, err end
  return self.connection:reject("protocol", "the reply is no id")
end

--- Appends the request for a page. Whoever has one page sends for the next
--- before he takes this one apart, so that the server works meanwhile.
local function want(self, command, from, to, count)
  self.request:command(command, self.name, from, to, "COUNT", count)
end

--- The page that is due, of at most so many: how many entries it has, and the
--- first and the last id; the decoder has it.
local function next_page(self, asked)
  local kind, err = self.connection:reply()
  if not kind then return nil, err end
  if kind == "error" then
    return nil, Error.from_server(self.decoder:value())
  end
  local count, last, first = self.decoder:page("range", asked)
  if not count then return self.connection:reject(last, first) end
  return count, first, last
end

--- Appends the page at hand, without its first `skip` entries.
local function append(self, entries, skip)
  local ok, kind, why = self.decoder:entries("range", skip, WHOLE, entries,
    self.as_pairs)
  if not ok then return self.connection:reject(kind, why) end
  return true
end

--- Drops what is beyond an id.
local function cut(entries, stop)
  for i = #entries, 1, -1 do
    if not stop or core.id_compare(entries[i].id, stop) <= 0 then break end
    entries[i] = nil
  end
  return entries
end

--- Sends for a page of so many entries that are to come; where `from` is the
--- last one of those that came, it begins with that one. Returns how many it may
--- have; or nil, err.
local function send_for(self, from, stop, count, replies)
  want(self, "XRANGE", from, stop or "+", count)
  local ok, err = self.connection:send(self.request, replies, 0)
  if not ok then return nil, err end
  return count
end

--- One attempt at reading forwards. Returns entries, or nil, err, or nil where
--- the log was trimmed past what was read. `stop` is not the end of a moving
--- log, but where it was when the first page had come.
local function attempt_forwards(self, from, page_size)
  local entries, last_read, stop, doubt = {}, nil, nil, false
  local asked, err = send_for(self, from, nil, page_size, 1)
  while asked do
    local count, first, last = next_page(self, asked)
    if not count then return nil, first end
    local skip = last_read and not doubt and 1 or 0
    if skip == 1 and first ~= last_read then
      -- Deleted, or trimmed: behind the next page comes what tells.
      local start = core.id_next(last_read)
      if not start then return entries end -- that was the highest id
      want(self, "XRANGE", start, stop or "+", page_size)
      want(self, "XRANGE", "-", last_read, 1)
      local ok
      ok, err = self.connection:send(self.request, 2, 0)
      asked, doubt = ok and page_size, true
    else
      local at_end = count < asked or
        stop ~= nil and core.id_compare(last, stop) >= 0
      asked = nil
      if not at_end and not doubt then
        if not stop then want(self, "XREVRANGE", "+", "-", 1) end
        asked, err = send_for(self, last, stop, page_size + 1, stop and 1 or 2)
        if not asked then return nil, err end
      end
      local ok
      ok, err = append(self, entries, skip)
      if not ok then return nil, err end
      if doubt then
        local older
        older, err = next_page(self, 1)
        if not older then return nil, err end
        if older == 0 then return nil end -- trimmed past what was read
        doubt = false
        if not at_end then
          asked, err = send_for(self, last, stop, page_size + 1, 1)
          if not asked then return nil, err end
        end
      end
      if at_end then return cut(entries, stop) end
      if not stop then
        local found, newest = next_page(self, 1)
        if not found then return nil, newest end
        stop = newest or last
      end
      last_read = last
    end
  end
  return nil, err
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

--- One attempt at reading backwards: as attempt_forwards. `expected` is how
--- many entries there were before.
local function attempt_backwards(self, limit, page_size, expected)
  local entries, start, skip, total = {}, "+", 0, 0
  local asked = math.min(page_size, limit)
  want(self, "XREVRANGE", start, "-", asked)
  local ok, err = self.connection:send(self.request, 1, 0)
  while ok do
    local count, first, last = next_page(self, asked)
    if not count then return nil, first end
    if skip == 1 and first ~= start then return nil end
    total = total + count - skip
    local at_end = count < asked or total == limit
    if not at_end then
      asked = math.min(page_size, limit - total) + 1
      want(self, "XREVRANGE", last, "-", asked)
      ok, err = self.connection:send(self.request, 1, 0)
      if not ok then return nil, err end
    end
    ok, err = append(self, entries, skip)
    if not ok then return nil, err end
    if at_end then
      return (total == limit or total >= expected) and
        core.reverse(entries) or nil
    end
    start, skip = last, 1
  end
  return nil, err
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
