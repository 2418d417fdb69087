local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

local sh, quote = redis.sh, redis.quote

local root = sh("pwd")
local ROCKSPEC = "rockspec/eventlog-scm-1.rockspec"

-- What luarocks and CMake call the Lua we are in.
local lua_version = _VERSION:match("%d+%.%d+")
local cmake_lua = rawget(_G, "jit") and "jit" or lua_version

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

--- Text of one word a line, as a sorted list.
local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  table.sort(list)
  return list
end

local function load_rockspec()
  local rockspec = {}
  local chunk
  if setfenv then
    chunk = setfenv(assert(loadfile(ROCKSPEC)), rockspec)
  else
    chunk = assert(loadfile(ROCKSPEC, "t", rockspec))
  end
  chunk()
  return rockspec
end

--- A directory that goes when the spec ends.
local function temporary_directory()
  local dir = sh("mktemp -d")
  finally(function() sh("rm -rf %s", dir) end)
  return dir
end

--- A copy of what is built, for builders that write beside the sources.
local function copy_sources(dir)
  sh("mkdir %s/src && cp -r CMakeLists.txt csrc lua rockspec %s/src", dir, dir)
  return dir .. "/src"
end

--- Runs a command against a server of its own, the URL as its last argument;
--- what it wrote.
local function with_server(command)
  local server = redis.start()
  local ok, output = pcall(sh, "%s", command .. " " .. quote(server.url) .. " 2>&1")
  server:stop()
  assert(ok, output)
  return output
end

local PROGRAM = [[
local log = require("eventlog").new(..., "log")
assert(log:add { word = "hello" })
print(log:tail()[1].fields.word, log:length(), (require "eventlog"._VERSION))
]]

--- Runs a program that finds modules below this prefix only.
local function run_in(prefix)
  local file = os.tmpname()
  write(file, string.format("package.path = %q; package.cpath = %q\n%s",
    string.format("%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua", prefix,
      lua_version, prefix, lua_version),
    string.format("%s/lib/lua/%s/?.so", prefix, lua_version), PROGRAM))
  local output = with_server(helper.lua .. " " .. file)
  os.remove(file)
  return output
end

local EXPECTED = "hello\t1\t" .. require "eventlog"._VERSION

describe("the build", function()
  local sources = words(sh("ls csrc/*.c"))
  local modules = words(sh("find lua -name '*.lua'"))

  it("names each C source in CMakeLists.txt", function()
    local lists = ""
    for list in read("CMakeLists.txt"):gmatch("set%(%w+_sources(.-)%)") do
      lists = lists .. list
    end
    assert.same(sources, words(lists))
  end)

  it("names each C source and each Lua module in the rockspec", function()
    local rock = load_rockspec().build.modules
    local files = {}
    for name, file in pairs(rock) do
      if type(file) == "string" then
        files[#files + 1] = file
        local path = "lua/" .. name:gsub("%.", "/")
        assert.is_true(file == path .. ".lua" or file == path .. "/init.lua", file)
      end
    end
    assert.same(sources, words(table.concat(rock["eventlog.core"].sources, "\n")))
    assert.same(modules, words(table.concat(files, "\n")))
  end)

  it("has the version in one place", function()
    local version = read("csrc/eventlog.h"):match('#define EVL_VERSION "(.-)"')
    assert.equal("eventlog " .. version, require "eventlog"._VERSION)
    -- A released version stands in the changelog, too: that is history.
    assert.equal("./csrc/eventlog.h:1", sh("grep -rcwF --exclude-dir=.git " ..
      "--exclude-dir=build --exclude=CHANGELOG.md %s . | grep -v ':0$'", version))
  end)

  it("lays a tree that works: cmake --install", function()
    local dir = temporary_directory()
    sh("{ cmake -S . -B %s/build -DEVENTLOG_LUA=%s && cmake --build %s/build -j2 && " ..
      "cmake --install %s/build --prefix %s/prefix; } 2>&1", dir, cmake_lua, dir, dir,
      dir)
    assert.equal(EXPECTED, run_in(dir .. "/prefix"))
  end)

  it("lays a tree that works: luarocks make, which fetches nothing", function()
    local dir = temporary_directory()
    -- A proxy that nobody listens at: whoever asks the network fails.
    sh("cd %s && HOME=%s http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 " ..
      "luarocks --lua-version %s --tree %s/tree make %s 2>&1", copy_sources(dir), dir,
      lua_version, dir, ROCKSPEC)
    assert.equal(EXPECTED, run_in(dir .. "/tree"))
  end)

  it("gives a host that embeds Lua luaopen_eventlog_core: add_subdirectory", function()
    local dir = temporary_directory()
    local lua = cmake_lua == "jit" and "luajit" or "lua" .. lua_version
    write(dir .. "/CMakeLists.txt", string.format([[
cmake_minimum_required(VERSION 3.16)
project(game C)
set(EVENTLOG_LUA %s)
add_subdirectory("%s" eventlog)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET %s)
add_executable(game main.c)
target_link_libraries(game PRIVATE eventlog::lua PkgConfig::LUA)
]], cmake_lua, root, lua))
    write(dir .. "/main.c", [[
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int luaopen_eventlog_core(lua_State *L);

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_eventlog_core);
  lua_setfield(L, -2, "eventlog.core");
  if (luaL_loadfile(L, argv[1]) != 0) return 1;
  lua_pushstring(L, argv[argc - 1]);
  if (lua_pcall(L, 1, 0, 0) != 0) {
    printf("%s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_close(L);
  return 0;
}
]])
    write(dir .. "/program.lua", string.format(
      "package.path = %q; package.cpath = ''\n%s",
      root .. "/lua/?.lua;" .. root .. "/lua/?/init.lua", PROGRAM))
    sh("cd %s && { cmake -S . -B build && cmake --build build -j2 --target game; } 2>&1",
      dir)
    assert.equal(EXPECTED, with_server(dir .. "/build/game " .. dir .. "/program.lua"))
    -- The host's own install lays down nothing of ours.
    sh("cd %s && { cmake --build build && cmake --install build --prefix p; } 2>&1", dir)
    assert.equal("", sh("find %s/p -type f 2>/dev/null || :", dir))
  end)
end)
