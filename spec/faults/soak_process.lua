--- The processes of a soak: what starts them, and what they have in common.

local core = require "eventlog.core"
local redis = require "spec.support.redis"

local M = {}

-- --- the conductor's side ---------------------------------------------------

local Process = {}
Process.__index = Process

--- A value as Lua source: of strings, numbers, booleans and tables.
local function source(value)
  if type(value) ~= "table" then
    return type(value) == "string" and string.format("%q", value) or tostring(value)
  end
  local parts = {}
  for k, v in pairs(value) do
    parts[#parts + 1] = "[" .. source(k) .. "] = " .. source(v)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- Makes one that start() starts: a directory of its own, with its journal and
--- what it prints.
---@param work string directory
---@param name string
---@param lua table program; cpath
---@param script string
---@param config table
function M.new(work, name, lua, script, config)
  local dir = work .. "/" .. name
  redis.sh("mkdir -p %s", dir)
  config.name, config.journal = name, dir .. "/journal"
  return setmetatable({
    name = name, dir = dir, lua = lua, script = script, config = config, life = 0,
  }, Process)
end

--- Starts it, again perhaps.
function Process:start()
  self.life = self.life + 1
  self.config.life = self.life
  local file = assert(io.open(self.dir .. "/config.lua", "w"))
  assert(file:write("return ", source(self.config), "\n"))
  assert(file:close())
  self.pid = tonumber(redis.sh("LUA_CPATH=%s %s spec/faults/%s %s >>%s/out 2>&1 " ..
    "</dev/null & echo $! | tee %s/pid", redis.quote(self.lua.cpath), self.lua.program,
    self.script, self.dir .. "/config.lua", self.dir, self.dir))
end

--- Whether it runs: a zombie that nobody reaps has no command line, and another one
--- that got its pid has not ours.
function Process:is_running()
  local file = io.open("/proc/" .. self.pid .. "/cmdline", "rb")
  if not file then return false end
  local line = file:read("*a") or ""
  file:close()
  return line:find(self.dir, 1, true) ~= nil
end

function Process:signal(name)
  redis.sh("kill -%s %d 2>/dev/null || :", name, self.pid)
end

--- Ends it at once, and waits for that.
function Process:kill()
  if self:is_running() then self:signal("KILL") end
  for _ = 1, 500 do
    if not self:is_running() then
      os.remove(self.dir .. "/pid") -- soon it may be another one's
      return
    end
    core.wait(-1, "r", 0.01)
  end
  error(self.name .. " cannot be killed")
end

-- --- the processes' side ----------------------------------------------------

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- A function that says whether a file is there; it looks now and then.
function M.watch(path)
  local found, next_look = false, 0
  return function()
    if not found and core.now() >= next_look then
      next_look = core.now() + 0.1
      found = exists(path)
    end
    return found
  end
end

--- How many bytes an entry carries along: few, as a rule.
local function size_of(unit, i)
  if i == 1 and unit % 97 == 0 then return 70000 end
  if unit % 23 == 0 then return 2000 end
  return (unit * 7 + i * 13) % 60
end

local function pad_of(at, unit, i)
  local size = size_of(unit, i)
  local text = at .. "\r\n\0$-1*"
  return text:rep(math.ceil(size / #text)):sub(1, size)
end

--- The i-th of n entries of a writer's unit.
function M.entry(writer, unit, i, n)
  local at = string.format("%s:%d:%d:%d", writer, unit, i, n)
  if unit % 5 == 0 then return { { "at", at }, { "pad", pad_of(at, unit, i) } } end
  return { at = at, pad = pad_of(at, unit, i) }
end

--- Whether an entry that came is whole.
function M.is_whole(fields)
  local unit, i = (fields.at or ""):match("^[^:]+:(%d+):(%d+):")
  if not unit then return false end
  return not fields.pad or fields.pad == pad_of(fields.at, tonumber(unit), tonumber(i))
end

--- Runs main(), and notes what it raised.
---@param journal table
---@param main function
function M.run(journal, main)
  local ok, why = xpcall(main, function(why)
    return debug.traceback(tostring(why), 2)
  end)
  if not ok then
    io.stderr:write(why, "\n")
    journal:write("broke", why)
    os.exit(1)
  end
  journal:write("done")
end

return M
