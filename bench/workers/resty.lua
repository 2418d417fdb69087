--- lua-resty-redis, in the content phase of an nginx worker: answers
--- /run?work=WORK&port=PORT&key=KEY&count=COUNT[&size=SIZE]. Debian names the
--- module nginx.redis.
-- luacheck: globals ngx

local peer = require "bench.workers.peer"
local redis = require "nginx.redis"

local job = ngx.req.get_uri_args()
for _, name in ipairs { "port", "count", "size" } do job[name] = tonumber(job[name]) end
local key = job.key

-- The worker has served others before: its peak is to be of this job.
local file = io.open("/proc/self/clear_refs", "w")
if file then
  file:write("5")
  file:close()
end

local client = redis:new()
client:set_timeout(60000)
assert(client:connect("127.0.0.1", job.port))

local function entries_of(reply, err)
  assert(reply, err)
  return reply ~= ngx.null and reply[1][2] or nil
end

ngx.say(peer.run({
  add = function(args) return client:xadd(key, "*", unpack(args)) end,
  add_many = function(list)
    client:init_pipeline(#list)
    for _, args in ipairs(list) do client:xadd(key, "*", unpack(args)) end
    return client:commit_pipeline()
  end,
  page = function(last)
    return entries_of(client:xread("COUNT", 1000, "STREAMS", key, last))
  end,
  wait = function(last)
    return entries_of(client:xread("COUNT", 1000, "BLOCK", 0, "STREAMS", key, last))
  end,
  last = function(n) return client:xrevrange(key, "+", "-", "COUNT", n) end,
}, job))
client:close()
