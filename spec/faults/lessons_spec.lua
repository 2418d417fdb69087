--- What another library of this kind got wrong, as far as no other spec shows
--- that this one does not.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local schedulers = require "spec.support.scheduler"
local watch = require "spec.faults.watch"

local server

setup(function() server = redis.start() end)
teardown(function() server:stop() end)
before_each(function() server:call("FLUSHALL") end)

describe("a log of limited length", function()
  it("gives a slow follower each entry, or counts it among the missed", function()
    local COUNT = 5000
    local s = schedulers.new()
    local client = eventlog.connect { url = server.url, driver = s.wait }
    local log = eventlog.new(client, "log", { max_length = 100, batch_size = 50 })
    local delivered, missed, gaps, last = 0, 0, 0, 0
    s:spawn(function()
      local follower = log:tail_and_follow()
      assert.equal(0, #assert(follower:next(20)))
      s:spawn(function()
        for i = 1, COUNT, 10 do
          local entries = {}
          for j = 0, 9 do entries[#entries + 1] = { i = i + j } end
          assert(log:add_many(entries))
        end
      end)
      while last < COUNT do
        local batch = assert(follower:next(20))
        if batch.gap then
          gaps = gaps + 1
          missed = missed + batch.gap.missed
          assert.equal(batch[1].id, batch.gap.before)
          assert.equal(last + batch.gap.missed + 1, tonumber(batch[1].fields.i))
          last = last + batch.gap.missed
        end
        for _, entry in ipairs(batch) do
          last = last + 1
          assert(tonumber(entry.fields.i) == last)
        end
        delivered = delivered + #batch
        s:sleep(0.01)
      end
    end)
    s:run(60)
    assert.equal(COUNT, delivered + missed)
    assert(gaps > 0, "it was not slow")
    client:close()
  end)
end)

describe("a whole log", function()
  it("is asked for in pages, by whoever reads or follows it", function()
    server:call("EVAL", [[for i = 1, 10000 do
      redis.call('XADD', KEYS[1], '*', 'i', i) end]], 1, "log")
    local reads = {
      function(log) return #assert(log:tail()) end,
      function(log) return #assert(log:tail_n(10000)) end,
      function(log) return #assert(log:tail_from("1")) end,
      function(log) return #assert(log:tail_after("1")) end,
      function(log)
        local follower, count = log:tail_and_follow(), 0
        repeat
          local batch = assert(follower:next(20))
          count = count + #batch
        until batch.caught_up
        follower:close()
        return count
      end,
      function(log)
        local follower, count = log:tail_n_and_follow(10000), 0
        repeat
          local batch = assert(follower:next(20))
          count = count + #batch
        until batch.caught_up
        follower:close()
        return count
      end,
    }
    finally(function() server:call("CONFIG", "SET", "slowlog-log-slower-than", 10000) end)
    server:call("CONFIG", "SET", "slowlog-max-len", 10000)
    server:call("CONFIG", "SET", "slowlog-log-slower-than", 0) -- all of them
    for _, options in ipairs { {}, { batch_size = 300 }, { max_length = 10000 } } do
      local log = eventlog.new(server.url, "log", options)
      for _, read in ipairs(reads) do
        server:call("SLOWLOG", "RESET")
        assert.equal(10000, read(log))
        local pages, size = 0, options.batch_size or 1000
        for count in server:cli("SLOWLOG", "GET", -1):gmatch("COUNT\n(%d+)\n") do
          pages = pages + 1
          assert(tonumber(count) <= size + 1, count)
        end
        assert(pages >= 10000 / size)
      end
    end
  end)
end)

describe("a client with twenty followers", function()
  it("adds and reads all the same, whatever its pool", function()
    for _, pool_size in ipairs { 0, 1, 8 } do
      local s = schedulers.new()
      local client = eventlog.connect {
        url = server.url, driver = s.wait, pool_size = pool_size,
      }
      local name = "log" .. pool_size
      local waiting, results = 0, {}
      for i = 1, 20 do
        s:spawn(function()
          local follower = eventlog.new(client, name):tail_and_follow()
          assert(follower:next(20))
          waiting = waiting + 1
          results[i] = watch.follow_to(follower, 5)
          follower:close()
        end)
      end
      s:spawn(function()
        while waiting < 20 do s:sleep(0.01) end
        local log = eventlog.new(client, name)
        for i = 1, 5 do
          assert(log:add { i = i })
          assert.equal(i, log:length())
        end
      end)
      s:run(60)
      for i = 1, 20 do assert.equal(watch.up_to(5), results[i]) end
      client:close()
    end
  end)
end)
