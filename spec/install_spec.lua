--- What `cmake --install` gives a program in C or C++: the header, the static libraries,
--- and what find_package(eventlog) and pkg-config need to find them.

local redis = require "spec.support.redis"

local sh, quote = redis.sh, redis.quote

local root = sh("pwd")
local is_jit = rawget(_G, "jit") ~= nil
local version = _VERSION:match("%d+%.%d+")
local cmake_lua = is_jit and "jit" or version
local lua_name = is_jit and "luajit" or "lua" .. version -- of packages and components

local dir, prefix, server

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

--- Builds for this Lua and installs below the prefix.
local function install(lua)
  sh("{ cmake -S . -B %s/%s -DEVENTLOG_LUA=%s && cmake --build %s/%s -j2 && " ..
    "cmake --install %s/%s --prefix %s; } 2>&1", dir, lua, lua, dir, lua, dir, lua, prefix)
end

setup(function()
  dir = sh("mktemp -d")
  -- Moved after it was installed: no file has the path of the prefix in it.
  prefix = dir .. "/before"
  install(cmake_lua)
  sh("mv %s/before %s/prefix", dir, dir)
  prefix = dir .. "/prefix"
  server = redis.start()
end)

teardown(function()
  server:stop()
  sh("rm -rf %s", dir)
end)

before_each(function() server:cli("FLUSHALL") end)

--- What pkg-config says of eventlog, for a compiler.
local function flags()
  return sh("env PKG_CONFIG_PATH=%s/lib/pkgconfig pkg-config --cflags --libs eventlog", prefix)
end

--- Runs examples/c_core twice: what it prints the second time.
local function run_c_core(program)
  local function run(name, value)
    return sh("%s %s 'a log' %s %s 2>&1", program, server.url, name, quote(value))
  end
  assert.matches("^%d+%-%d+ word=hello$", run("word", "hello"))
  return run("n", "19.8")
end

local PRINTED = "^%d+%-%d+ word=hello\n%d+%-%d+ n=19%.8$"

--- A project that finds the installed eventlog: configures and builds it. Returns where
--- it was built.
local function build_project(name, source, options)
  local where = dir .. "/" .. name
  sh("{ cmake -S %s -B %s -DCMAKE_PREFIX_PATH=%s %s && cmake --build %s; } 2>&1", source, where,
    prefix, options or "", where)
  return where
end

--- The files of a project that embeds a Lua, of a package of pkg-config, with the
--- installed binding in it; what it prints is the module's version, or what was raised.
local function write_embedder(name, lua_package, language, component)
  local where = dir .. "/" .. name
  sh("mkdir -p %s", where)
  write(where .. "/CMakeLists.txt", string.format([[
cmake_minimum_required(VERSION 3.16)
project(host LANGUAGES %s)
find_package(eventlog REQUIRED COMPONENTS %s)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET %s)
add_executable(host main.%s)
target_link_libraries(host PRIVATE eventlog::lua PkgConfig::LUA)
]], language, component, lua_package, language == "C" and "c" or "cpp"))
  write(where .. "/main." .. (language == "C" and "c" or "cpp"), [[
#include <eventlog.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
int luaopen_eventlog_core(lua_State *L);
#ifdef __cplusplus
}
#endif

static const char program[] =
  "local core = ...\n"
  "for i = 1, 100 do\n"
  "  local ok, why = pcall(core.decoder, -1)\n" /* an error through the binding */
  "  assert(not ok and why:find 'out of range', why)\n"
  "end\n"
  "return core.VERSION";

int main(void) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_loadstring(L, program) != 0) return 1;
  lua_pushcfunction(L, luaopen_eventlog_core);
  if (lua_pcall(L, 0, 1, 0) == 0) lua_pcall(L, 1, 1, 0);
  printf("%s %s\n", lua_tostring(L, -1), evl_strerror(EVL_OK));
  lua_close(L);
  return 0;
}
]])
  return where
end

local VERSION = require "eventlog.core".VERSION

describe("an install", function()
  it("has one header, the libraries, and what finds them", function()
    local files = sh("cd %s && find include lib -type f | grep -v '^lib/lua/' | sort", prefix)
    local function cmake(name) return "lib/cmake/eventlog/" .. name .. "\n" end
    assert.equal("include/eventlog.h\n" .. cmake("eventlog-core-release.cmake") ..
      cmake("eventlog-core.cmake") .. cmake("eventlog-" .. lua_name .. "-release.cmake") ..
      cmake("eventlog-" .. lua_name .. ".cmake") .. cmake("eventlogConfig.cmake") ..
      cmake("eventlogConfigVersion.cmake") .. "lib/libeventlog.a\nlib/libeventlog_" .. lua_name ..
      ".a\nlib/pkgconfig/eventlog.pc", files)
    assert.equal("", sh("grep -rlF %s %s %s | grep -v '[.]so$\\|[.]a$' || :", "-e " .. root,
      "-e " .. dir, prefix))
  end)

  it("is found by find_package(eventlog): a program in C", function()
    local where = build_project("c_core", "examples/c_core")
    assert.matches(PRINTED, run_c_core(where .. "/c_core"))
  end)

  it("is found by pkg-config: a program in C", function()
    sh("cc -std=c99 -Wall -Wextra -pedantic -Werror examples/c_core/main.c %s -o %s/by_pc",
      flags(), dir)
    assert.matches(PRINTED, run_c_core(dir .. "/by_pc"))
    assert.equal(VERSION, sh("env PKG_CONFIG_PATH=%s/lib/pkgconfig pkg-config --modversion " ..
      "eventlog", prefix))
  end)

  it("has a header that is C++, too, and a library that a program in C++ links", function()
    for _, standard in ipairs { "c++11", "c++20" } do
      sh("c++ -std=%s -Wall -Wextra -pedantic -Werror -x c++ examples/c_core/main.c -x none " ..
        "%s -o %s/cxx", standard, flags(), dir)
    end
    assert.matches(PRINTED, run_c_core(dir .. "/cxx"))
  end)

  it("has a binding for a program that embeds Lua", function()
    local source = write_embedder("embedder", lua_name, "C", lua_name)
    local where = build_project("embedder/build", source)
    assert.equal(VERSION .. " ok", sh("%s/host", where))
  end)

  it("has a binding that a program in C++ links", function()
    local source = write_embedder("embedder_cxx", lua_name, "CXX", lua_name)
    assert.equal(VERSION .. " ok", sh("%s/host", build_project("embedder_cxx/build", source)))
  end)

  -- Debian's, if its functions have C names, as all of Debian 12's have, and on Debian
  -- 13 those of 5.1 and 5.3. LuaJIT cannot be compiled as C++.
  if not is_jit and sh("nm -D $(cc -print-file-name=lib%s-c++.so) | " ..
    "grep -c ' T lua_tolstring' || :", lua_name) ~= "0" then
    it("has a binding that a Lua that throws C++ exceptions can use", function()
      local source = write_embedder("thrower", lua_name .. "-c++", "CXX", lua_name)
      assert.equal(VERSION .. " ok", sh("%s/host", build_project("thrower/build", source)))
    end)
  end

  it("has a module that refuses a Lua with C++ names, and says how to compile that", function()
    write(dir .. "/mangled.cpp", [[
#include <cstdio>
#include <dlfcn.h>
struct lua_State;
int luaL_error(lua_State *, const char *why, ...) { throw why; }
int main(int, char **argv) {
  void *module = dlopen(argv[1], RTLD_NOW);
  if (module == NULL) return std::puts(dlerror()), 1;
  try {
    reinterpret_cast<int (*)(lua_State *)>(dlsym(module, "luaopen_eventlog_core"))(NULL);
    std::puts("loaded");
  } catch (const char *why) { std::puts(why); }
}
]])
    sh("c++ -rdynamic %s/mangled.cpp -o %s/mangled -ldl", dir, dir)
    assert.matches("compile Lua as C, or as C++ with LUA_API defined as extern \"C\"",
      sh("%s/mangled %s/lib/lua/%s/eventlog/core.so 2>&1", dir, prefix, version), 1, true)
    -- No function of Lua's is missing in the list of weak ones (lua_compat.h).
    assert.equal("", sh("nm -D --undefined-only %s/lib/lua/%s/eventlog/core.so | " ..
      "grep ' U lua' || :", prefix, version))
  end)

  it("names the Luas that it has no binding for", function()
    local other = cmake_lua == "5.3" and "lua5.1" or "lua5.3"
    local source = write_embedder("stranger", lua_name, "C", other)
    local complaint = sh("! cmake -S %s -B %s/build -DCMAKE_PREFIX_PATH=%s 2>&1", source, source,
      prefix)
    assert.matches("the binding for " .. other .. " is not installed", complaint, 1, true)
  end)

  it("says that hiredis is missing", function()
    local complaint = sh("! cmake -S examples/c_core -B %s/none -DCMAKE_PREFIX_PATH=%s " ..
      "-DCMAKE_FIND_ROOT_PATH=%s -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY 2>&1", dir, prefix, dir)
    assert.matches("libhiredis-dev", complaint, 1, true)
  end)

  it("takes another Lua's binding beside the first one", function()
    local other = cmake_lua == "5.3" and "5.1" or "5.3"
    install(other)
    for _, name in ipairs { lua_name, "lua" .. other } do
      local source = write_embedder("both_" .. name, name, "C", name)
      local where = build_project("both_" .. name .. "/build", source)
      assert.equal(VERSION .. " ok", sh("%s/host", where))
    end
  end)
end)
