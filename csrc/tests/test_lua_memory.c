/* The binding, and the library above it, where memory is short: a Lua whose
 * allocator refuses, and a core whose malloc does while Lua's own goes on.
 * What is done meanwhile is in lua_memory.lua. */
#include "allocator.h"
#include "fake_redis.h"
#include "test_support.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int luaopen_eventlog_core(lua_State *L);

/* --- Lua's memory -------------------------------------------------------- */

static size_t lua_live;
static long until_refused = -1, to_refuse, refused;

static int refuse(void) {
  if (until_refused < 0) return 0;
  if (until_refused > 0) {
    until_refused--;
    return 0;
  }
  refused++;
  if (--to_refuse == 0) until_refused = -1;
  return 1;
}

/* Only what asks for more may be refused. */
static void *allocate(void *ud, void *p, size_t before, size_t size) {
  void *moved = NULL;

  (void)ud;
  if (p == NULL) before = 0;
  if (size > before && refuse()) return NULL;
  moved = allocator_pass(p, size);
  if (moved != NULL || size == 0) lua_live += size - before;
  return moved;
}

/* --- what the script finds ----------------------------------------------- */

/* refuse_lua(n, count), refuse_core(n, count): from the nth allocation on, so
 * many */
static int refuse_lua(lua_State *L) {
  refused = 0;
  to_refuse = (long)luaL_checkinteger(L, 2);
  until_refused = (long)luaL_checkinteger(L, 1);
  return 0;
}

static int refuse_core(lua_State *L) {
  allocator_refuse((long)luaL_checkinteger(L, 1),
                   (long)luaL_checkinteger(L, 2));
  return 0;
}

/* relent() -> how many were refused since */
static int relent(lua_State *L) {
  long of_core = allocator_relent();

  until_refused = -1;
  lua_pushinteger(L, refused + of_core);
  refused = 0;
  return 1;
}

/* wait(fd, mode, seconds) -> true: a driver that is the server meanwhile */
static int wait_and_serve(lua_State *L) {
  fake_redis_serve();
  lua_pushboolean(L, 1);
  return 1;
}

/* live() -> bytes of the core's */
static int live(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)allocator_live());
  return 1;
}

/* lowest_fd() -> the lowest descriptor that is free */
static int lowest_fd(lua_State *L) {
  int fd;

  fake_redis_serve(); /* drops who has left */
  fd = dup(0);
  close(fd);
  lua_pushinteger(L, fd);
  return 1;
}

static lua_State *start(void) {
  lua_State *L = lua_newstate(allocate, NULL);

  assert_non_null(L);
  luaL_openlibs(L);
  return L;
}

/* --- tests --------------------------------------------------------------- */

static char path[100];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/eventlog-test-%d.sock", (int)getpid());
  fake_redis_start(path);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  fake_redis_stop();
  return 0;
}

static int open_core(lua_State *L) {
  luaL_requiref(L, "eventlog.core", luaopen_eventlog_core, 0);
  return 0;
}

/* A Lua of its own for each allocation. */
static void the_module_opens_or_says_no_memory(void **state) {
  long n, before = (long)allocator_live();

  (void)state;
  for (n = 0, refused = 1; refused > 0; n++) {
    lua_State *L = start();
    int status;

    refused = 0;
    to_refuse = -1; /* all */
    until_refused = n;
    lua_pushcfunction(L, open_core);
    status = lua_pcall(L, 0, 0, 0);
    until_refused = -1;
    assert_int_equal(status, refused > 0 ? LUA_ERRMEM : LUA_OK);
    lua_close(L);
    assert_int_equal(lua_live, 0);
    assert_int_equal(allocator_live(), before);
  }
  assert_true(n > 50);
}

/* function(memory, path, lua_dir) of the script */
static void run(const char *function) {
  static const luaL_Reg functions[] = {
      {"refuse_lua", refuse_lua},
      {"refuse_core", refuse_core},
      {"relent", relent},
      {"wait", wait_and_serve},
      {"live", live},
      {"lowest_fd", lowest_fd},
      {NULL, NULL},
  };
  size_t before = allocator_live();
  lua_State *L = start();

  luaL_requiref(L, "eventlog.core", luaopen_eventlog_core, 0);
  if (luaL_dofile(L, SCRIPT) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  lua_getfield(L, -1, function);
  luaL_newlib(L, functions);
  lua_pushstring(L, path);
  lua_pushstring(L, LUA_DIR);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
  lua_close(L);
  assert_int_equal(lua_live, 0);
  assert_int_equal(allocator_live(), before);
}

static void the_library_loads_or_says_no_memory(void **state) {
  (void)state;
  run("load");
}

static void the_binding_survives_refused_memory(void **state) {
  (void)state;
  run("binding");
}

static void a_request_keeps_little(void **state) {
  (void)state;
  run("wide_entry");
}

static void the_library_survives_refused_memory(void **state) {
  (void)state;
  run("library");
}

static void a_driver_loads_or_says_no_memory(void **state) {
  (void)state;
  run("driver");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_module_opens_or_says_no_memory),
      cmocka_unit_test_setup_teardown(the_library_loads_or_says_no_memory,
                                      setup, teardown),
      cmocka_unit_test_setup_teardown(the_binding_survives_refused_memory,
                                      setup, teardown),
      cmocka_unit_test(a_request_keeps_little),
      cmocka_unit_test_setup_teardown(the_library_survives_refused_memory,
                                      setup, teardown),
      cmocka_unit_test(a_driver_loads_or_says_no_memory),
  };
  return cmocka_run_group_tests_name("lua_memory", tests, NULL, NULL);
}
