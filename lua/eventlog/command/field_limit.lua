--- How many fields an entry may have to go through a script: unpack() in Redis's Lua
--- gives up near 8000 values. An entry that goes through none has no limit of its own.
return 3900
