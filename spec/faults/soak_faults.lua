--- What each fault of the plan does to the server, the networks and the processes.
--- Each is a function of the soak, the fault, and numbers for what else it has to
--- choose; it returns what ends the fault, or nil where nothing has to, or false
--- where there was nothing to break.
---
--- The soak's `up` says whether the server can be asked: while it stalls, the
--- conductor would wait with all the others.

local redis = require "spec.support.redis"
local soak_losses = require "spec.faults.soak_losses"

local M = { server = {}, network = {}, process = {} }
local server, network, process = M.server, M.network, M.process

for kind, fault in pairs(soak_losses.faults) do server[kind] = fault end

-- --- the server -------------------------------------------------------------

local function set(soak, name, value)
  soak.server:call("CONFIG", "SET", name, value)
end

function server.kill(soak)
  soak:down()
  return function() soak:launch() end
end

function server.restart(soak)
  pcall(soak.server.call, soak.server, "SHUTDOWN", "NOSAVE")
  return server.kill(soak)
end

--- So many seconds, about, it says LOADING when it starts again.
local LOADING, SLEEP = 0.8, 70e-6

function server.loading(soak)
  soak:down()
  return function()
    local commands = #soak:read_aof() / 150
    local sleeps = LOADING / SLEEP
    local delay = commands < sleeps and math.floor(LOADING * 1e6 / commands) or
      -math.ceil(commands / sleeps)
    local config = soak.server.config
    soak.server.config = config .. string.format(" --key-load-delay %d " ..
      "--loading-process-events-interval-bytes 1024", delay)
    soak:launch()
    soak.server.config = config
  end
end

function server.stall(soak)
  soak.up = false
  soak.server:signal("STOP")
  return function()
    soak.server:signal("CONT")
    soak.up = true
  end
end

function server.client_kill(soak)
  soak.server:call("CLIENT", "KILL", "TYPE", "normal")
end

local function unblock(soak, how)
  local any = false
  for id in soak.server:call("CLIENT", "LIST"):gmatch("id=(%d+)[^\n]* cmd=xread") do
    any = soak.server:call("CLIENT", "UNBLOCK", id, how) == 1 or any
  end
  if not any then return false end
end

function server.unblock_timeout(soak) return unblock(soak, "TIMEOUT") end
function server.unblock_error(soak) return unblock(soak, "ERROR") end

function server.script_flush(soak)
  soak.server:call("SCRIPT", "FLUSH")
end

function server.maxclients(soak)
  set(soak, "maxclients", 5)
  server.client_kill(soak)
  return function() set(soak, "maxclients", 10000) end
end

function server.busy(soak, fault)
  soak.up = false
  redis.sh("redis-cli -s %s EVAL 'local t = os.clock() while os.clock() - t < %f do end' 0 " ..
    ">/dev/null 2>&1 </dev/null &", soak.server.path, fault.lasts)
  return function() soak:wait_ready() end
end

function server.readonly(soak)
  soak.server:call("REPLICAOF", "127.0.0.1", 1)
  return function() soak.server:call("REPLICAOF", "NO", "ONE") end
end

function server.masterdown(soak)
  set(soak, "replica-serve-stale-data", "no")
  soak.server:call("REPLICAOF", "127.0.0.1", 1)
  return function()
    soak.server:call("REPLICAOF", "NO", "ONE")
    set(soak, "replica-serve-stale-data", "yes")
  end
end

function server.oom(soak)
  set(soak, "maxmemory", 1)
  return function() set(soak, "maxmemory", 0) end
end

function server.pause(soak, fault, random)
  soak.server:call("CLIENT", "PAUSE", math.floor(1000 * fault.lasts),
    random:chance(0.5) and "ALL" or "WRITE")
  soak.up = false
  return function() soak:wait_ready() end
end

-- --- the networks -----------------------------------------------------------

local function until_healed(proxy)
  return function()
    proxy:heal()
    proxy:accept()
  end
end

--- Where bytes were thrown away (each cut does that to those that came with its
--- last one), no connection goes on: TCP hands on nothing that comes behind a hole.
local function until_cleared(proxy)
  return function()
    proxy:turn_away("reset")
    proxy:kill_connections("reset")
    proxy:heal()
  end
end

local function cut(soak, fault, random, direction)
  local proxy = soak.proxies[fault.network]
  proxy:cut {
    direction = direction,
    after = math.floor(10 ^ random:between(0, 3.7)) - 1,
    how = random:pick { "close", "reset", "stall", "drop" },
    connections = random:chance(0.5) and random:integer(1, 4) or nil,
    present = random:chance(0.7) or nil,
  }
  return until_cleared(proxy)
end

function network.cut_request(soak, fault, random) return cut(soak, fault, random, "request") end
function network.cut_reply(soak, fault, random) return cut(soak, fault, random, "reply") end

--- The faults that are one call of the proxy's.
for kind, call in pairs {
  stall = { "stall" }, long_stall = { "stall" }, stall_requests = { "stall", "request" },
  stall_replies = { "stall", "reply" }, delay = { "delay", { request = 40, reply = 60 } },
  refuse = { "refuse" }, turn_away = { "turn_away", "reset" },
  black_hole = { "black_hole", true },
} do
  network[kind] = function(soak, fault)
    local proxy = soak.proxies[fault.network]
    proxy[call[1]](proxy, call[2])
    return until_healed(proxy)
  end
end

function network.drop_replies(soak, fault)
  local proxy = soak.proxies[fault.network]
  proxy:drop_replies(true)
  return until_cleared(proxy)
end

function network.kill_connections(soak, fault, random)
  soak.proxies[fault.network]:kill_connections(random:pick { "close", "reset" })
end

-- --- the processes ----------------------------------------------------------

local function kill(of, random)
  local victim = random:pick(of)
  if not victim:is_running() then return false end
  victim:kill()
  return function() victim:start() end
end

local function stop(of, random)
  local victim = random:pick(of)
  if not victim:is_running() then return false end
  victim:signal("STOP")
  return function() victim:signal("CONT") end
end

function process.follower_kill(soak, _, random) return kill(soak.followers, random) end
function process.follower_stop(soak, _, random) return stop(soak.followers, random) end
function process.writer_kill(soak, _, random) return kill(soak.writers, random) end
function process.writer_stop(soak, _, random) return stop(soak.writers, random) end

return M
