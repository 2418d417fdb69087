--- A server of which we know what it says, byte for byte: no process and no
--- socket, but a stream that plays it.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local byte_transport = require "eventlog.transport.byte_transport"

local M = {}

--- A bulk string. Joined, because %s of Lua 5.1 ends at a NUL.
function M.bulk(text)
  return "$" .. #text .. "\r\n" .. text .. "\r\n"
end

--- An array of what is encoded already.
function M.array(...)
  return "*" .. select("#", ...) .. "\r\n" .. table.concat { ... }
end

--- An entry of a stream: its id, then names and values.
function M.entry(id, ...)
  local fields = { ... }
  for i, text in ipairs(fields) do fields[i] = M.bulk(text) end
  return M.array(M.bulk(id), M.array((table.unpack or unpack)(fields)))
end

--- A stream that brings these pieces, once something was sent, and then closes.
--- A piece { n, text } comes when n requests were sent.
---@class spec.Played
---@field sent string[]
---@field closed boolean
---@field pieces (string|table)[]
local Stream = {}
Stream.__index = Stream

function Stream:connect() -- luacheck: no self
  return true
end

function Stream:send(bytes)
  self.sent[#self.sent + 1] = bytes
  return true
end

function Stream:receive(timeout)
  local piece = #self.sent > 0 and self.pieces[self.at + 1]
  if type(piece) == "table" then
    if #self.sent < piece[1] then
      core.wait(-1, "r", timeout)
      return nil, "timeout"
    end
    piece = piece[2]
  end
  self.at = self.at + 1
  if piece then return piece end
  return nil, "closed"
end

function Stream:sleep() end -- luacheck: no self

function Stream:close()
  self.closed = true
end

--- Has a client open its connections with a driver of our own.
---@param client eventlog.Client
---@param driver table
function M.drive(client, driver)
  client.driver, client.topology:endpoint("").driver = driver, driver
end

--- A client whose first connection brings the first of these lists of pieces,
--- and so on, the last one again and again; and the list of its streams.
---@param settings table
---@param ... string[]
function M.client(settings, ...)
  local client, streams, plays = eventlog.connect(settings), {}, { ... }
  M.drive(client, {
    open = function()
      local stream = setmetatable({
        sent = {}, at = 0, closed = false,
        pieces = plays[math.min(#streams + 1, #plays)],
      }, Stream)
      streams[#streams + 1] = stream
      return byte_transport.new(stream)
    end,
  })
  return client, streams
end

return M
