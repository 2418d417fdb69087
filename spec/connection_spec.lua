--- How long a connection waits for a server that says nothing: by a clock and a
--- transport of our own.

local Connection = require "eventlog.session.connection"
local core = require "eventlog.core"
local system = require "eventlog.base.system"

describe("a connection whose server", function()
  local now, real_now = 0, nil

  before_each(function()
    now, real_now = 0, system.now
    system.now = function() return now end
  end)

  after_each(function()
    system.now = real_now
  end)

  --- A connection over a transport that plays these steps: after how many seconds
  --- of silence bytes come; `whole` where they end a reply.
  ---@param settings table? other ones
  local function connect(steps, settings)
    local heard, at = 0, 1
    local transport = {}
    function transport:connect() return self ~= nil end
    function transport:is_reused() return self == nil end
    function transport:send(request) -- luacheck: no self
      request:clear()
      return true, 0
    end
    function transport:reply(_, limit) -- luacheck: no self
      local step = steps[at]
      if not step or heard + step[1] > limit then
        now = limit
        return false
      end
      at = at + 1
      now = math.max(now, heard + step[1])
      heard = now
      return step.whole and "status" or true
    end
    function transport:last_read_at() return self and heard end
    function transport:close() self.closed = true end
    local connection = Connection.new(transport, settings or {
      host = "h", port = 1, db = 0, timeout = 5, connect_timeout = 5,
    })
    return connection, connection:establish()
  end

  local function ask(connection, replies, read_timeout, taker)
    local request = core.request()
    request:command("PING")
    assert.is_true(connection:send(request, replies, read_timeout, taker))
  end

  it("never ends what it says holds nobody a second longer than was asked for", function()
    local connection = connect {}
    ask(connection, 1)
    connection.transport.reply = function()
      now = now + 0.01
      return true
    end
    for _, timeout in ipairs { 0, 0.2, 30 } do
      local began = now
      local kind, err = connection:reply(now + timeout)
      assert.same({ nil, "timeout" }, { kind, err.kind })
      assert(now - began >= timeout and now - began < timeout + 1, now - began)
    end
  end)

  it("is silent is given up after its timeout", function()
    local connection = connect {}
    ask(connection, 1)
    local kind, err = connection:reply()
    assert.same({ nil, "connection", 5 }, { kind, err.kind, now })
    assert.truthy(tostring(err):find("no answer for 5 s", 1, true))
  end)

  it("says a little now and then is waited for, until it falls silent", function()
    local connection = connect { { 4 }, { 4 }, { 4 } }
    ask(connection, 1)
    local kind, err = connection:reply()
    assert.same({ nil, "connection", 17 }, { kind, err.kind, now })

    now = 0
    connection = connect { { 4 }, { 4 }, { 4, whole = true }, { 4, whole = true } }
    ask(connection, 2)
    assert.equal("status", connection:reply())
    assert.equal("status", connection:reply())
    assert.equal(16, now)
  end)

  it("may take longer over a request has that time, whatever comes before", function()
    local connection = connect { { 1, whole = true } }
    ask(connection, 2, 15)
    assert.equal("status", connection:reply())
    local kind, err = connection:reply()
    assert.same({ nil, "connection", 15 }, { kind, err.kind, now })
  end)

  it("may take less time over a request has no more, whatever came before", function()
    local connection = connect { { 1, whole = true } }
    ask(connection, 1)
    assert.equal("status", connection:reply())
    ask(connection, 1, 3)
    local kind, err = connection:reply()
    assert.same({ nil, "connection", 4 }, { kind, err.kind, now })
  end)

  it("falls silent amid a request of less time has no more than that", function()
    local connection = connect { { 1 } }
    ask(connection, 1, 3)
    local kind, err = connection:reply()
    assert.same({ nil, "connection", 4 }, { kind, err.kind, now })
    assert.truthy(tostring(err):find("no answer for 3 s", 1, true))
  end)

  it("does not answer the greeting is given up after connect_timeout", function()
    local _, ok, err = connect({}, {
      host = "h", port = 1, db = 1, timeout = 5, connect_timeout = 2,
    })
    assert.same({ nil, "connection", 2 }, { ok, err.kind, now })
    assert.truthy(tostring(err):find("no answer for 2 s", 1, true))
  end)

  it("is silent does not hold up its caller", function()
    local connection = connect { { 1 } }
    ask(connection, 1)
    local kind, err = connection:reply(3)
    assert.same({ nil, "timeout", 3 }, { kind, err.kind, now })
    kind, err = connection:reply(4)
    assert.same({ nil, "timeout", 4 }, { kind, err.kind, now })
    kind, err = connection:reply(10)
    assert.same({ nil, "connection", 6 }, { kind, err.kind, now })
  end)

  it("says whose each reply is, in the order of the requests", function()
    local connection = connect {
      { 1, whole = true }, { 1, whole = true }, { 1, whole = true }, { 1, whole = true },
    }
    ask(connection, 1, nil, "a")
    ask(connection, 2, nil, "b")
    assert.equal(3, connection.owed)
    local got = {}
    for i = 1, 3 do
      if i == 3 then ask(connection, 1) end -- whoever asks reply()
      got[i] = select(2, connection:reply())
    end
    assert.same({ "a", "b", "b" }, got)
    assert.same({ "status", false }, { connection:reply() })
    assert.equal(0, connection.owed)
  end)

  it("says what nobody asked for is left, or heard by who takes that", function()
    local connection = connect { { 1, whole = true } }
    connection.io_deadline, connection.asked_at = 5, 0
    connection.unasked = "messages"
    assert.same({ "status", "messages" }, { connection:reply() })

    connection = connect { { 1, whole = true } }
    connection.io_deadline, connection.asked_at = 5, 0
    local kind, err = connection:reply()
    assert.same({ nil, "protocol" }, { kind, err.kind })
    assert.truthy(tostring(err):find("nobody asked for", 1, true))
  end)
end)
