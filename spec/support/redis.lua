--- A real redis-server of a spec's own: on a Unix socket in a temporary
--- directory, and on a free loopback port where a spec asks for one.

local core = require "eventlog.core"

local M = {}

local Server = {}
Server.__index = Server

--- Runs a shell command; returns its output without the last newline. Fails
--- where the command does.
function M.sh(format, ...)
  local command = select("#", ...) > 0 and string.format(format, ...) or format
  local pipe = assert(io.popen("( " .. command .. "\n); echo \"exit $?\""))
  local output = pipe:read("*a")
  pipe:close()
  local body, status = output:match("^(.-)\n?exit (%d+)\n$")
  if status ~= "0" then error("failed: " .. command .. "\n" .. output, 2) end
  return body
end

--- Quotes for the shell.
function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A port nobody listens on now.
function M.free_port()
  return tonumber(M.sh([[
    while :; do
      port=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
      [ "$port" -gt 20000 ] || continue
      grep -qi ":$(printf %%04X "$port") " /proc/net/tcp /proc/net/tcp6 2>/dev/null || break
    done
    echo "$port"]] .. "%s", ""))
end

--- Starts a server. options.tcp: also on a port of 127.0.0.1; options.config:
--- further arguments of redis-server.
---@param options table?
function M.start(options)
  options = options or {}
  local dir = M.sh("mktemp -d")
  local self = setmetatable({
    dir = dir,
    path = dir .. "/redis.sock",
    port = options.tcp and M.free_port() or 0,
    config = options.config or "",
  }, Server)
  self.url = "unix://" .. self.path
  self:launch()
  return self
end

--- Starts the process (again), and waits until it answers.
function Server:launch()
  M.sh("cd %s && redis-server --bind 127.0.0.1 --port %d --unixsocket %s " ..
    "--daemonize yes --pidfile %s/pid --logfile %s/log --dir %s --save '' %s " ..
    ">/dev/null", self.dir, self.port, self.path, self.dir, self.dir, self.dir,
    self.config)
  M.sh("for i in $(seq 200); do redis-cli -s %s ping >/dev/null 2>&1 && exit 0; " ..
    "[ -s %s/pid ] && redis-cli -s %s ping 2>&1 | grep -q NOAUTH && exit 0; " ..
    "sleep 0.05; done; cat %s/log; exit 1", self.path, self.dir, self.path,
    self.dir)
  self.pid = tonumber(M.sh("cat %s/pid", self.dir))
end

--- As redis-cli reads its input: in quotes, with what is not printable as \xXX.
local function escape(text)
  return '"' .. text:gsub('[^ !#-%[%]-~]', function(byte)
    return string.format("\\x%02x", byte:byte())
  end) .. '"'
end

--- Runs redis-cli with these arguments, of any bytes; its output, as it is but
--- for the last newline.
function Server:cli(...)
  local words = { "redis-cli --quoted-input -s", self.path }
  for i = 1, select("#", ...) do
    words[#words + 1] = M.quote(escape(tostring((select(i, ...)))))
  end
  return M.sh("%s", table.concat(words, " "))
end

--- Runs a command over a connection of our own, which is much faster than
--- starting redis-cli. Returns the reply, a string or a number, or nil; fails
--- where it is an error.
function Server:call(...)
  local socket, decoder, request = self.socket, core.decoder(), core.request()
  if not socket or not socket:idle() then
    if socket then socket:close() end
    socket = assert(core.unix(self.path))
    self.socket = socket
  end
  request:command(...)
  while request:size() > 0 do
    assert(socket:send(request) ~= nil)
    core.wait(socket:fd(), "w")
  end
  local kind
  repeat
    core.wait(socket:fd(), "r")
    kind = socket:reply(decoder)
    assert(kind ~= nil)
  until type(kind) == "string"
  if kind == "error" then error(decoder:value(), 2) end
  return (decoder:value())
end

--- Sends the process a signal, such as "KILL", "STOP" or "CONT".
function Server:signal(name)
  M.sh("kill -%s %d", name, self.pid)
end

--- Ends the process, and waits until it has gone, with all its threads: as long
--- as one is left, connections stay open. If nobody reaps it, it stays a zombie (Z).
--- If it has gone already, its pid may be anybody's: ours is the one that runs here.
function Server:kill()
  if self.socket then self.socket:close() end
  self.socket = nil
  M.sh("p=/proc/%d; ! [ $p/cwd -ef %s ] || { kill -CONT %d; kill -KILL %d; " ..
    "for i in $(seq 500); do set -- $p/task/*; " ..
    "[ $# -gt 1 ] || grep -q '^State:.[^XZ]' $p/status || break; sleep 0.01; done; } " ..
    "2>/dev/null", self.pid, self.dir, self.pid, self.pid)
end

--- Ends the process and removes its directory.
function Server:stop()
  self:kill()
  M.sh("rm -rf %s", self.dir)
end

return M
