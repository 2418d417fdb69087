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

--- XREAD without BLOCK: a wait ends at once.
local function unblocked(words)
  local kept = {}
  for i, word in ipairs(words) do
    local blocks = words[1] == "XREAD" and (word == "BLOCK" or words[i - 1] == "BLOCK")
    if not blocks then kept[#kept + 1] = word end
  end
  return kept
end

--- Runs a command on the server; its type, and the decoder that has the reply.
local function run(server, words)
  local socket, decoder, request = server.socket, core.decoder(), core.request()
  request:command((table.unpack or unpack)(unblocked(words)))
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

local function entries(decoder, shape)
  local list = assert(decoder:entries(shape, 0, 2 ^ 31 - 1))
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

local function strings(decoder)
  local list = assert(decoder:strings(1, decoder:length()))
  for i, text in ipairs(list) do list[i] = played.bulk(text) end
  return played.array((table.unpack or unpack)(list))
end

--- The bytes of a reply.
local function encoded(words, kind, decoder, hides)
  local command = words[1]
  if kind == "error" then return "-" .. decoder:value() .. "\r\n" end
  if kind == "integer" then return integer(decoder:value()) end
  if kind == "string" then return played.bulk(decoder:value()) end
  if kind == "nil" then return "*-1\r\n" end
  if command == "XINFO" then return info(decoder, hides) end
  if command:find("^EVAL") then return strings(decoder) end
  if command == "XREAD" then -- of one log
    return played.array(played.array(played.bulk("log"), entries(decoder, "read")))
  end
  return entries(decoder, "range")
end

--- A wait for entries of the log "log" ends after one timeout of the client's.
--- options.before(n, words): is called before the nth command since reset(); with
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
          options.before(count, words)
          local refusal = options.refuses and options.refuses(words)
          if refusal then
            stream.sent[#stream.sent + 1] = "-" .. refusal .. "\r\n"
          else
            local kind, decoder = run(server, words)
            -- A timeout of the client's comes before the wait's end.
            if words[1] == "XREAD" and kind == "nil" then
              stream.sent[#stream.sent + 1] = false
            end
            stream.sent[#stream.sent + 1] = encoded(words, kind, decoder, hides)
          end
        end
        return true
      end
      function stream.receive()
        local piece = table.remove(stream.sent, 1)
        if piece == false then return nil, "timeout" end
        return piece
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
