--- A real nginx of a spec's own, with ngx_lua, on a Unix socket in a temporary
--- directory. It loads what this process loads, so that process has to be of
--- LuaJIT.

local redis = require "spec.support.redis"

local Nginx = {}
Nginx.__index = Nginx

local M = {}

--- A search path with absolute directories: nginx may run elsewhere.
local function absolute(path)
  local here = redis.sh("pwd")
  return (path:gsub("[^;]+", function(entry)
    return entry:sub(1, 1) == "/" and entry or here .. "/" .. entry
  end))
end

--- load_module lines: Debian's nginx has ngx_lua as modules, OpenResty within.
local modules = [[
  dir=$(nginx -V 2>&1 | tr ' ' '\n' | sed -n 's/^--modules-path=//p')
  for name in ndk_http_module ngx_http_lua_module; do
    [ ! -e "$dir/$name.so" ] || echo "load_module $dir/$name.so;"
  done]]

-- POST /run runs the Lua program in its body, and answers what that returns.
local conf = [[
$modules
$user
daemon on;
worker_processes 1;
pid $dir/pid;
error_log $dir/log notice;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $dir/body;
  proxy_temp_path $dir/proxy;
  fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi;
  scgi_temp_path $dir/scgi;
  client_body_buffer_size 1m;
  lua_package_path "$dir/?.lua;$path";
  lua_package_cpath "$cpath";
  lua_socket_log_errors off;
  lua_check_client_abort on;
  $http
  server {
    listen unix:$dir/http.sock;
    location = /run {
      content_by_lua_block {
        ngx.req.read_body()
        local program = assert(loadstring(ngx.req.get_body_data(), "=run"))
        local ok, result = xpcall(program, debug.traceback)
        if not ok then ngx.status = 500 end
        ngx.print(tostring(result))
      }
    }
    $locations
    $server
  }
}
]]

--- Starts one. options: http, server: further lines of those blocks; locations:
--- path to Lua code of the content phase; modules: name to source.
---@param options { http: string?, server: string?, locations: table?, modules: table? }?
function M.start(options)
  options = options or {}
  local dir = redis.sh("mktemp -d")
  local self = setmetatable({ dir = dir, path = dir .. "/http.sock" }, Nginx)
  local locations = {}
  for path, code in pairs(options.locations or {}) do
    locations[#locations + 1] = string.format(
      "location = %s { content_by_lua_block { %s } }", path, code)
  end
  for name, source in pairs(options.modules or {}) do
    self:write(name .. ".lua", source)
  end
  self:write("nginx.conf", (conf:gsub("%$(%l+)", {
    dir = dir,
    modules = redis.sh("%s", modules),
    -- Else its workers could not reach the sockets of root's directories.
    user = redis.sh("id -u") == "0" and "user root;" or "",
    path = absolute(package.path),
    cpath = absolute(package.cpath),
    http = options.http or "",
    server = options.server or "",
    locations = table.concat(locations, "\n"),
  })))
  self:launch()
  return self
end

function Nginx:write(name, text)
  local file = assert(io.open(self.dir .. "/" .. name, "w"))
  assert(file:write(text))
  assert(file:close())
end

--- Starts the processes (again): once this returns, it answers.
function Nginx:launch()
  redis.sh("nginx -p %s -e log -c nginx.conf 2>&1 || { cat %s/log; exit 1; }",
    self.dir, self.dir)
  self.pid = tonumber(redis.sh("for i in $(seq 100); do [ -s %s/pid ] && break; " ..
    "sleep 0.05; done; cat %s/pid", self.dir, self.dir))
end

local function curl(self, path, options)
  return string.format("curl -sS -N --max-time 100 --unix-socket %s %s " ..
    "'http://localhost%s'", self.path, options or "", path)
end

--- What it answers; curl's further arguments may be given. Fails where the
--- status is not 2xx.
function Nginx:get(path, options)
  local answer = redis.sh("%s", curl(self, path, (options or "") .. " -w ' %{http_code}'"))
  local body, status = answer:match("^(.*) (%d+)$")
  if status:sub(1, 1) ~= "2" then
    error("nginx answered " .. status .. ": " .. body, 2)
  end
  return body
end

--- Runs a Lua program in the content phase of a request; what it returns, as
--- text. Fails where it raises.
function Nginx:run(program)
  self:write("program", program)
  return self:get("/run", "--data-binary @" .. self.dir .. "/program")
end

--- A request in the background: a file to read the answer from, as it comes,
--- and the pid of who asks.
function Nginx:open(path, options)
  local pipe = io.popen("echo $$; exec " .. curl(self, path, options) .. " 2>&1")
  return pipe, tonumber(pipe:read("*l"))
end

--- The pid of its worker.
function Nginx:worker()
  return tonumber(self:run("return ngx.worker.pid()"))
end

--- New workers take over, and the old ones are to finish.
function Nginx:reload()
  redis.sh("kill -HUP %d", self.pid)
end

--- What it logged; `pattern`: only the lines that match.
function Nginx:log(pattern)
  local lines = {}
  for line in io.lines(self.dir .. "/log") do
    if not pattern or line:find(pattern) then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

--- Ends the processes; launch() starts them again. (Its pid may be known for
--- longer: that is up to whoever inherits it.)
function Nginx:halt()
  redis.sh("kill -TERM %d 2>/dev/null; for i in $(seq 200); do " ..
    "[ -e %s/pid ] || exit 0; sleep 0.05; done; kill -KILL %d",
    self.pid, self.dir, self.pid)
end

function Nginx:stop()
  self:halt()
  redis.sh("rm -rf %s", self.dir)
end

return M
