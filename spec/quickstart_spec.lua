local helper = require "spec.support.helper"
local redis = require "spec.support.redis"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local example = read("examples/quickstart.lua")

describe("the quickstart", function()
  it("is the README's first example", function()
    assert.equal(example, read("README.md"):match("\n```lua\n(.-)```"))
  end)

  it("prints what is there and what comes, until Ctrl-C", function()
    local server = redis.start()
    finally(function() server:stop() end)
    local program, replaced =
      example:gsub("redis://127%.0%.0%.1:6379", server.url)
    assert.equal(1, replaced)

    local process = helper.spawn(program)
    local function line()
      return (process:line():gsub("^%d+%-%d+\t", ""))
    end
    assert.equal("Oslo\t-3.5", line())
    assert.equal("Lima\t19.8", line())
    assert.equal("Cairo\t31", line())
    server:cli("XADD", "weather", "*", "station", "Nuuk", "temperature", "-12")
    assert.equal("Nuuk\t-12", line())
    process:signal("INT")
    local output, status = process:finish()
    assert.matches("interrupted!", output, 1, true)
    assert.equal(1, status)
  end)
end)
