--- Connects to a server by whichever of its addresses answers. They are tried in
--- the order in which the system gives them, the next one as soon as the one before
--- has failed, or has not answered for a quarter of a second (RFC 8305). A Unix
--- socket whose backlog is full is tried again, until the caller gives up.

local core = require "eventlog.core"
local system = require "eventlog.base.system"

local Connector = {}
Connector.__index = Connector
Connector.__name = "eventlog.Connector"

local M = {}

-- Seconds that an address has to itself.
local HEAD_START = 0.25

-- Seconds between two looks at an address, while several are being tried: whoever
-- waits does so for one descriptor at a time.
local LOOK = 0.02

-- Seconds before a full backlog is tried again, at first and at most: no
-- descriptor tells when there is room.
local FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1

---@param settings table where to: path, or host and port
---@param transport table that the sockets belong to: its wait, drop, pause, max_fd
function M.new(settings, transport)
  return setmetatable({
    settings = settings,
    transport = transport,
    addresses = nil, -- what is to be tried, in that order
    next = 1, -- of addresses
    next_at = 0, -- when the next one is due, of system.now()
    full_for = FIRST_PAUSE, -- seconds until a full backlog is tried again
    attempts = {}, -- under way: address, socket, wants ("r" or "w")
    failures = {}, -- address, kind, why
    turn = 0, -- which of the attempts was waited for last
  }, Connector)
end

local function note_failure(self, address, kind, why)
  self.failures[#self.failures + 1] = { address = address, kind = kind, why = why }
  self.next_at = 0 -- at once
end

--- What to say when every address has failed: nil, kind, why.
local function failure(self)
  local failures = self.failures
  local last = failures[#failures]
  if #failures == 1 then return nil, last.kind, last.why end
  local texts = {}
  for i, one in ipairs(failures) do
    texts[i] = one.address .. ": " .. one.why:gsub("^cannot connect: ", "")
  end
  return nil, last.kind, "cannot connect: " .. table.concat(texts, "; ")
end

--- Begins with the next address.
local function begin(self)
  local settings, transport = self.settings, self.transport
  local address = self.addresses[self.next]
  local socket, kind, why
  if settings.path then
    socket, kind, why = core.unix(address)
  else
    socket, kind, why = core.tcp(address, settings.port)
  end
  local now = system.now()
  if socket == false then
    self.next_at = now + self.full_for
    self.full_for = math.min(2 * self.full_for, LONGEST_PAUSE)
    return
  end
  self.next = self.next + 1
  local max_fd = transport.max_fd
  if socket and max_fd and socket:fd() > max_fd then
    kind, why = "unsupported", string.format("the scheduler waits with select(), " ..
      "which cannot see the descriptor %d: it takes those up to %d", socket:fd(), max_fd)
    transport:drop(socket)
    socket = nil
  end
  if not socket then return note_failure(self, address, kind, why) end
  self.attempts[#self.attempts + 1] = { address = address, socket = socket }
  self.next_at = now + HEAD_START
end

--- Looks at what is under way: the socket that is connected, if there is one.
local function look(self)
  local attempts = self.attempts
  for i = #attempts, 1, -1 do
    local attempt = attempts[i]
    local done, kind, why = attempt.socket:finish()
    if done == false then
      attempt.wants = kind
    else
      table.remove(attempts, i)
    end
    if done then return attempt.socket end
    if done == nil then
      self.transport:drop(attempt.socket)
      note_failure(self, attempt.address, kind, why)
    end
  end
end

--- Waits until something may have happened, at most until `deadline`.
local function wait(self, deadline)
  local attempts, transport = self.attempts, self.transport
  if self.addresses[self.next] then deadline = math.min(deadline, self.next_at) end
  local now = system.now()
  if #attempts == 0 then return transport:pause(deadline - now) end
  if #attempts > 1 then deadline = math.min(deadline, now + LOOK) end
  self.turn = self.turn % #attempts + 1
  local attempt = attempts[self.turn]
  transport.wait(attempt.socket:fd(), attempt.wants, math.max(0, deadline - now))
end

--- The addresses to try; or nil, kind, why.
local function find_addresses(self)
  if self.settings.path then return { self.settings.path } end
  return system.addresses(self.settings.host)
end

--- The connected socket; false: not by the deadline, a time of system.now(); or nil,
--- kind, why.
function Connector:connect(deadline)
  if not self.addresses then
    local addresses, kind, why = find_addresses(self)
    if not addresses then return nil, kind, why end
    self.addresses = addresses
  end
  while not self.closed do
    local socket = look(self)
    if socket then return socket end
    local now, more = system.now(), self.addresses[self.next] ~= nil
    if more and now >= self.next_at then
      begin(self)
    elseif not more and #self.attempts == 0 then
      return failure(self)
    elseif now >= deadline then
      return false
    else
      wait(self, deadline)
    end
  end
  return false
end

--- Wakes whoever waits in connect(), which then returns.
function Connector:shutdown()
  self.closed = true
  for _, attempt in ipairs(self.attempts) do attempt.socket:shutdown() end
end

--- Ends what is under way.
function Connector:close()
  self.closed = true
  local attempts = self.attempts
  self.attempts = {}
  for _, attempt in ipairs(attempts) do self.transport:drop(attempt.socket) end
end

return M
