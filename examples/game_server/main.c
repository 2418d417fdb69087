/* A game server: a loop that ticks 60 times a second, with Lua 5.4 and eventlog
 * in it.
 *
 * A frame runs the game's tick() to its end, and nothing in it ever waits. What
 * has to wait for Redis is a task: a coroutine, which eventlog's wait function
 * suspends with coroutine.yield(fd, mode, timeout). Where others would sleep
 * until the next frame, this loop polls the descriptors of all tasks, and goes
 * on with those that are ready.
 *
 * usage: game_server [url [ticks]]     ends after so many ticks, or on SIGTERM
 */
#define _XOPEN_SOURCE 700

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* eventlog's C module is linked in, from the target eventlog::lua. */
int luaopen_eventlog_core(lua_State *L);

static const double FRAME = 1.0 / 60; /* seconds */

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

static double now(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- tasks --------------------------------------------------------------- */

enum { TASKS_MAX = 64 };

/* A task and what it waits for have the same index. */
static struct task {
  lua_State *thread; /* NULL: a free place */
  int ref;           /* keeps the thread from the garbage collector */
  double until;
} tasks[TASKS_MAX];
static struct pollfd waiting[TASKS_MAX]; /* fd -1: poll() passes over it */

/* Goes on with a task until it waits again or ends. Its error is raised here:
 * this game gives up on one. */
static void task_resume(lua_State *L, int i, int argc) {
  struct task *task = &tasks[i];
  lua_State *thread = task->thread;
  int count, status;

  waiting[i].fd = -1;
  waiting[i].revents = 0;
  status = lua_resume(thread, L, argc, &count);
  if (status == LUA_YIELD) { /* with fd, mode, timeout */
    const char *mode = lua_tostring(thread, -2);
    waiting[i].fd = (int)lua_tointeger(thread, -3);
    waiting[i].events = mode != NULL && *mode == 'w' ? POLLOUT : POLLIN;
    task->until =
        lua_isnil(thread, -1) ? HUGE_VAL : now() + lua_tonumber(thread, -1);
    lua_pop(thread, count);
    return;
  }
  if (status != LUA_OK) {
    lua_xmove(thread, L, 1);
    if (lua_type(L, -1) == LUA_TSTRING)
      luaL_traceback(L, thread, lua_tostring(L, -1), 0);
  }
  task->thread = NULL;
  luaL_unref(L, LUA_REGISTRYINDEX, task->ref);
  if (status != LUA_OK) lua_error(L);
}

/* spawn(f): starts a task that calls f. Returns when it waits, or has ended. */
static int host_spawn(lua_State *L) {
  int i = 0;

  luaL_checktype(L, 1, LUA_TFUNCTION);
  while (i < TASKS_MAX && tasks[i].thread != NULL)
    i++;
  if (i == TASKS_MAX) return luaL_error(L, "more than %d tasks", TASKS_MAX);
  tasks[i].thread = lua_newthread(L);
  tasks[i].ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  lua_xmove(L, tasks[i].thread, 1);
  task_resume(L, i, 0);
  return 0;
}

/* The end of a frame: instead of a sleep until the next one, one poll() for all
 * that tasks wait for. A wait whose time is over ends at most a frame late. */
static void tasks_run_until(lua_State *L, double next) {
  double left;
  int i;

  do {
    left = next - now();
    poll(waiting, TASKS_MAX, left > 0 ? (int)ceil(left * 1000) : 0);
    for (i = 0; i < TASKS_MAX; i++) {
      int ready = waiting[i].revents != 0;
      if (waiting[i].fd < 0 || (!ready && now() < tasks[i].until)) continue;
      lua_pushboolean(tasks[i].thread, ready);
      task_resume(L, i, 1);
    }
  } while (now() < next);
}

/* --- the game ------------------------------------------------------------ */

static int host_now(lua_State *L) {
  lua_pushnumber(L, now());
  return 1;
}

/* Leaves on the stack what game.lua returns. It gets the url and the functions
 * above. */
static void load_game(lua_State *L, const char *url) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_eventlog_core);
  lua_setfield(L, -2, "eventlog.core");
  lua_getglobal(L, "package");
  lua_pushstring(L, GAME_LUA_DIR "/?.lua;" GAME_LUA_DIR "/?/init.lua");
  lua_setfield(L, -2, "path");
  lua_pushstring(L, ""); /* no C module comes from outside */
  lua_setfield(L, -2, "cpath");

  lua_settop(L, 0);
  if (luaL_loadfile(L, GAME_SCRIPT) != LUA_OK) lua_error(L);
  lua_newtable(L);
  lua_pushstring(L, url);
  lua_setfield(L, -2, "url");
  lua_pushcfunction(L, host_spawn);
  lua_setfield(L, -2, "spawn");
  lua_pushcfunction(L, host_now);
  lua_setfield(L, -2, "now");
  lua_pushinteger(L, (lua_Integer)getpid());
  lua_setfield(L, -2, "pid");
  lua_call(L, 1, 1);
}

/* How often this process went to sleep until something happened. */
static long sleeps(void) {
  struct rusage usage;

  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nvcsw;
}

/* run(url, ticks): the loop. Ends when the game says that it is over, which it
 * is asked for by tick(n, true). */
static int run(lua_State *L) {
  const char *url = lua_touserdata(L, 1);
  long ticks = (long)lua_tointeger(L, 2), n = 0, slept = 0;
  double next, longest = 0;
  clock_t longest_cpu = 0; /* without what others did on this processor */
  int over = 0;

  load_game(L, url);
  next = now();
  while (!over) {
    double start = now(), took;
    long before = sleeps();
    clock_t cpu = clock();

    if (start - next > 0.25) next = start; /* too late to catch up */
    n++;
    lua_getfield(L, 1, "tick");
    lua_pushinteger(L, n);
    lua_pushboolean(L, stopping || (ticks > 0 && n > ticks));
    lua_call(L, 2, 1);
    over = lua_toboolean(L, -1);
    lua_pop(L, 1);
    slept += sleeps() != before;
    took = now() - start;
    cpu = clock() - cpu;
    if (took > longest) longest = took;
    if (cpu > longest_cpu) longest_cpu = cpu;

    next += FRAME;
    tasks_run_until(L, next);
  }
  lua_getfield(L, 1, "close");
  lua_call(L, 0, 0);
  printf("report frames count=%ld slept_in=%ld longest_ms=%.3f "
         "longest_cpu_ms=%.3f\n",
         n, slept, longest * 1000, (double)longest_cpu * 1000 / CLOCKS_PER_SEC);
  return 0;
}

/* An error that is no string is one for people, and says all in a line. */
static int add_traceback(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    luaL_tolstring(L, 1, NULL);
    return 1;
  }
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

int main(int argc, char **argv) {
  struct sigaction action = {0};
  lua_State *L = luaL_newstate();
  int i, status;

  if (L == NULL) return EXIT_FAILURE;
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  for (i = 0; i < TASKS_MAX; i++)
    waiting[i].fd = -1;

  luaL_openlibs(L);
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, argc > 1 ? argv[1] : NULL);
  lua_pushinteger(L, argc > 2 ? atol(argv[2]) : 0);
  status = lua_pcall(L, 2, 0, 1);
  if (status != LUA_OK)
    fprintf(stderr, "game_server: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
