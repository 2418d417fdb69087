--- examples/openresty, started by its own script: what it answers, what a real
--- browser shows, and how many it serves.

if not rawget(_G, "jit") then
  pending("inside nginx: on LuaJIT's turn only")
  return
end

local browser = require "spec.support.browser"
local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

describe("examples/openresty", function()
  local dir, pipe, pid, url

  setup(function()
    dir = redis.sh("mktemp -d")
    pipe = io.popen("echo $$; TMPDIR=" .. dir .. " exec examples/openresty/run 2>&1")
    pid = tonumber(pipe:read("*l"))
    local line = pipe:read("*l")
    url = line:match("^http://127%.0%.0%.1:%d+") or error(line)
  end)

  teardown(function()
    redis.sh("kill -INT %d", pid)
    pipe:close() -- waits for its end
    redis.sh("rm -rf %s", dir)
  end)

  local function redis_cli(command)
    return redis.sh("redis-cli -s %s/*/redis.sock %s", dir, command)
  end

  local function nginx_pid()
    return redis.sh("cat %s/*/nginx.pid", dir)
  end

  local function halt()
    redis.sh("kill -TERM %s; for i in $(seq 200); do [ -e %s/*/nginx.pid ] || exit 0; " ..
      "sleep 0.05; done; exit 1", nginx_pid(), dir)
  end

  local function launch()
    redis.sh("cd %s/*/ && nginx -p . -e error.log -c nginx.conf", dir)
  end

  before_each(function() redis_cli("FLUSHALL") end)

  --- What it answers: the status and the body.
  local function ask(arguments)
    local body, status = redis.sh("curl -sS --max-time 60 -w '\n%%{http_code}' %s %s/events",
      arguments, url):match("^(.*)\n(%d+)$")
    return tonumber(status), body
  end

  --- Adds an event; its id.
  local function add(data)
    local status, body = ask("-d " .. redis.quote(data))
    assert.equal(201, status, body)
    return (body:match('^{"id":"(%d+%-%d+)"}'))
  end

  --- The stream's text up to this one.
  local function read(arguments, up_to)
    local stream = io.popen("echo $$; exec curl -sSN --max-time 60 " .. arguments .. " " ..
      url .. "/events")
    local reader = stream:read("*l")
    local lines = {}
    for line in stream:lines() do
      lines[#lines + 1] = line
      if line:find(up_to, 1, true) then break end
    end
    redis.sh("kill %s", reader)
    stream:close()
    return table.concat(lines, "\n")
  end

  --- The ids of the log's entries, oldest first.
  local function log_ids()
    local ids = {}
    for id in redis_cli("XRANGE weather - +"):gmatch("%d+%-%d+") do ids[#ids + 1] = id end
    return table.concat(ids, " ")
  end

  it("streams what is there and what comes, with the log's ids", function()
    local first = add("station=Oslo&temperature=-3.5")
    local second = add('said=a "quoted"%0Aline%5C')
    assert.equal('retry: 1000\nid: 0-0\n\nid: ' .. first .. '\n' ..
      'data: {"station":"Oslo","temperature":"-3.5"}',
      (read("", '"Oslo"'):gsub('{"temperature":"%-3.5","station":"Oslo"}',
        '{"station":"Oslo","temperature":"-3.5"}')))
    assert.equal("id: " .. second .. "\n" ..
      'data: {"said":"a \\u0022quoted\\u0022\\u000aline\\u005c"}',
      read("", "quoted"):match("[^\n]*\n[^\n]*$"))
  end)

  it("goes on after Last-Event-ID", function()
    local first = add("n=1")
    add("n=2")
    add("n=3")
    for _, arguments in ipairs { "-H 'Last-Event-ID: " .. first .. "'",
      "-G -d after=" .. first } do
      local text = read(arguments, '"3"')
      assert.is_nil(text:find('"1"', 1, true))
      assert.is_truthy(text:find('"2"', 1, true))
    end
  end)

  it("begins anew, and says so, where the log is another one than it was", function()
    local id = add("n=1")
    assert.matches("event: gap\ndata: \n\nid: " .. id .. "\ndata: {\"n\":\"1\"}",
      read("-H 'Last-Event-ID: 99999999999999-0'", '"1"'), 1, true)
  end)

  it("says what is wrong with what it is sent", function()
    local function refuses(expected, text, arguments)
      local status, body = ask(arguments)
      assert.equal(expected, status, body)
      assert.matches(text, body, 1, true)
    end
    refuses(400, "needs fields", "-d ''")
    refuses(400, "one value", "-d 'a=1&a=2'")
    refuses(400, "one value", "-d a")
    refuses(400, "20 fields", "-d '" .. ("%d=1&"):rep(21):gsub("%%d", function()
      return tostring(math.random(1e9))
    end) .. "'")
    refuses(413, "16 KiB", "-d x=" .. ("x"):rep(16 * 1024))
    refuses(415, "as a form", "-H 'Content-Type: application/json' -d '{}'")
    refuses(400, "Last-Event-ID", "-H 'Last-Event-ID: yesterday'")
    refuses(400, "Last-Event-ID", "-H 'Last-Event-ID: 99999999999999999999-0'")
    refuses(405, "GET", "-X PUT")
    assert.equal("0", redis_cli("XLEN weather"))
  end)

  it("shows in a browser what comes, and nothing twice after nginx's restart", function()
    local window = browser.start()
    finally(function() window:stop() end)

    --- The ids that the page shows, oldest first.
    local function shown()
      return window:eval([[
        return [...document.querySelectorAll("#events li")].map(row => row.dataset.id)
          .reverse().join(" ")]])
    end

    local function shows(n)
      return helper.eventually(function()
        return select(2, shown():gsub("%S+", "")) >= n
      end)
    end

    local function is_live()
      return window:eval [[ return document.querySelector("#status").textContent ]] == "live"
    end

    for i = 1, 3 do add("station=Oslo&temperature=" .. i) end
    window:go(url)
    assert.is_true(shows(3))
    assert.is_true(helper.eventually(is_live))

    window:type("[name=station]", "São Paulo <b>")
    window:type("[name=temperature]", "31.5")
    window:click("button")
    assert.is_true(shows(4))
    assert.matches("São Paulo <b>.*31.5 °C", window:eval [[
      return document.querySelector("#events li").textContent ]])
    assert.equal(log_ids(), shown())
    -- Each with the day on which it happened, and not the hour alone.
    assert.equal("4 of 4", window:eval [[
      const times = [...document.querySelectorAll("#events li")].map((row) => {
        const time = row.querySelector("time");
        const when = new Date(Number(row.dataset.id.split("-")[0]));
        return time.dateTime === when.toISOString() &&
          time.textContent.includes(when.toLocaleDateString());
      });
      return times.filter((right) => right).length + " of " + times.length ]])

    for round = 1, 3 do
      for i = 1, 5 do add("station=Lima&temperature=" .. i) end
      halt()
      -- Somebody else adds while nginx is away.
      for _ = 1, 5 do redis_cli("XADD weather '*' station Cairo temperature 35") end
      assert.is_true(helper.eventually(function() return not is_live() end))
      launch()
      for i = 1, 5 do add("station=Lima&temperature=" .. i) end
      assert.is_true(shows(4 + 15 * round))
      assert.equal(log_ids(), shown())
    end

    -- A reload drains the old worker.
    redis.sh("kill -HUP %s", nginx_pid())
    for i = 1, 5 do add("station=Quito&temperature=" .. i) end
    assert.is_true(shows(54))
    assert.equal(log_ids(), shown())
    local picture = os.getenv("EVENTLOG_SCREENSHOT")
    if picture then window:screenshot(picture) end
  end)

  it("serves 500 browsers of one log in one worker", function()
    for i = 1, 10 do add("n=" .. i) end
    local crowd = io.popen("perl spec/support/crowd.pl follow " .. url:match("%d+$") ..
      " /events 500 last")
    assert.equal("open", crowd:read("*l"))
    for i = 1, 20 do add("n=" .. i) end
    add("said=last")
    -- All saw one sequence: the id without an event, and 31 events.
    assert.equal("1 32", crowd:read("*l"))
    crowd:close()
    -- They went away, and nobody is left behind.
    assert.is_true(helper.eventually(function()
      return redis_cli("INFO clients"):match("blocked_clients:(%d+)") == "0"
    end))
  end)

  it("says so when there is nothing new, and so notices who has gone", function()
    -- Gone before nginx looked for it: only writing to them shows it.
    redis.sh("for i in $(seq 20); do curl -s --max-time 0.01 %s/events; done; true", url)
    assert.equal(": nothing new", read("", ": nothing new"):match("[^\n]*$"))
    assert.is_true(helper.eventually(function()
      return redis_cli("INFO clients"):match("blocked_clients:(%d+)") == "0"
    end))
  end)

  it("ends on Ctrl-C, and leaves nothing behind", function()
    local mine = redis.sh("mktemp -d")
    local run = io.popen("echo $$; TMPDIR=" .. mine .. " exec examples/openresty/run 2>&1")
    local its_pid = run:read("*l")
    local address = run:read("*l"):match("^http://%S+")
    assert.equal("200", redis.sh("curl -s -o %s/page -w '%%{http_code}' %s", mine, address))
    redis.sh("rm %s/page; kill -INT %s", mine, its_pid)
    assert.equal("", run:read("*a"))
    run:close()
    assert.equal("", redis.sh("ls -A %s", mine))
    assert.equal("7", redis.sh("curl -s %s; echo $?", address))
    redis.sh("rmdir %s", mine)
  end)
end)
