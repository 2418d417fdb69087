--- The programs that are compared, by the name they have in the results: each
--- makes of a work's arguments (WORK PORT KEY COUNT SIZE) the command to run.

local build = assert(os.getenv("BENCH_BUILD"), "run script/bench")

local M = {}

local function words(...)
  return table.concat({ ... }, " ")
end

--- A worker in Lua, which may load this library from the build for its Lua.
--- more: what else is on its search path, or behind its arguments.
local function lua(interpreter, version, script, more)
  more = more or {}
  return function(...)
    return string.format("LUA_PATH='./?.lua;%s/lua/?.lua;%s/lua/?/init.lua;;%s' " ..
      "LUA_CPATH='%s/%s/lib/?.so;%s/?.so;;' %s bench/workers/%s %s %s",
      build, build, more.path or "", build, version, build, interpreter, script,
      words(...), more.arguments or "")
  end
end

M["C on hiredis"] = function(...) return build .. "/hiredis " .. words(...) end
M["bare socket"] = function(...) return build .. "/bare " .. words(...) end

M["eventlog 5.4"] = lua("lua5.4", "5.4", "ours.lua")
M["eventlog 5.4, spin off"] = lua("lua5.4", "5.4", "ours.lua", { arguments = "0" })
M["eventlog 5.1"] = lua("lua5.1", "5.1", "ours.lua")
M["eventlog LuaJIT"] = lua("luajit", "jit", "ours.lua")

M["redis-benchmark"] = function(...)
  return "bench/workers/redis_benchmark.sh " .. words(...)
end

-- Debian has it for Lua 5.3 at most; it runs on 5.4 as it is.
M["redis-lua 5.4"] = lua("lua5.4", "5.4", "redis_lua.lua",
  { path = ";/usr/share/lua/5.3/?.lua" })
M["redis-lua 5.1"] = lua("lua5.1", "5.1", "redis_lua.lua")

M["lua-resty-redis"] = function(work, port, key, count, size)
  return string.format("curl -sS --fail-with-body --unix-socket %s " ..
    "'http://localhost/run?work=%s&port=%s&key=%s&count=%d&size=%d'",
    os.getenv("BENCH_NGINX"), work, port, key, count, size)
end

-- The system's own, since that is the one with the packages.
M["redis-py"] = function(...)
  return "/usr/bin/python3 bench/workers/redis_py.py " .. words(...)
end

M["tables in C"] = lua("lua5.4", "5.4", "ours.lua")
M["growth"] = lua("lua5.4", "5.4", "growth.lua")

return M
