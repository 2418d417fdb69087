--- Has the collector work all the time, so that what nobody holds is gone at
--- once. For a whole run of the specs, and the processes that they start:
---   LUA_INIT=@spec/support/gc_stress.lua  with EVENTLOG_GC=generational for minor
---   collections of Lua 5.4, each after a few kilobytes; else full ones, one
---   behind the other

if os.getenv "EVENTLOG_GC" == "generational" and _VERSION == "Lua 5.4" then
  collectgarbage("generational", 1, 20)
else
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 1000)
end
