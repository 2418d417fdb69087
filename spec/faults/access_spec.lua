--- What does not pass by itself ends followers and idempotent adds at once, also
--- where it was otherwise before.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local watch = require "spec.faults.watch"

local server

local function start(config)
  server = redis.start { config = config }
  finally(function() server:stop() end)
end

--- A log on a client of that user, or of none; and how often its followers tried
--- again.
local function new_log(user)
  local tries = { count = 0 }
  return eventlog.new({
    url = "unix://" .. (user or "") .. server.path, reconnect_timeout = 5,
    on_event = function(event)
      if event.kind == "reconnecting" then tries.count = tries.count + 1 end
    end,
  }, "log"), tries
end

--- A follower that has seen the log, and waits.
local function attached(log)
  server:call("XADD", "log", "*", "i", 1)
  local follower = log:tail_and_follow()
  assert.equal("1", watch.tells(follower))
  watch.waits(follower)
  return follower
end

describe("what does not pass by itself", function()
  --- Changes what the user may, in each way; the error's code.
  local ways = {
    { "a password that was changed", "WRONGPASS", "resetpass", ">other" },
    { "a user that was switched off", "WRONGPASS", "off" },
    { "a command that was forbidden", "NOPERM", "-xread", "-xadd", "-evalsha" },
    { "a key that was forbidden", "NOPERM", "resetkeys", "~other" },
  }

  --- Or the follower would never ask again, or log in.
  local function kill_clients() server:call("CLIENT", "KILL", "TYPE", "normal") end

  --- The follower, and adds to the logs, end with this error.
  local function ends(code, follower, tries, ...)
    local batch, err = follower:next(20)
    assert.is_nil(batch)
    assert.same({ "server", code, false }, { err.kind, err.code, err.retriable })
    assert.equal(err, select(2, follower:next(20)))
    assert.equal(1, tries.count) -- the connection was lost once
    assert.is_false(pcall(follower))
    for _, one in ipairs { ... } do
      local ids
      ids, err = one:add({ i = 0 }, { i = 0 })
      assert.is_nil(ids)
      assert.same({ "server", code, "none", false },
        { err.kind, err.code, err.outcome, err.retriable })
    end
  end

  for _, way in ipairs(ways) do
    it("ends a follower, and idempotent adds, at once: " .. way[1], function()
      start()
      server:call("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all")
      local log, tries = new_log("u:p@")
      local once = eventlog.new(log.client, "log", { idempotent = true })
      local follower = attached(log)
      server:call("ACL", "SETUSER", "u", (table.unpack or unpack)(way, 3))
      kill_clients()
      ends(way[2], follower, tries, log, once)
      assert.equal(1, server:call("XLEN", "log"))
    end)
  end

  it("ends a follower, and idempotent adds, at once: a user that was deleted", function()
    start()
    server:call("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all")
    local log, tries = new_log("u:p@")
    local follower = attached(log)
    server:call("ACL", "DELUSER", "u")
    ends("WRONGPASS", follower, tries, log,
      eventlog.new(log.client, "log", { idempotent = true }))
  end)

  it("ends a follower, and adds, at once: a password that is wanted now", function()
    start()
    local log, tries = new_log()
    local follower = attached(log)
    server:call("CONFIG", "SET", "requirepass", "secret")
    kill_clients()
    ends("NOAUTH", follower, tries, log)
  end)

  -- Of more than 10 words Redis says "unauthenticated multibulk length" instead.
  it("ends idempotent adds at once, with the same error: a password that is wanted now",
    function()
      start("--requirepass secret")
      local ids, err = eventlog.new(server.url, "log", { idempotent = true }):add { i = 1 }
      assert.is_nil(ids)
      assert.same({ "server", "NOAUTH", "none", false },
        { err.kind, err.code, err.outcome, err.retriable }, err.message)
    end)
end)

describe("a user who may only read", function()
  -- With every command, or with those that reading takes.
  local READERS = {
    { "on", ">p", "%R~log*", "+@all" },
    { "on", ">p", "%R~log*", "+xread", "+xrange", "+xrevrange", "+xlen", "+exists",
      "+xinfo", "+eval_ro", "+evalsha_ro" },
  }

  local function set_user(...)
    server:call("ACL", "SETUSER", "u", ...)
  end

  --- A follower of each kind, begun by this client, hands out what is there.
  local function follows(client)
    for name, at in pairs { tail_and_follow = "", tail_n_and_follow = 5,
      tail_from_and_follow = "1-1", tail_after_and_follow = "0-0" } do
      local log = eventlog.new(client, "log")
      local follower = log[name](log, at)
      assert.equal("1", watch.tells(follower))
      follower:close()
    end
  end

  for i, reader in ipairs(READERS) do
    it("follows, by scripts that only read: user " .. i, function()
      start()
      set_user((table.unpack or unpack)(reader))
      server:call("XADD", "log", "1-1", "i", 1)
      local log = new_log("u:p@")
      follows(log.client)
      assert.equal(1, #assert(log:tail()))
      assert.equal("1-1", assert(log:last_id()))
      local err = select(2, log:add { i = 2 })
      assert.same({ "NOPERM", "none" }, { err.code, err.outcome })
      -- The client has learned it: the server is asked in no other way again.
      server:call("CONFIG", "RESETSTAT")
      follows(log.client)
      local calls = server:call("INFO", "commandstats")
      assert.is_nil(calls:find("cmdstat_eval:", 1, true))
      assert.is_nil(calls:find("cmdstat_evalsha:", 1, true))
    end)
  end

  it("goes on following when write access is taken and given, either way", function()
    start()
    set_user("on", ">p", "~log*", "+@all")
    local log = new_log("u:p@")
    local follower = attached(log)
    set_user("resetkeys", "%R~log*")
    for i = 2, 4 do
      server:call("CLIENT", "KILL", "TYPE", "normal")
      server:call("XADD", "log", "*", "i", i)
      assert.equal(tostring(i), watch.tells(follower))
      watch.waits(follower)
      if i == 3 then set_user("~log*", "-eval_ro", "-evalsha_ro") end
    end
  end)

  it("is told of the command that every server knows when neither may be used", function()
    start()
    set_user("on", ">p", "~log*", "+@all", "-eval", "-eval_ro")
    server:call("XADD", "log", "1-1", "i", 1)
    local err = select(2, new_log("u:p@"):tail_and_follow():next(20))
    assert.same({ "server", "NOPERM", false }, { err.kind, err.code, err.retriable })
    assert.matches("'eval'", err.message, 1, true)
  end)
end)
