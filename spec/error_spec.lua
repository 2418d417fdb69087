--- What errors are made of Redis's own words: the texts of Redis 5, 6 and 7, as
--- they come from a command, from a script and from EXEC.

local Error = require "eventlog.base.error"
local eventlog = require "eventlog"
local played = require "spec.support.played"
local redis = require "spec.support.redis"

local bulk, array = played.bulk, played.array

-- The text, and the code, whether it can pass, and the message.
local READONLY = "READONLY You can't write against a read only replica."
local SHA = "1028a5dba704e1d8a01fd96efeba25bb78f62df2"
local texts = {
  { READONLY, "READONLY", true, READONLY },
  -- redis.pcall and redis.call, before Redis 7; its newline comes as two spaces.
  { "@user_script: 43: -" .. READONLY .. "  ", "READONLY", true, READONLY },
  { "ERR Error running script (call to f_" .. SHA .. "): @user_script:4: @user_script: 4: -" ..
    READONLY .. "  ", "READONLY", true, READONLY },
  { "ERR Error running script (call to " .. SHA .. "): @user_script:2: -" .. READONLY,
    "READONLY", true, READONLY },
  -- redis.call, since.
  { READONLY .. " script: " .. SHA .. ", on @user_script:1.", "READONLY", true, READONLY },
  { "EXECABORT Transaction discarded because of: " .. READONLY, "READONLY", true, READONLY },
  { "EXECABORT Transaction discarded because of previous errors.", "EXECABORT", false },
  { "ERR Transaction contains write commands but instance is now a read-only slave. " ..
    "EXEC aborted.", "READONLY", true },
  { "@user_script: 9: -OOM command not allowed when used memory > 'maxmemory'.  ", "OOM", true,
    "OOM command not allowed when used memory > 'maxmemory'." },
  { "@user_script: 9: -MISCONF Redis is configured to save RDB snapshots  ", "MISCONF", true },
  { "@user_script: 9: -LOADING Redis is loading the dataset in memory  ", "LOADING", true },
  { "ERR Error running script (call to f_" .. SHA .. "): @user_script:1: WRONGTYPE Operation " ..
    "against a key holding the wrong kind of value", "WRONGTYPE", false },
  -- Redis 6, and 7.0; later ones.
  { "@user_script: 3: The user executing the script can't run this command or subcommand",
    "NOPERM", false },
  { "@user_script: 3: The user executing the script can't access at least one of the keys " ..
    "mentioned in the command arguments", "NOPERM", false },
  { "ERR The user executing the script can't run this command or subcommand script: " .. SHA ..
    ", on @user_script:1.", "NOPERM", false },
  { "ERR ACL failure in script: User u has no permissions to run the 'xadd' command",
    "NOPERM", false },
  { "NOPERM this user has no permissions to run the 'xadd' command or its subcommand",
    "NOPERM", false },
  { "ERR user_script:4: attempt to index a nil value script: " .. SHA ..
    ", on @user_script:4.", "ERR", false },
  { "ERR max number of clients reached", "ERR", true },
  { "-5 is what it says", nil, false },
}

describe("an error of the server", function()
  it("has Redis's own prefix, wherever it stands", function()
    for _, case in ipairs(texts) do
      local err = Error.from_server(case[1])
      assert.same({ "server", case[2], case[3] }, { err.kind, err.code, err.retriable },
        case[1])
      if case[4] then assert.equal(case[4], err.message) end
      local landed = Error.from_add("LANDED " .. case[1])
      assert.same({ case[2], "unknown" }, { landed.code, landed.outcome })
      assert.equal("none", Error.from_add(case[1]).outcome)
    end
  end)

  it("is unsupported if the server lacks a command, and holds nothing of ours", function()
    for _, text in ipairs {
      "ERR unknown command 'EVAL', with args beginning with: 'local secret' '1' 'log' ",
      "ERR unknown command `EVAL`, with args beginning with: `local secret`, `1`, ",
      "ERR unknown command 'eval'", "ERR Unknown command 'EVAL'",
    } do
      local err = Error.from_server(text)
      assert.same({ "unsupported", false }, { err.kind, err.retriable })
      assert.is_nil(err.code)
      assert(err.message:lower():find("unknown command eval:", 1, true), err.message)
      assert.is_nil(err.message:find("secret", 1, true))
    end
    for _, text in ipairs { "@user_script: 4: Unknown Redis command called from Lua script",
      "ERR Unknown Redis command called from script script: " .. SHA .. ", on @user_script:1." } do
      assert.equal("unsupported", Error.from_server(text).kind)
    end
  end)

  it("is unsupported if it is of a Redis Cluster, and says where the log is", function()
    for _, text in ipairs { "MOVED 15495 127.0.0.1:7001", "ASK 15495 127.0.0.1:7001" } do
      local err = Error.from_add(text)
      assert.same({ "unsupported", "none", false }, { err.kind, err.outcome, err.retriable })
      assert(err.message:find("this is a Redis Cluster", 1, true))
      assert(err.message:find("127.0.0.1:7001", 1, true))
    end
    assert.equal("CLUSTERDOWN", Error.from_server("CLUSTERDOWN The cluster is down").code)
  end)

  it("of a demotion is waited out by an idempotent add, whatever the Redis", function()
    for i = 1, 5 do
      local client, streams = played.client({}, { "-" .. texts[i][1] .. "\r\n" },
        { array(bulk "ok", bulk "5-1") })
      local log = eventlog.new(client, "log", { idempotent = true })
      assert.same({ "5-1" }, log:add { n = 1 })
      assert(#streams >= 1)
      client:close()
    end
  end)

  it("is NOPERM if a user may not do what a script does", function()
    local server = redis.start()
    finally(function() server:stop() end)
    for _, case in ipairs {
      { "-xadd", { ttl = 5 } }, { "-pexpire", { ttl = 5 } }, { "-xadd", { idempotent = true } },
      { "-hset", { idempotent = true } }, { "-time", { idempotent = true } },
    } do
      for n = 1, 2 do
        server:call("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", "+@all", case[1])
        local log = eventlog.new("unix://u:p@" .. server.path, "log", case[2])
        local _, err = log:add_many(n == 1 and { { n = 1 } } or { { n = 1 }, { n = 2 } })
        assert.same({ "server", "NOPERM", "none", false },
          { err.kind, err.code, err.outcome, err.retriable }, case[1] .. err.message)
        assert.equal(0, server:call("XLEN", "log"))
        log.client:close()
      end
    end
  end)
end)
