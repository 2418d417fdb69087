--- A page that is too large, for the server's limits or for max_reply, is asked
--- for again with fewer entries.

local eventlog = require "eventlog"
local played = require "spec.support.played"
local redis = require "spec.support.redis"

local KB = 1024

describe("a page that is too large", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)
  before_each(function() server:call("FLUSHALL") end)
  after_each(function()
    server:call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
  end)

  --- Adds n entries of this size to "log".
  local function fill(n, bytes)
    server:call("EVAL", [[
      local text = string.rep('x', ARGV[2])
      for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'n', i, 'text', text) end]],
      1, "log", n, bytes)
  end

  local function limit(bytes)
    server:call("CONFIG", "SET", "client-output-buffer-limit",
      string.format("normal %d 0 0", bytes))
  end

  local function numbers(entries, err)
    local list = {}
    for i, entry in ipairs(assert(entries, tostring(err))) do list[i] = entry.fields.n end
    return table.concat(list, " ")
  end

  local function range(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = string.format("%d", i) end
    return table.concat(list, " ")
  end

  --- Every read of a log of 60 brings what it should.
  local function check_reads(log, limited)
    assert.equal(range(1, 60), numbers(log:tail()))
    assert.equal(range(21, 60), numbers(log:tail_n(40)))
    assert.equal(range(1, 60), numbers(log:tail_n(100)))
    assert.equal(range(31, 60), numbers(log:tail_from("31")))
    assert.equal(range(32, 60), numbers(log:tail_after("31-0")))
    assert.equal(range(31, 60), numbers(limited:tail()))
    assert.equal("60-0", log:last_id())
    assert.equal(60, log:length())
  end

  for what, bytes in pairs { ["many entries"] = 10 * KB, ["a few"] = 100 * KB,
    ["a single one"] = 600 * KB } do
    it("for client-output-buffer-limit, which holds " .. what .. ", is read in smaller ones",
      function()
        fill(60, bytes)
        limit(1000 * KB)
        local client = eventlog.connect(server.url)
        check_reads(eventlog.new(client, "log"),
          eventlog.new(client, "log", { max_length = 30 }))
        client:close()
      end)
  end

  it("for maxmemory-clients is read in smaller ones", function()
    if server:call("INFO", "server"):find("redis_version:[56]") then return end
    fill(60, 100 * KB)
    server:call("CONFIG", "SET", "maxmemory-clients", 2000 * KB)
    finally(function() server:call("CONFIG", "SET", "maxmemory-clients", 0) end)
    server:call("CLIENT", "NO-EVICT", "on") -- our own connection
    local client = eventlog.connect(server.url)
    check_reads(eventlog.new(client, "log"), eventlog.new(client, "log", { max_length = 30 }))
    client:close()
  end)

  it("for max_reply is read in smaller ones", function()
    fill(60, 100 * KB)
    for _, bytes in ipairs { 1000 * KB, 150 * KB } do
      local client = eventlog.connect { url = server.url, max_reply = bytes }
      check_reads(eventlog.new(client, "log"),
        eventlog.new(client, "log", { max_length = 30 }))
      client:close()
    end
  end)

  it("and holds one entry that is, is an error that says what to change", function()
    fill(3, 300 * KB)
    limit(200 * KB)
    local client = eventlog.connect(server.url)
    local log = eventlog.new(client, "log")
    for _, call in ipairs { { "tail" }, { "tail_n", 1 }, { "tail_n", 2 }, { "tail_from", "2" } } do
      local entries, err = log[call[1]](log, call[2])
      assert.is_nil(entries)
      assert.equal("connection", err.kind)
      assert.is_truthy(err.message:find("client-output-buffer-limit", 1, true), err.message)
      assert.is_truthy(err.message:find("batch_size", 1, true), err.message)
      assert.is_nil(err.message:find("\n", 1, true))
    end
    assert.equal("3-0", log:last_id()) -- which is in no entry
    client:close()
    limit(0)

    client = eventlog.connect { url = server.url, max_reply = 200 * KB }
    local entries, err = eventlog.new(client, "log"):tail()
    assert.is_nil(entries)
    assert.equal("protocol", err.kind)
    assert.is_truthy(err.message:find("max_reply", 1, true), err.message)
    assert.equal("3-0", eventlog.new(client, "log"):last_id())
    client:close()
  end)

  it("is an error that says so, if the log does not hold still for smaller ones", function()
    fill(40, 20 * KB)
    limit(200 * KB)
    local client, last = eventlog.connect(server.url), 40
    local driver = client.driver
    played.drive(client, setmetatable({
      open = function(settings)
        local transport = assert(driver.open(settings))
        local send = transport.send
        transport.send = function(...)
          server:call("XDEL", "log", last .. "-0") -- which was not read yet
          last = last + 1
          server:call("XADD", "log", last .. "-0", "n", last, "text", ("x"):rep(20 * KB))
          return send(...)
        end
        return transport
      end,
    }, { __index = driver }))
    local entries, err = eventlog.new(client, "log", { batch_size = 4 }):tail()
    assert.is_nil(entries)
    assert.equal("connection", err.kind)
    assert.is_truthy(err.message:find("pages of 4 entries (batch_size)", 1, true), err.message)
    assert.is_true(err.retriable)
    client:close()
  end)

  it("is found once, and not by each of many reads", function()
    fill(60, 100 * KB)
    limit(1000 * KB)
    local connected = 0
    local client = eventlog.connect { url = server.url, on_event = function(event)
      if event.kind == "connected" then connected = connected + 1 end
    end }
    local log = eventlog.new(client, "log")
    assert(log:tail())
    local first = connected
    for _ = 1, 5 do assert(log:tail()) end
    assert(first > 2 and connected - first <= 5, first .. ", then " .. connected)
    client:close()
  end)

  it("is not what a lost server is taken for", function()
    local other = redis.start()
    local client = eventlog.connect(other.url)
    local log = eventlog.new(client, "log")
    assert(log:add { n = 1 })
    other:signal("KILL")
    local entries, err = log:tail()
    assert.is_nil(entries)
    assert.equal("connection", err.kind)
    assert.is_nil(err.message:find("batch_size", 1, true), err.message)
    other:stop()
    client:close()
  end)
end)
