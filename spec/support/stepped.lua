--- A client whose commands reach a real server one by one, also those that it
--- sends in one go: before each of them something may happen to the log. For what
--- has to be right wherever another client's command comes in between.

local core = require "eventlog.core"
local eventlog = require "eventlog"
local played = require "spec.support.played"
local byte_transport = require "eventlog.transport.byte_transport"

local M = {}

--- The commands that bytes hold: lists of words.
local function commands(bytes)
  local list, at = {}, 1
  while at <= #bytes do
    local n, behind = bytes:match("^%*(%d+)\r\n()", at)
    local words = {}
    for i = 1, tonumber(n) do
      local size, start = bytes:match("^%$(%d+)\r\n()", behind)
      words[i] = bytes:sub(start, start + size - 1)
      behind = start + size + 2
    end
    list[#list + 1] = words
    at = behind
  end
  return list
end

--- Runs a command on the server; its type, and the decoder that has the reply.
local function run(server, words)
  local socket, decoder, request = server.socket, core.decoder(), core.request()
  request:command((table.unpack or unpack)(words))
  while request:size() > 0 do assert(socket:send(request) ~= nil) end
  local kind
  repeat
    core.wait(socket:fd(), "r")
    kind = socket:reply(decoder)
    assert(kind ~= nil)
  until type(kind) == "string"
  return kind, decoder
end

local function integer(number) return string.format(":%d\r\n", number) end

local function entries(decoder)
  local list = assert(decoder:entries("range", 0, 2 ^ 31 - 1))
  for i, entry in ipairs(list) do
    local words = {}
    for name, value in pairs(entry.fields) do
      words[#words + 1] = name
      words[#words + 1] = value
    end
    list[i] = played.entry(entry.id, (table.unpack or unpack)(words))
  end
  return played.array((table.unpack or unpack)(list))
end

local function info(decoder, hides)
  local parts = {}
  for name, value in pairs(assert(decoder:info())) do
    if not hides[name] then
      parts[#parts + 1] = played.bulk(name)
      parts[#parts + 1] = type(value) == "string" and played.bulk(value) or integer(value)
    end
  end
  return played.array((table.unpack or unpack)(parts))
end

--- The bytes of a reply.
local function encoded(command, kind, decoder, hides)
  if kind == "error" then return "-" .. decoder:value() .. "\r\n" end
  if kind == "integer" then return integer(decoder:value()) end
  if command == "XINFO" then return info(decoder, hides) end
  return entries(decoder)
end

--- options.before(n): is called before the nth command since reset(); with
--- options.hides, XINFO does not tell these fields; with options.refuses(words),
--- a command for which that is true is answered that error.
---@param server table of redis.lua
---@param options table
---@return eventlog.Client client
---@return fun(): integer reset returns how many commands there were
function M.client(server, options)
  local client, count = eventlog.connect(server.url), 0
  local hides = options.hides or {}
  server:call("PING") -- so that it has a socket
  played.drive(client, {
    open = function()
      local stream = { sent = {} }
      function stream.connect() return true end
      function stream.sleep() end
      function stream.close() end
      function stream.send(_, bytes)
        for _, words in ipairs(commands(bytes)) do
          count = count + 1
          options.before(count)
          local refusal = options.refuses and options.refuses(words)
          if refusal then
            stream.sent[#stream.sent + 1] = "-" .. refusal .. "\r\n"
          else
            local kind, decoder = run(server, words)
            stream.sent[#stream.sent + 1] = encoded(words[1], kind, decoder, hides)
          end
        end
        return true
      end
      function stream.receive()
        return table.remove(stream.sent, 1)
      end
      return byte_transport.new(stream)
    end,
  })
  return client, function()
    local before = count
    count = 0
    return before
  end
end

return M
