--- An endpoint, and the topology of one server, by a driver that plays the server and
--- a clock of our own.

local Endpoint = require "eventlog.topology.endpoint"
local Error = require "eventlog.base.error"
local core = require "eventlog.core"
local abilities = require "eventlog.topology.abilities"
local events = require "eventlog.base.events"
local single_server = require "eventlog.topology.single_server"
local system = require "eventlog.base.system"

local settings = {
  host = "h", port = 7, db = 0, timeout = 5, connect_timeout = 5, pool_size = 3,
  pool_idle = 60, retry_first_connection = false, max_reply = 1024,
}

--- A transport whose server says what is in `says`, one piece at a time, and then
--- hangs up.
local function new_transport(says)
  local transport = { open = true, is_dead = false, sent = 0, slept = {} }
  function transport.connect() return true end
  function transport.is_reused() return false end
  function transport:send(request)
    self.sent = self.sent + 1
    request:clear()
    return true, 0
  end
  function transport.reply(_, decoder)
    local piece = table.remove(says, 1)
    if not piece then return nil, "connection", "connection lost" end
    assert(decoder:feed(piece))
    return decoder:next()
  end
  function transport.last_read_at() return 0 end
  function transport:idle() return self.open and not self.is_dead end
  function transport:sleep(seconds)
    self.slept[#self.slept + 1] = seconds
    self.clock.now = self.clock.now + seconds
  end
  function transport:shutdown() self.is_shut = true end
  function transport:close() self.open = false end
  return transport
end

describe("an endpoint", function()
  local clock, real_now = { now = 1000 }, system.now
  local told, transports, driver, endpoint

  --- A new one; its servers say what is listed, one list for each connection.
  local function new(says, changes)
    told, transports = {}, {}
    local own = setmetatable(changes or {}, { __index = settings })
    driver = { open = function()
      local transport = new_transport(table.remove(says, 1) or {})
      transport.clock = clock
      transports[#transports + 1] = transport
      return transport
    end }
    return Endpoint.new(own, driver, events.new(function(event)
      told[#told + 1] = event.kind
    end), abilities.new())
  end

  before_each(function()
    clock.now = 1000
    system.now = function() return clock.now end
    endpoint = new {}
  end)

  after_each(function() system.now = real_now end)

  it("gives the connection that was released last, once to each", function()
    local a, b = endpoint:acquire("log"), endpoint:acquire("log")
    endpoint:release(a)
    endpoint:release(b)
    assert.equal(b, endpoint:acquire("log"))
    assert.equal(a, endpoint:acquire("log"))
    assert.is_true(a.reused)
    assert.not_equal(a, endpoint:acquire("log"))
    assert.equal(3, #transports)
    assert.same({ "connected", "connected", "connected" }, told)
  end)

  it("gives none that the server has closed meanwhile, nor one from the pool if it " ..
    "is to be a fresh one", function()
    local a, b = endpoint:acquire("log"), endpoint:acquire("log")
    endpoint:release(a)
    endpoint:release(b)
    transports[2].is_dead = true
    assert.equal(a, endpoint:acquire("log"))
    assert.is_false(transports[2].open)
    endpoint:release(a)
    assert.is_false(endpoint:checkout(true).reused)
  end)

  it("keeps none over which a reply is due, or that is lost", function()
    endpoint = new { { "+PONG\r\n" }, { "+PO" } }
    local owing, lost = endpoint:acquire("log"), endpoint:acquire("log")
    for _, connection in ipairs { owing, lost } do
      local request = core.request()
      request:command("PING")
      request:command("PING")
      assert(connection:send(request, 2))
    end
    assert.equal("status", owing:reply())
    assert.is_nil(lost:reply())
    endpoint:release(owing, "log")
    endpoint:release(lost, "log")
    assert.is_false(transports[1].open)
    assert.is_false(transports[2].open)
    assert.is_false(endpoint:acquire("log").reused)
    assert.same({ "connected", "connected", "disconnected", "connected" }, told)
  end)

  it("takes idle ones for no better, when one was silent for too long", function()
    local idle, silent = endpoint:acquire("log"), endpoint:acquire("log")
    endpoint:release(idle)
    silent.lost, silent.stalled = true, true
    silent:close()
    endpoint:release(silent, "log")
    assert.is_false(transports[1].open)
  end)

  it("has its own pool, and knows with others what servers can do", function()
    local shared = abilities.new()
    local one = Endpoint.new(settings, driver, events.new(), shared)
    local other = Endpoint.new(settings, driver, events.new(), shared)
    one:release(one:acquire("log"))
    local connection = other:acquire("log")
    assert.is_false(connection.reused)
    assert.equal(shared, connection.abilities)
    assert.is_true(one:acquire("log").reused)
  end)

  it("lets all followers together connect 15 times a second, while it is down", function()
    local function attempts(seconds)
      local count = 0
      for _ = 1, seconds * 1000 do
        clock.now = clock.now + 0.001
        if endpoint:may_reconnect() then count = count + 1 end
      end
      return count
    end
    assert.equal(1000, attempts(1))
    endpoint:note_down()
    local count = attempts(10)
    assert.is_true(count > 140 and count < 152, count)
    endpoint:note_up()
    assert.equal(1000, attempts(1))
  end)

  it("asks a first connection whether the server is ready, if that is waited for", function()
    endpoint = new({ { "-LOADING Redis is loading\r\n", "+PONG\r\n" } },
      { retry_first_connection = true })
    local none, err = endpoint:acquire("log")
    assert.is_nil(none)
    assert.equal("LOADING", err.code)
    assert.is_true(endpoint.awaits_first)
    local connection = assert(endpoint:acquire("log"))
    assert.is_false(endpoint.awaits_first)
    endpoint:release(connection)
    endpoint:acquire("log")
    assert.equal(2, transports[1].sent)
  end)

  it("pauses on a transport of its own", function()
    assert.is_true(endpoint:pause(2))
    assert.same({ 2 }, transports[1].slept)
    assert.is_false(transports[1].open)
    driver.interrupted = function() return "the host ends" end
    local ok, err = endpoint:pause(2)
    assert.is_nil(ok)
    assert.equal("exiting", err.kind)
  end)

  it("gives nothing once it is closed, and ends what is in use", function()
    local idle, used = endpoint:acquire("log"), endpoint:acquire("log")
    endpoint:release(idle)
    endpoint:close()
    endpoint:close()
    assert.is_false(transports[1].open)
    assert.is_true(transports[2].is_shut)
    for _, method in ipairs { "checkout", "acquire", "pause" } do
      local result, err = endpoint[method](endpoint, 1)
      assert.is_nil(result)
      assert.equal("closed", err.kind)
    end
    endpoint:release(used)
    assert.is_false(transports[2].open)
  end)
end)

describe("the topology of one server", function()
  local function new(changes)
    return single_server.new(setmetatable(changes or {}, { __index = settings }),
      { open = function() return new_transport {} end }, events.new())
  end

  it("has every key at one endpoint, with no I/O", function()
    local topology = new()
    local endpoint = topology:endpoint("a")
    assert.equal(endpoint, topology:endpoint("b", 0))
    assert.equal("redis://h:7", topology:address())
    assert.equal(topology.abilities, endpoint:acquire("a").abilities)
  end)

  it("waits for a first connection until the server has answered, if it is to", function()
    assert.is_false(new():awaits_first())
    local topology = new { retry_first_connection = true }
    assert.is_true(topology:awaits_first())
    topology:endpoint("a"):note_ready()
    assert.is_false(topology:awaits_first())
  end)

  it("has what passes tried again there, and the rest told", function()
    local topology = new()
    local endpoint = topology:endpoint("a")
    for text, what in pairs {
      ["LOADING Redis is loading"] = "again", ["READONLY You can't write"] = "again",
      ["OOM command not allowed"] = "never", ["WRONGTYPE Operation against"] = "never",
      ["MOVED 866 127.0.0.1:7001"] = "never",
    } do
      assert.equal(what, topology:note(endpoint, Error.from_server(text)), text)
    end
    assert.equal("again", topology:note(endpoint, Error.new("connection", "lost")))
    assert.equal("never", topology:note(endpoint, Error.new("protocol", "no Redis")))
  end)

  it("closes the endpoint", function()
    local topology = new()
    topology:close()
    local connection, err = topology:endpoint("a"):acquire("a")
    assert.is_nil(connection)
    assert.equal("closed", err.kind)
    assert.is_nil(topology:pause(1))
  end)
end)
