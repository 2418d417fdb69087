--- The clock, random numbers, name look-up and the process's id come from one file.

local redis = require "spec.support.redis"

describe("what the library takes from the machine", function()
  for _, name in ipairs { "now", "pid", "random", "addresses" } do
    it("is asked of base/system.lua only: " .. name, function()
      assert.equal("lua/eventlog/base/system.lua\n",
        redis.sh("grep -rlE '\\bcore\\.%s\\b' lua", name) .. "\n")
    end)
  end

  it("is not Lua's own clock, nor its random numbers", function()
    assert.equal("", redis.sh("grep -rnE 'os\\.(time|clock)|math\\.random' lua || :"))
  end)
end)
