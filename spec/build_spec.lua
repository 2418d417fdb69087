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

local function load_rockspec(path)
  local rockspec = {}
  local chunk
  if setfenv then
    chunk = setfenv(assert(loadfile(path)), rockspec)
  else
    chunk = assert(loadfile(path, "t", rockspec))
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
  sh("mkdir %s/src && cp -r CMakeLists.txt CHANGELOG.md LICENSE README.md csrc examples " ..
    "lua rockspec script %s/src", dir, dir)
  return dir .. "/src"
end

--- luarocks for this Lua and this tree. It gets a proxy that nobody listens at:
--- whoever asks the network fails.
local function luarocks(dir, tree)
  return string.format("HOME=%s http_proxy=http://127.0.0.1:1 " ..
    "https_proxy=http://127.0.0.1:1 luarocks --lua-version %s --tree %s", dir,
    lua_version, tree)
end

--- What a command that fails says.
local function complaint(format, ...)
  return sh("! { %s; } 2>&1", string.format(format, ...))
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
  -- What is built here, or refused, is the same whichever Lua runs this.
  local once = _VERSION == "Lua 5.4" and it or function() end

  local sources = words(sh("find csrc/codec csrc/io csrc/binding -name '*.c'"))
  local modules = words(sh("find lua -name '*.lua'"))

  it("names each C source in CMakeLists.txt", function()
    local lists = ""
    for list in read("CMakeLists.txt"):gmatch("set%(%w+_sources(.-)%)") do
      lists = lists .. list
    end
    assert.same(sources, words(lists))
  end)

  it("names each C source and each Lua module in the rockspec", function()
    local rock = load_rockspec(ROCKSPEC).build.modules
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
    local version = read("csrc/include/eventlog.h"):match('#define EVL_VERSION "(.-)"')
    assert.equal("eventlog " .. version, require "eventlog"._VERSION)
    -- A released version stands in the changelog, too: that is history.
    assert.equal("./csrc/include/eventlog.h:1", sh("grep -rcwF --exclude-dir=.git " ..
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
    sh("cd %s && %s make %s 2>&1", copy_sources(dir), luarocks(dir, dir .. "/tree"),
      ROCKSPEC)
    assert.equal(EXPECTED, run_in(dir .. "/tree"))
  end)

  it("lays a tree that works, anywhere: luarocks install of script/rock's rock", function()
    local dir = temporary_directory()
    sh("cd %s && : >csrc/io/left.o && script/rock %s", copy_sources(dir), dir)
    sh("rm -r %s/src", dir)
    sh("cd / && %s install %s/eventlog-*-1.src.rock 2>&1", luarocks(dir, dir .. "/tree"), dir)
    assert.equal(EXPECTED, run_in(dir .. "/tree"))
    assert.equal("", sh("unzip -p %s/*.src.rock '*.tar.gz' | tar -tzf - | grep '[.]o$' || :",
      dir))
  end)

  it("makes a release's rockspec, of the scm one, with a repository's tag", function()
    local dir = temporary_directory() .. "/made"
    sh("script/rock %s https://git.example.org/owner/eventlog.git", dir)
    local version = require "eventlog.core".VERSION
    local release = load_rockspec(dir .. "/eventlog-" .. version .. "-1.rockspec")
    assert.same({ url = "git+https://git.example.org/owner/eventlog.git",
      tag = "v" .. version }, release.source)
    assert.equal(version .. "-1", release.version)
    local scm = load_rockspec(ROCKSPEC)
    release.source, release.version, scm.source, scm.version = nil, nil, nil, nil
    assert.same(scm, release)
    assert.matches("begins with https://", complaint("script/rock %s %s", dir, dir), 1, true)
  end)

  once("admits the same Luas with luarocks and with CMake", function()
    local constraints = load_rockspec(ROCKSPEC).dependencies[1]
    for minor = 0, 6 do
      local admitted = true
      for operator, bound in constraints:gmatch("([<>=~]+) 5%.(%d)") do
        bound = tonumber(bound)
        if operator == ">=" then admitted = admitted and minor >= bound
        elseif operator == "<" then admitted = admitted and minor < bound
        elseif operator == "~=" then admitted = admitted and minor ~= bound
        else error(operator) end
      end
      assert.equal(minor == 1 or minor == 3 or minor == 4, admitted, "5." .. minor)
      if not admitted then
        assert.matches("must be 5.4, 5.3, 5.1 or jit", complaint(
          "cmake -S . -B %s -DEVENTLOG_LUA=5.%d", temporary_directory(), minor), 1, true)
      end
    end
  end)

  once("looks for the headers anew if another Lua is asked for", function()
    local dir = temporary_directory()
    local function flags(lua)
      sh("cmake -S . -B %s -DEVENTLOG_LUA=%s 2>&1", dir, lua)
      return read(dir .. "/CMakeFiles/eventlog_lua.dir/flags.make")
    end
    for _, lua in ipairs { "5.4", "5.1", "jit", "5.3" } do
      local name = lua == "jit" and "luajit" or "lua" .. lua
      local include = sh("pkg-config --cflags-only-I %s", name):match("%-I(%S+)")
      assert.matches(include .. " ", flags(lua), 1, true)
    end
  end)

  once("names Debian's package if headers are missing", function()
    local dir = temporary_directory()
    for lua, package in pairs { ["5.4"] = "liblua5.4-dev", ["5.3"] = "liblua5.3-dev",
      ["5.1"] = "liblua5.1-0-dev", jit = "libluajit-5.1-dev" } do
      assert.matches(package, complaint("env PKG_CONFIG_LIBDIR=%s PKG_CONFIG_PATH= " ..
        "cmake -S . -B %s/%s -DEVENTLOG_LUA=%s", dir, dir, lua, lua), 1, true)
    end
    assert.matches("libhiredis-dev", complaint("cmake -S . -B %s/none " ..
      "-DHIREDIS_LIBRARY=HIREDIS_LIBRARY-NOTFOUND -DCMAKE_FIND_LIBRARY_SUFFIXES=.none", dir),
      1, true)
  end)

  once("refuses headers of another Lua than EVENTLOG_LUA", function()
    local include = sh("pkg-config --cflags-only-I lua5.4"):match("%-I(%S+)")
    assert.matches("lua.h is of Lua 5%.4, and EVENTLOG_LUA is\n? *5%.1", complaint(
      "cmake -S . -B %s -DEVENTLOG_LUA=5.1 -DEVENTLOG_LUA_INCLUDE_DIR=%s",
      temporary_directory(), include))
  end)

  it("makes a module that another Lua refuses by name", function()
    local dir = temporary_directory()
    write(dir .. "/load.lua", [[
      local ok, core = pcall(require, "eventlog.core")
      print(ok and "eventlog " .. core.VERSION or core) ]])
    local function try(interpreter, before)
      return sh("env -u LUA_CPATH_5_3 -u LUA_CPATH_5_4 LUA_CPATH='%s/build/lib/?.so' %s %s %s",
        dir, before or "", interpreter, dir .. "/load.lua")
    end
    sh("{ cmake -S . -B %s/build -DEVENTLOG_LUA=%s && " ..
      "cmake --build %s/build -j2 --target eventlog_module; } 2>&1", dir, cmake_lua, dir)
    local versions = { ["lua5.4"] = "5.4", ["lua5.3"] = "5.3", ["lua5.1"] = "5.1",
      luajit = "5.1" }
    for interpreter, version in pairs(versions) do
      local answer = try(interpreter)
      if version == lua_version then
        assert.equal(require "eventlog"._VERSION, answer)
      else
        assert.matches(string.format("^eventlog%%.core.* is built for Lua %s, and this is " ..
          "Lua %s[^\n]*: build it for this one, with luarocks %%-%%-lua%%-version %s make " ..
          "or cmake %%-DEVENTLOG_LUA=%s$", lua_version, version, version, version), answer)
      end
    end
    -- A Lua to come, which has a function of 5.5's.
    write(dir .. "/to_come.c", "void lua_pushexternalstring(void) {}\n")
    sh("cc -shared -fPIC -o %s/to_come.so %s/to_come.c", dir, dir)
    assert.matches("this is Lua 5.5: eventlog runs on Lua 5.1, 5.3, 5.4 and LuaJIT",
      try(helper.lua, "LD_PRELOAD=" .. dir .. "/to_come.so"), 1, true)
  end)

  once("works in a copied checkout, and when two begin at once: script/build", function()
    local dir = temporary_directory()
    local src = copy_sources(dir)
    local build = "script/build first eventlog_module -DEVENTLOG_LUA=" .. cmake_lua
    sh("cd %s && { %s >one 2>&1 & %s >two 2>&1; rc=$?; wait $! && [ $rc = 0 ]; } || " ..
      "{ cat one two; exit 1; }", src, build, build)
    sh("cp -r %s %s/copy && cd %s/copy && %s 2>&1", src, dir, dir, build)
    for _, copy in ipairs { "src", "copy" } do
      assert.equal("CMAKE_HOME_DIRECTORY:INTERNAL=" .. dir .. "/" .. copy, sh(
        "grep ^CMAKE_HOME_DIRECTORY: %s/%s/build/first/CMakeCache.txt", dir, copy))
    end
  end)

  it("leaves nothing that git would take for a source", function()
    local dir = temporary_directory()
    sh("git -C %s init -q 2>&1 && cp .gitignore %s", dir, dir)
    for _, path in ipairs { "build/5.4/lib/eventlog/core.so", "examples/game_server/build/x",
      "eventlog/core.so", "csrc/codec/id.o", "eventlog-0-1.src.rock" } do
      assert.equal(path, sh("git -C %s check-ignore %s", dir, path))
    end
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
