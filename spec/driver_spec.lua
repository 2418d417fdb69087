--- Every driver, outside of nginx: what spec/support/contract.lua says holds in
--- each, and what is a driver's own.

local helper = require "spec.support.helper"
local redis = require "spec.support.redis"
local contract = require "spec.support.contract"
local drivers = require "spec.support.drivers"
local core = require "eventlog.core"
local eventlog = require "eventlog"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)

for _, name in ipairs(drivers.names) do
  describe("driver " .. name, function()
    local harness, env

    setup(function()
      harness = drivers.start(name)
      env = {
        eventlog = eventlog,
        target = { path = server.path, driver = harness.driver },
        cli = function(...) return server:cli(...) end,
        signal = function(signal) server:signal(signal) end,
        sleep = harness.sleep,
        now = core.now,
        iterates = helper.yields_anywhere or not harness.concurrent,
        spawn = harness.spawn,
        join = harness.join,
        abandon = harness.abandon,
      }
    end)

    teardown(function() harness.stop() end)

    before_each(function() server:cli("FLUSHALL") end)

    after_each(function() server:signal("CONT") end)

    for _, case in ipairs(contract.cases) do
      it(case.name, function()
        if contract.can_run(case, env) then
          harness.run(function() case.run(env) end)
        end
      end)
    end
  end)
end
