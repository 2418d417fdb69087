--- Who takes part in a soak: its logs, writers and followers.

local soak_process = require "spec.faults.soak_process"

local M = {}

--- The logs; `options` are eventlog.new's.
M.logs = {
  plain = { options = {} },
  short = { options = { max_length = 50 } },
  brief = { options = { ttl = 0.8 } },
  once = { options = { idempotent = true } },
  ["once:short"] = { options = { idempotent = true, max_length = 60 } },
  turn = { options = {} },
}
for _, log in pairs(M.logs) do
  log.max_length, log.expires = log.options.max_length, log.options.ttl ~= nil
end

--- A log for a process's config: with more options, and other words.
local function log_for(name, more, words)
  local config, options = { name = name }, {}
  for k, v in pairs(M.logs[name].options) do options[k] = v end
  for k, v in pairs(more or {}) do options[k] = v end
  for k, v in pairs(words or {}) do config[k] = v end
  config.options = options
  return config
end

local function writers_of(soak, lua)
  local direct = { url = soak.server.url, timeout = 1 }
  local function through(i, driver)
    return { url = soak.proxies[i].url, timeout = 1, connect_timeout = 2, driver = driver }
  end
  local conditional = { conditional = true }
  local function all(turn)
    return {
      log_for "plain", log_for "short", log_for "brief", log_for "once",
      log_for "once:short", log_for("turn", turn, conditional),
    }
  end
  return {
    { "w1", lua.main, { target = direct, logs = all(), pace = { 0.01, 0.05 } } },
    { "w2", lua.main, {
      target = through(1, "cqueues"), logs = all { idempotent = true }, coroutines = 6,
      pace = { 0.1, 0.3 },
    } },
    { "w3", lua.jit, {
      target = through(2), logs = { log_for "once", log_for "once:short" },
      pace = { 0.01, 0.05 },
    } },
    { "w4", lua.main, {
      target = { url = soak.server.url, timeout = 0.4, driver = "cqueues" }, coroutines = 4,
      logs = all { idempotent = true }, pace = { 0.1, 0.3 },
    } },
  }
end

local function followers_of(soak, lua)
  local direct = { url = soak.server.url, timeout = 2 }
  local function through(i, driver)
    return { url = soak.proxies[i].url, timeout = 1, connect_timeout = 2, driver = driver }
  end
  local function all(batch_size, ...)
    local list = {}
    for name in pairs(M.logs) do
      list[#list + 1] = log_for(name, { batch_size = batch_size }, { start = { ... } })
    end
    table.sort(list, function(a, b) return a.name < b.name end)
    return list
  end
  local function one(name)
    return { log_for(name, nil, { start = { "all" } }) }
  end
  return {
    { "f1", lua.main, { target = direct, way = "poll", logs = all(1000, "all") } },
    { "f2", lua.main, {
      target = through(1, "cqueues"), way = "cqueues", logs = all(7, "n", 0),
    } },
    { "f3", lua.jit, { target = through(2), way = "poll", logs = all(100, "all") } },
    { "f4", lua.main, {
      target = through(1, "cqueues"), way = "cqueues", logs = all(20, "all"),
      slow = { 0.2, 1 },
    } },
    { "f5", lua.main, {
      target = through(2, "cqueues"), way = "cqueues", logs = all(50, "n", 10),
      changes = 3,
    } },
    { "f6", lua.jit, {
      target = direct, way = "poll", logs = all(30, "after", "0-0"), changes = 5,
    } },
    { "f7", lua.main, { target = through(1), way = "loop", logs = one "plain" } },
    { "f8", lua.main, { target = direct, way = "loop", logs = one "once:short" } },
  }
end

--- Makes the processes; none is started.
---@param soak table its server, proxies, seed, work directory and files
---@param jit_cpath string? where LuaJIT finds the module; nil: there is no LuaJIT
---@return table[] writers
---@return table[] followers
function M.new(soak, jit_cpath)
  local main = { program = arg[-1] or "lua5.4", cpath = package.cpath }
  local lua = {
    main = main,
    jit = jit_cpath and { program = "luajit", cpath = jit_cpath } or main,
  }
  local function make(list, script)
    local processes = {}
    for i, each in ipairs(list) do
      local config = each[3]
      config.seed, config.stop, config.draining = soak.seed, soak.stop_file, soak.drain_file
      processes[i] = soak_process.new(soak.work, each[1], each[2], script, config)
    end
    return processes
  end
  return make(writers_of(soak, lua), "soak_writer.lua"),
    make(followers_of(soak, lua), "soak_follower.lua")
end

return M
