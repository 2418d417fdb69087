--- The programs that are compared, by the name they have in the results: each
--- makes of a work's arguments (WORK PORT KEY COUNT [SIZE]) the command to run.
--- A program that is not installed is nil, and so is what it would have done.

local build = assert(os.getenv("BENCH_BUILD"), "run script/bench")

local M = {}

local function words(...)
  return table.concat({ ... }, " ")
end

--- A program in Lua that may load this library, from the build for that Lua.
local function lua(interpreter, version, script, suffix)
  return function(...)
    return string.format("LUA_PATH='./?.lua;lua/?.lua;lua/?/init.lua;;' " ..
      "LUA_CPATH='%s/%s/lib/?.so;%s/?.so;;' %s bench/workers/%s ", build, version,
      build, interpreter, script) .. words(...) .. (suffix or "")
  end
end

M["C on hiredis"] = function(...) return build .. "/hiredis " .. words(...) end
M["eventlog 5.4"] = lua("lua5.4", "5.4", "ours.lua")
M["eventlog 5.4, spin off"] = lua("lua5.4", "5.4", "ours.lua", " 0")
M["eventlog 5.1"] = lua("lua5.1", "5.1", "ours.lua")
M["eventlog LuaJIT"] = lua("luajit", "jit", "ours.lua")
M["tables in C"] = lua("lua5.4", "5.4", "ours.lua")

return M
