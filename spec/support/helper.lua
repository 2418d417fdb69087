--- What every spec finds: the Lua we are in, and a way to run programs in
--- other processes of it.

local redis = require "spec.support.redis"

local M = {}

local first = 0
while arg and arg[first - 1] do first = first - 1 end
--- The command: "lua5.4", "luajit", ...
M.lua = (arg and arg[first]) or "lua"

--- Whether yields pass iterators, metamethods and pcall: not in PUC Lua 5.1.
M.yields_anywhere = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local Process = {}
Process.__index = Process

-- So that what hangs is ended, and fails its spec.
local SECONDS = 100

--- Starts a program, the text `source`, which finds the arguments in `...` and
--- loads what this process loads. Both its outputs are read with line() and
--- finish(). What we ignore of signals it does not.
function M.spawn(source, ...)
  local file = os.tmpname()
  local out = assert(io.open(file, "w"))
  -- In the program's first line, so that its line numbers stay true.
  out:write(string.format("package.path, package.cpath = %q, %q; ",
    package.path, package.cpath), 'io.stdout:setvbuf("line"); ', source)
  out:close()
  local words = { M.lua, file }
  for i = 1, select("#", ...) do
    words[#words + 1] = tostring((select(i, ...)))
  end
  for i, word in ipairs(words) do words[i] = redis.quote(word) end
  local pipe = assert(io.popen(string.format(
    "timeout -k 1 %d sh -c 'echo $$; exec \"$@\" 2>&1' sh " ..
    "env --default-signal=INT,PIPE %s; echo \"exit $?\"",
    SECONDS, table.concat(words, " "))))
  return setmetatable({
    file = file, pipe = pipe, pid = tonumber(pipe:read("*l")),
  }, Process)
end

--- The next line that it writes.
function Process:line()
  return self.pipe:read("*l")
end

--- Sends it a signal, such as "INT".
function Process:signal(name)
  redis.sh("kill -%s %d", name, self.pid)
end

--- Waits for its end; the rest of what it wrote, and its exit status.
function Process:finish()
  local output, status = self.pipe:read("*a"):match("^(.-)exit (%d+)\n$")
  self.pipe:close()
  os.remove(self.file)
  return output, tonumber(status)
end

--- Runs a program to its end; what it wrote. Fails where the program does.
function M.run(source, ...)
  local output, status = M.spawn(source, ...):finish()
  if status ~= 0 then
    error("the program ended with status " .. status .. ":\n" .. output, 2)
  end
  return output
end

--- Asks until the answer is a true one, and returns it, or the last answer
--- after 10 s: for what another process does in its own time.
function M.eventually(ask, ...)
  local answer
  for _ = 1, 200 do
    answer = ask(...)
    if answer then return answer end
    redis.sh("sleep 0.05")
  end
  return answer
end

package.loaded["spec.support.helper"] = M
return M
