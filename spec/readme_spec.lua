--- README's own lines, as they stand there: the shell's in a private prefix, the
--- Lua code against a private Redis. What README says and what works are one.

local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

local sh = redis.sh

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local readme = read("README.md")

--- The text below a heading, up to the next.
local function section(title)
  return assert(readme:match("\n## " .. title .. "\n(.-)\n## "), title)
end

--- The indented lines of a text, as blocks: lists of lines.
local function shell_blocks(text)
  local blocks, block = {}, nil
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local command = line:match("^    (.*)")
    if command and not block then
      block = {}
      table.insert(blocks, block)
    end
    if command then table.insert(block, command) else block = nil end
  end
  return blocks
end

--- The code of all ```LANGUAGE blocks of a text.
local function code_blocks(text, language)
  local blocks = {}
  for code in text:gmatch("\n```" .. language .. "\n(.-)```") do
    table.insert(blocks, code)
  end
  return blocks
end

--- A directory that goes when the spec ends.
local function temporary_directory()
  local dir = sh("mktemp -d")
  finally(function() sh("rm -rf %s", dir) end)
  return dir
end

--- What there is instead of these commands: what would install for everybody
--- installs into a tree of ours, and what would start a server notes it.
local STAND_INS = {
  ["apt-get"] = 'echo "$@" >>$DIR/apt-get',
  -- It looks for the headers beside the lua5.4 that it finds: not the one below.
  luarocks = 'PATH=${PATH#*:} exec $REAL --tree $DIR/luarocks "$@"',
  cmake = 'case $1 in --install) exec $REAL "$@" --prefix $DIR/cmake ;; esac; exec $REAL "$@"',
  ["redis-cli"] = 'echo "redis-cli $@" >>$DIR/redis; exec false',
  ["redis-server"] = 'echo "redis-server $@" >>$DIR/redis; exec $REAL --port 0 ' ..
    '--unixsocket $DIR/redis.sock --pidfile $DIR/pid --dir $DIR "$@" >/dev/null',
  -- The quickstart, until it waits for what comes.
  ["lua5.4"] = [[timeout 100 stdbuf -oL $REAL "$@" >$DIR/quickstart 2>&1 </dev/null &
    for i in $(seq 400); do
      [ "$(grep -c . $DIR/quickstart)" -lt 3 ] || break
      sleep 0.05
    done
    kill $!
    wait $! || :]],
}

--- Pastes these lines into a shell, in a copy of the checkout. Fails if one
--- fails. Returns the directory that has what they left.
local function paste(lines)
  local dir = temporary_directory()
  sh("mkdir %s/src %s/bin && cp -r CMakeLists.txt CHANGELOG.md LICENSE README.md csrc " ..
    "examples lua rockspec script %s/src", dir, dir, dir)
  -- No port is ours: the quickstart finds its Redis on a socket.
  sh("sed -i 's|redis://127.0.0.1:6379|unix://%s/redis.sock|' %s/src/examples/quickstart.lua",
    dir, dir)
  for name, code in pairs(STAND_INS) do
    local words = { DIR = dir, REAL = sh("command -v %s || :", name) }
    write(dir .. "/bin/" .. name, "#!/bin/sh\n" .. code:gsub("%$(%u+)", words) .. "\n")
  end
  write(dir .. "/lines", table.concat(lines, "\n") .. "\n")
  finally(function()
    sh("kill $(cat %s/pid 2>/dev/null) 2>/dev/null || :; rm -rf %s", dir, dir)
  end)
  -- As its input, which is what a terminal has: a command that reads it eats the
  -- lines behind its own.
  sh("cd %s/src && chmod +x ../bin/* && env -u LUA_PATH -u LUA_CPATH " ..
    "LUA_PATH_5_4='%s/luarocks/share/lua/5.4/?.lua;%s/luarocks/share/lua/5.4/?/init.lua' " ..
    "LUA_CPATH_5_4='%s/luarocks/lib/lua/5.4/?.so' HOME=%s PATH=%s/bin:$PATH " ..
    "sh -e <../lines >../output 2>&1 || { cat ../output; exit 1; }", dir, dir, dir, dir, dir,
    dir)
  return dir
end

describe("README", function()
  -- Once, and not for each Lua: its lines name theirs.
  if _VERSION == "Lua 5.4" then
    it("installs and leads to a running quickstart: Install, line by line", function()
      local lines = {}
      for _, block in ipairs(shell_blocks(section("Install"))) do
        for _, line in ipairs(block) do table.insert(lines, line) end
      end
      local dir = paste(lines)
      assert.matches("%d+%-%d+\tOslo\t%-3%.5\n%d+%-%d+\tLima\t19%.8\n%d+%-%d+\tCairo\t31\n",
        read(dir .. "/quickstart"))
      assert.matches("^redis%-cli ping\nredis%-server %-%-daemonize yes", read(dir .. "/redis"))
      -- CMake's tree is as good as luarocks's.
      assert.matches("eventlog %d", sh("env -u LUA_PATH LUA_PATH='%s/cmake/share/lua/5.4/?.lua;" ..
        "%s/cmake/share/lua/5.4/?/init.lua' LUA_CPATH='%s/cmake/lib/lua/5.4/?.so' lua5.4 -e " ..
        "'print(require(\"eventlog\")._VERSION)'", dir, dir, dir))
    end)

    it("shows a demo that works: Try it", function()
      local commands = {}
      for _, block in ipairs(shell_blocks(section("Try it"))) do
        for _, line in ipairs(block) do commands[line:match("^%S+")] = line end
      end
      assert.is_truthy(commands["script/test"]) -- which is what runs this
      local output = sh("%s", commands["script/demo"])
      assert.matches("Each reader saw every line once, all in the same order.", output, 1, true)
      for writer = 1, 4 do assert.matches("\n  writer " .. writer .. "  ", output) end
    end)

    it("has a demo that counts one line as one", function()
      local dir = temporary_directory()
      write(dir .. "/file", "alone\n")
      local output = sh("script/demo %s/file", dir)
      assert.matches("\n1 line written", output, 1, true)
      assert.matches("reader 3 saw 1 line,", output, 1, true)
      assert.is_nil(output:find("1 lines", 1, true))
    end)

    it("has examples and measurements that say what to start if no Redis runs", function()
      local dir = temporary_directory()
      local function says(text, command, ...)
        local output = sh("! " .. command .. " 2>&1", ...)
        assert.matches(text, output, 1, true)
        assert.is_nil(output:find("\n", 1, true), output)
      end
      says("redis-server starts one", "lua5.4 bench/huge_add.lua unix://%s/none.sock", dir)
      says("run that", "env -u BENCH_PORT lua5.4 bench/run.lua")
      says("run that", "lua5.4 script/demo.lua")
    end)
  end

  it("names packages that script/bootstrap installs, too", function()
    local known = read("script/bootstrap")
    local count = 0
    for line in readme:gmatch("apt%-get install %-y ([^\n]*)") do
      for package in line:gmatch("%S+") do
        count = count + 1
        assert.matches("[%s'\"]" .. package:gsub("%p", "%%%0") .. "[%s'\"]", known)
        assert.equal("installed", sh("dpkg-query -W -f '${db:Status-Status}' %s",
          package), package)
      end
    end
    assert.is_true(count >= 9, count .. " packages")
    assert.matches("\nopenresty=\"$build redis-server nginx libnginx-mod-http-lua curl\"\n",
      known, 1, true)
  end)

  -- What the code of README finds, besides `eventlog`: each shows what it is
  -- given, and ends with the second entry. `own` stands for what is the reader's.
  local PRELUDE = [[
    local eventlog = require "eventlog"
    local url = ...
    local target, name, options = url, "weather", {}
    local connect, new = eventlog.connect, eventlog.new
    local function own(there)
      if type(there) ~= "table" then return url end
      there.url = url
      return there
    end
    eventlog.connect = function(there) return connect(own(there)) end
    eventlog.new = function(there, ...)
      if there == target or type(there) ~= "table" or there.driver then there = own(there) end
      return new(there, ...)
    end
    local log = eventlog.new(url, "weather")
    local shown = 0
    local function show(batch)
      if batch.fields then batch = { batch } end
      for _, event in ipairs(batch) do
        shown = shown + 1
        print(event.fields.station)
        if shown == 2 then os.exit(0) end
      end
    end
    local apply = show
    local my_loop = { wait = require("eventlog.core").wait }
    local follower = log:tail_and_follow()
  ]]

  -- How the code goes on, by what it contains.
  local ENDINGS = {
    ["eventlog%.connect%(target%)"] = "print(client == log.client, log.name)",
    ["my_loop%.wait"] = "for batch in log:tail_and_follow() do show(batch) end",
    ["function tick"] = "while true do tick() end",
  }

  local EXPECTED = { ["eventlog%.connect%(target%)"] = "false\tweather\n" }

  -- The modules that a Lua must have, by what the code requires.
  local function can_run(code)
    if code:find('require "copas"', 1, true) then return _VERSION == "Lua 5.1" end
    -- PUC 5.1 cannot yield in `for`, as README says.
    return helper.yields_anywhere or not code:find("require", 1, true) or
      not code:find("for batch in", 1, true)
  end

  it("has Lua code that works, as it stands", function()
    local server = redis.start()
    finally(function() server:stop() end)
    server:cli("XADD", "weather", "*", "station", "Oslo")
    server:cli("XADD", "weather", "*", "station", "Lima")
    local count = 0
    for i, code in ipairs(code_blocks(readme, "lua")) do
      if i > 1 and can_run(code) then -- the first is the quickstart
        count = count + 1
        local ending, expected = "", "Oslo\nLima\n"
        for pattern, text in pairs(ENDINGS) do
          if code:find(pattern) then ending = text end
        end
        for pattern, text in pairs(EXPECTED) do
          if code:find(pattern) then expected = text end
        end
        assert.equal(expected, (helper.run("do " .. PRELUDE:gsub("\n", " ") .. "\n" .. code ..
          ending .. " end", server.url)), code)
      end
    end
    assert.is_true(count >= 4, count .. " blocks")
  end)

  it("gives users what they need, and no more: the ACL lines", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local logs = {}
    for _, block in ipairs(shell_blocks(section("For whoever runs the Redis"))) do
      local line = table.concat(block, "\n")
      local user = line:match("^redis%-cli ACL SETUSER (%S+)")
      if user then
        sh("redis-cli -s %s %s", server.path, (line:gsub("^redis%-cli ", "")))
        logs[user] = require "eventlog".new({ path = server.path, username = user,
          password = "secret" }, "log:1", { idempotent = true, ttl = 100, max_length = 10 })
      end
    end
    local app, reader = logs.app, logs.reader
    local ids = assert(app:add({ n = 1 }, { n = 2 }))
    assert(app:add_if(ids[2], { n = 3 }))
    for _, log in ipairs { app, reader } do
      assert.equal(3, #assert(log:tail()))
      assert.equal(2, #assert(log:tail_n(2)))
      assert.equal(3, assert(log:length()))
      assert(log:last_id())
      assert.equal(3, #assert(log:tail_and_follow():next(10)))
    end
    local added, err = reader:add { n = 4 }
    assert.is_nil(added)
    assert.equal("NOPERM", err.code, tostring(err))
    assert.is_true(app:delete())
    added, err = require "eventlog".new(app.client, "other"):add { n = 1 }
    assert.is_nil(added)
    assert.equal("NOPERM", err.code, tostring(err))
  end)

  it("names files that are there", function()
    for path in readme:gmatch("`?%f[%w]([%w_]+/[%w_./-]+)`?") do
      local first = path:match("^[^/]+")
      if first == "script" or first == "examples" or first == "bench" or first == "csrc" or
        first == "rockspec" or first == "spec" then
        assert.equal("there", sh("[ -e %s ] && echo there || echo %s", path, path))
      end
    end
  end)
end)
