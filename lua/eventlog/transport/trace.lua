--- EVENTLOG_TRACE=1: writes to standard error what goes over each connection, and
--- what it waits for, as it happens. Without that variable, nothing here is loaded.
---
---   12:00:00.123456 +0.000045 fd=5 > XADD "log" "*" "n" "1" (52 bytes)
---   12:00:00.123470 +0.000014 fd=5 . waits for a reply, at most 5.000 s
---   12:00:00.123581 +0.000111 fd=5 < "1700000000000-0" (15 bytes)
---
--- The time of day; seconds since the line before of this connection; the connection:
--- its descriptor, or #3, the third one, if it has none (yet); and then
---   >  a command that is sent         <  a reply
---   .  what the connection does       !  what went wrong with it
---
--- All of it is done by a transport that stands in front of the driver's own, and by
--- the decoder's methods, through which those replies come that lie behind another.

local core = require "eventlog.core"
local address = require "eventlog.base.address"
local system = require "eventlog.base.system"
local trace_text = require "eventlog.transport.trace_text"

local M = {}

local count = 0 -- of connections

-- Which traced transport a decoder's replies come from.
local owners = setmetatable({}, { __mode = "k" })

local methods = getmetatable(core.decoder()).__index -- the decoder's
local next_reply, skip_statuses = methods.next, methods.skip_statuses

--- Its descriptor while it has one.
local function label(self)
  local socket = self.inner.socket
  local fd = type(socket) == "userdata" and socket.fd and socket:fd()
  if fd then self.label = "fd=" .. fd end
  return self.label
end

--- Writes a line. In one piece, as other processes may write there, too.
local function write(self, mark, ...)
  local time, now = system.time(), system.now()
  local seconds = math.floor(time)
  io.stderr:write(string.format("%s.%06d +%.6f %s %s %s\n", os.date("%H:%M:%S", seconds),
    math.floor((time - seconds) * 1e6), now - (self.line_at or now), label(self), mark,
    string.format(...)))
  self.line_at, self.waits_until = now, false
end

--- A reply has come, if `kind` is a type.
local function note_reply(self, decoder, kind)
  if type(kind) ~= "string" then return end
  local ok, text = pcall(trace_text.of_reply, kind, decoder, self.secret)
  write(self, "<", "%s", ok and text or "(" .. kind .. ")")
end

--- What a call returned that failed.
local function note_failure(self, done, kind, why)
  if done == nil then write(self, "!", "%s: %s", kind, why) end
end

function methods.next(decoder)
  local kind, failure, why = next_reply(decoder)
  local owner = owners[decoder]
  if owner and not owner.tells then
    note_reply(owner, decoder, kind)
    note_failure(owner, kind, failure, why)
  end
  return kind, failure, why
end

function methods.skip_statuses(decoder, most)
  local skipped = skip_statuses(decoder, most)
  local owner = owners[decoder]
  if owner and skipped > 0 then write(owner, "<", "%d statuses", skipped) end
  return skipped
end

-- --- the transport in front of the driver's own ----------------------------

local Traced = {}

function Traced:connect(deadline, give_up)
  if not self.connects then
    self.connects = true
    write(self, ".", "connects to %s", address.of(self.settings))
  end
  local done, kind, why = self.inner:connect(deadline, give_up)
  note_failure(self, done, kind, why)
  if done then
    write(self, ".", self.inner:is_reused() and "connected before: the host kept it" or
      "connected")
  end
  return done, kind, why
end

--- Tells of the request, once; and of what is left of one that was told of before.
local function note_request(self, request)
  local size = request:size()
  if self.unsent == request then
    if size > 0 and self.left ~= size then
      write(self, ".", "sends on: %d bytes are left", size)
    end
  elseif size > 0 then
    local lines, secret = trace_text.of_request(request:bytes())
    self.secret = secret or self.secret
    for _, line in ipairs(lines) do write(self, ">", "%s", line) end
  end
  self.left = size
end

function Traced:send(request, deadline, give_up, decoder)
  note_request(self, request)
  if decoder then owners[decoder] = self end
  self.tells = true -- of the reply itself, which the decoder need not do
  local done, kind, why = self.inner:send(request, deadline, give_up, decoder)
  self.tells = false
  self.unsent = request:size() > 0 and request
  if type(done) == "string" then note_reply(self, decoder, done) end
  note_failure(self, done, kind, why)
  return done, kind, why
end

function Traced:reply(decoder, deadline, least)
  owners[decoder] = self
  local kind, failure, why = next_reply(decoder)
  local seconds = deadline - system.now()
  if kind == false then
    if seconds > 0 and self.waits_until ~= deadline then
      write(self, ".", "waits for a reply, at most %.3f s", seconds)
      self.waits_until = deadline
    end
    self.tells = true
    kind, failure, why = self.inner:reply(decoder, deadline, least)
    self.tells = false
    if kind == false and seconds > 0 and system.now() >= deadline then
      write(self, ".", "nothing has come")
    elseif kind == true then
      write(self, ".", "a part of a reply has come")
    end
  end
  note_reply(self, decoder, kind)
  note_failure(self, kind, failure, why)
  return kind, failure, why
end

function Traced:sleep(seconds)
  write(self, ".", "sleeps for %.3f s", seconds)
  return self.inner:sleep(seconds)
end

function Traced:idle()
  local idle = self.inner:idle()
  if not idle then write(self, "!", "cannot be used again: it was closed meanwhile") end
  return idle
end

function Traced:shutdown()
  write(self, ".", "is to end")
  return self.inner:shutdown()
end

--- Only of a transport that can do it.
function Traced:keep(size, seconds)
  write(self, ".", "is left to the host, which keeps it for %g s", seconds)
  return self.inner:keep(size, seconds)
end

function Traced:close()
  if self.connects and not self.closed then write(self, ".", "closes") end
  self.closed = true
  return self.inner:close()
end

--- A method of ours, if the driver's transport has it, too; else one of its own.
local function find(self, name)
  local inner = self.inner[name]
  if type(inner) ~= "function" then return inner end
  return Traced[name] or function(_, ...) return inner(self.inner, ...) end
end

local metatable = { __index = find, __name = "eventlog.TracedTransport" }

--- A transport that tells of what this one does.
---@param transport table as fd_transport.lua has it
---@param settings table of the client
---@return table
function M.transport(transport, settings)
  count = count + 1
  return setmetatable({
    inner = transport, settings = settings, label = "#" .. count,
    -- As they are read before they are written:
    connects = false, closed = false, secret = false, line_at = false, unsent = false,
    waits_until = false, left = false, tells = false,
  }, metatable)
end

--- A driver whose connections are traced.
---@param driver table as driver/init.lua has it
---@return table
function M.driver(driver)
  local traced = {}
  function traced.open(settings)
    local transport, err = driver.open(settings)
    if not transport then return nil, err end
    return M.transport(transport, settings)
  end
  return setmetatable(traced, { __index = driver })
end

return M
