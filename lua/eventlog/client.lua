--- A client: options, and what the logs of one user share: the topology, which has
--- the connections; the tokens of adds; on_event; followers.

local core = require "eventlog.core"
local Tokens = require "eventlog.log.tokens"
local driver = require "eventlog.driver"
local events = require "eventlog.base.events"
local misuse = require "eventlog.base.misuse"
local options = require "eventlog.base.options"
local single_server = require "eventlog.topology.single_server"

---@class eventlog.Client
local Client = {}
Client.__index = Client
Client.__name = "eventlog.Client"

function Client:__tostring()
  return "eventlog client of " .. self.topology:address()
end

local check_self = misuse.class(Client, "client", "eventlog.connect()")

local M = {}

--- eventlog.connect. Does no I/O; misuse raises.
---@param target string|table|nil
---@param level integer as for error(): whose mistake misuse is
---@return eventlog.Client
function M.new(target, level)
  local settings = options.client(target, level + 1)
  local how_to_wait = driver.find(settings.driver, settings.tls)
  local told = events.new(settings.on_event)
  return setmetatable({
    settings = settings,
    driver = how_to_wait,
    events = told,
    topology = single_server.new(settings, how_to_wait, told),
    -- Weak: a follower does not live longer because the client knows it.
    followers = setmetatable({}, { __mode = "k" }),
    -- Empty requests, and how many. Weak: those that nobody needed for a while go.
    requests = setmetatable({}, { __mode = "v" }),
    request_count = 0,
    tokens = Tokens.new(),
    closed = false,
  }, Client)
end

---@param target any
---@return boolean
function M.is(target)
  return getmetatable(target) == Client
end

--- Tells on_event; while it is being told of another event, after that.
---@param kind "connected"|"disconnected"|"reconnecting"|"gap"|"reset"|"degraded"
---@param log string? the name of the log it happened for
---@param message string
function Client:tell(kind, log, message)
  self.events:tell(kind, log, message)
end

--- An empty request; give it back when its replies have come.
function Client:take_request()
  local count = self.request_count
  if count == 0 then return core.request() end
  local request = self.requests[count]
  self.requests[count], self.request_count = nil, count - 1
  return request or core.request()
end

function Client:give_request(request)
  request:clear()
  local count = self.request_count + 1
  self.requests[count], self.request_count = request, count
end

--- Ends its followers, closes what it holds. What waits in another coroutine
--- returns kind "closed", as does every later call. Idempotent.
function Client:close()
  check_self(self, "close")
  self.closed = true
  for follower in pairs(self.followers) do follower:close() end
  self.topology:close()
end

return M
