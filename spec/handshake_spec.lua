--- What stands between a new connection and its first request.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"

describe("a handshake", function()
  local server

  setup(function() server = redis.start { config = "--requirepass secret" } end)
  teardown(function() server:stop() end)

  --- A connection that has been made with these settings.
  local function acquire(settings)
    settings.url = server.url
    local client = eventlog.connect(settings)
    finally(function() client:close() end)
    return client.topology:endpoint("log"):acquire("log")
  end

  it("keeps what the server says to each of its commands", function()
    local connection = assert(acquire {
      username = "default", password = "secret", client_name = "me", db = 3,
    })
    assert.same({ AUTH = "OK", CLIENT = "OK", SELECT = "OK" }, connection.said)
  end)

  it("says nothing that is not asked for", function()
    local connection, err = acquire { password = "wrong" }
    assert.is_nil(connection)
    assert.equal("WRONGPASS", err.code)
    connection = assert(acquire { password = "secret" })
    assert.same({ AUTH = "OK" }, connection.said)
  end)
end)
