local redis = require "spec.support.redis"
local FIELD_LIMIT = require "eventlog.command.field_limit"
local scripts = require "eventlog.command.scripts"
local once_script = require "eventlog.command.once_script"

describe("a script", function()
  local server

  setup(function() server = redis.start() end)
  teardown(function() server:stop() end)

  it("compiles, and has the sha by which the server knows it", function()
    local with_sha = 0
    local all = { add_once = once_script }
    for name, script in pairs(scripts) do all[name] = script end
    for name, script in pairs(all) do
      if type(script) == "table" then
        local sha = server:call("SCRIPT", "LOAD", script.body)
        assert(sha:find("^%x+$") and #sha == 40, name .. ": " .. sha)
        if script.sha then
          assert.equal(sha, script.sha, name)
          with_sha = with_sha + 1
        end
      end
    end
    assert(with_sha > 0)
  end)

  it("takes as many fields as the frontend gives it", function()
    local values = {}
    for i = 1, 2 * FIELD_LIMIT do values[i] = tostring(i) end
    local add = scripts.add_with_ttl
    local id = server:call("EVAL", add.body, 1, "log", 100000, "MAXLEN", "~", 10, "*",
      (table.unpack or unpack)(values))
    assert(id:find("^%d+%-%d+$"), id)
  end)
end)
