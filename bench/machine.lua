--- What was measured on, and with which versions: what the reader of the results
--- has to know. Nothing here says where files are.

local M = {}

--- What a command prints, without the last newline; "" where it fails.
local function output(command)
  local pipe = io.popen("{ " .. command .. "; } 2>&1")
  local text = pipe:read("a"):gsub("%s+$", "")
  return pipe:close() and text or ""
end

--- The first capture of a pattern in a file, or what there is instead.
local function look_up(path, pattern)
  local file = io.open(path)
  local text = file and file:read("a") or ""
  if file then file:close() end
  return text:match(pattern) or "unknown"
end

local function version(command, pattern)
  return output(command):match(pattern) or "unknown"
end

local function commit()
  local name = output("git rev-parse --short HEAD")
  if name == "" then return "unknown" end
  local clean = output("git status --porcelain -- csrc lua CMakeLists.txt bench/workers") == ""
  return clean and name or name .. ", with changes"
end

--- Whether this is a guest of a hypervisor.
local function guest()
  return look_up("/proc/cpuinfo", "\nflags[^\n]* hypervisor") ~= "unknown"
end

--- A list of { what, value }; the load average is of now, before the work.
function M.look()
  local gib = tonumber(look_up("/proc/meminfo", "MemTotal:%s*(%d+)")) // 1048576
  return {
    { "date", os.date("!%Y-%m-%d %H:%M UTC") },
    { "commit", commit() },
    { "CPU", string.format("%s, %s cores%s, %d GiB of memory",
      look_up("/proc/cpuinfo", "model name%s*: ([^\n]*)"), output("nproc"),
      guest() and " of a virtual machine" or "", gib) },
    { "system", look_up("/etc/os-release", 'PRETTY_NAME="([^"]*)"') .. ", Linux " ..
      output("uname -r") },
    { "load average at the start", look_up("/proc/loadavg", "^(%S+)") },
    { "Redis", version("redis-server --version", "v=(%S+)") },
    { "hiredis", version("pkg-config --modversion hiredis", "^%S+") },
    { "Lua", version("lua5.4 -v", "Lua (%S+)") .. ", " ..
      version("lua5.1 -v", "Lua (%S+)") .. ", " ..
      version("luajit -v", "LuaJIT %S+") },
    { "redis-lua", version("dpkg-query -W -f '${Version}' lua-redis", "^[^-]+") },
    { "lua-resty-redis", version("dpkg-query -W -f '${Version}' lua-nginx-redis",
      "^[^-]+") .. ", in nginx " .. version("nginx -v", "nginx/(%S+)") },
    { "redis-py", version("/usr/bin/python3 -c 'import redis; print(redis.__version__)'",
      "^%S+") .. ", its parser hiredis-py " .. version(
      "/usr/bin/python3 -c 'import hiredis; print(hiredis.__version__)'", "^%S+") ..
      ", on " .. version("/usr/bin/python3 -V", "Python %S+") },
    { "C compiler", version("cc --version", "^[^\n]*") .. ", -O2" },
  }
end

--- The most memory that a bare Lua 5.4 ever has, in KiB.
function M.bare_peak()
  return tonumber(output("lua5.4 -e 'print(io.open(\"/proc/self/status\")" ..
    ":read(\"a\"):match(\"VmHWM:%s*(%d+)\"))'"))
end

return M
