--- redis-lua, on any Lua: redis_lua.lua WORK PORT KEY COUNT [SIZE]. It knows no
--- streams, so their commands are defined the way it offers.

local peer = require "bench.workers.peer"
local redis = require "redis"

local unpack = table.unpack or unpack

-- On Lua 5.3 and later its pipelines fail where a command has no parser.
local function as_it_is(reply) return reply end

for _, name in ipairs { "xadd", "xread", "xrevrange" } do
  redis.commands[name] = redis.command(name, as_it_is)
end

local job = {
  work = arg[1], port = tonumber(arg[2]), key = arg[3], count = tonumber(arg[4]),
  size = tonumber(arg[5]),
}
local key = job.key
local client = redis.connect("127.0.0.1", job.port)

local function entries_of(reply)
  return reply and reply[1] and reply[1][2]
end

print(peer.run({
  add = function(args) return client:xadd(key, "*", unpack(args)) end,
  add_many = function(list)
    return client:pipeline(function(pipeline)
      for _, args in ipairs(list) do pipeline:xadd(key, "*", unpack(args)) end
    end)
  end,
  page = function(last)
    return entries_of(client:xread("COUNT", 1000, "STREAMS", key, last))
  end,
  wait = function(last)
    return entries_of(client:xread("COUNT", 1000, "BLOCK", 0, "STREAMS", key, last))
  end,
  last = function(n) return client:xrevrange(key, "+", "-", "COUNT", n) end,
}, job))
