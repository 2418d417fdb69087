local Pool = require "eventlog.topology.pool"

--- A pool of so many for so long, and the list of what it dropped.
local function new_pool(most, seconds)
  local dropped = {}
  return Pool.new(most, seconds, function(thing) dropped[#dropped + 1] = thing end), dropped
end

describe("a pool", function()
  it("gives what was put in last, and nothing twice", function()
    local pool, dropped = new_pool(3, 60)
    assert.is_nil(pool:take(0))
    for i = 1, 3 do pool:put(i, 0) end
    assert.equal(3, pool:take(0))
    pool:put(4, 0)
    assert.equal(4, pool:take(0))
    assert.equal(2, pool:take(0))
    assert.equal(1, pool:take(0))
    assert.is_nil(pool:take(0))
    assert.same({}, dropped)
  end)

  it("holds so many, and drops what is one too many", function()
    for most = 0, 3 do
      local pool, dropped = new_pool(most, 60)
      for i = 1, 5 do pool:put(i, 0) end
      local left = {}
      for i = most + 1, 5 do left[#left + 1] = i end
      assert.same(left, dropped)
      for i = most, 1, -1 do assert.equal(i, pool:take(0)) end
      assert.is_nil(pool:take(0))
    end
  end)

  it("drops what nobody needed for so long when something is put in", function()
    local pool, dropped = new_pool(10, 60)
    for i = 1, 5 do pool:put(i, i) end
    for now = 6, 100 do -- one is in use all the time
      local thing = pool:take(now)
      assert.equal(5, thing)
      pool:put(thing, now)
      assert.equal(math.min(math.max(now - 61, 0), 4), #dropped)
    end
    assert.same({ 1, 2, 3, 4 }, dropped)
  end)

  it("gives nothing that is too old", function()
    local pool, dropped = new_pool(10, 60)
    for i = 1, 3 do pool:put(i, i) end
    assert.equal(3, pool:take(63))
    assert.is_nil(pool:take(63.5))
    assert.same({ 1, 2 }, dropped)
    pool:put(4, 64)
    assert.equal(4, pool:take(64))
  end)

  it("drops all of it", function()
    local pool, dropped = new_pool(10, 60)
    for i = 1, 3 do pool:put(i, i) end
    pool:clear()
    assert.same({ 1, 2, 3 }, dropped)
    assert.is_nil(pool:take(3))
  end)

  it("is whole after an error in what drops", function()
    local dropped = {}
    local pool = Pool.new(10, 60, function(thing)
      dropped[#dropped + 1] = thing
      error("no", 0)
    end)
    for i = 1, 3 do pool:put(i, 0) end
    for _ = 1, 3 do assert.is_false(pcall(pool.put, pool, "new", 100)) end
    pool:put("new", 100)
    assert.equal("new", pool:take(100))
    assert.is_nil(pool:take(100))
    assert.same({ 1, 2, 3 }, dropped)
  end)
end)
