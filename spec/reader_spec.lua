local core = require "eventlog.core"
local eventlog = require "eventlog"
local process = require "spec.support.process"
local redis = require "spec.support.redis"

local TOP = "18446744073709551615"

describe("a read", function()
  local server, client

  setup(function()
    -- Small nodes: trimming comes often, and hides entries in between.
    server = redis.start { config = "--stream-node-max-entries 10" }
    client = eventlog.connect(server.url)
  end)
  teardown(function()
    client:close()
    server:stop()
  end)
  before_each(function() server:call("FLUSHALL") end)

  local function new(name, options) return eventlog.new(client, name, options) end

  --- Adds n entries, numbered from `first` on; two of a millisecond each.
  local function fill(name, n, first)
    server:call("EVAL", [[
      for i = ARGV[1], ARGV[2] do
        redis.call('XADD', KEYS[1], 1000 + math.floor(i / 2) .. '-' .. i % 2, 'n', i)
      end]], 1, name, first or 1, (first or 1) + n - 1)
  end

  --- The numbers of entries, "3 4 5".
  local function numbers(entries)
    local list = {}
    for i, entry in ipairs(entries) do list[i] = entry.fields.n end
    return table.concat(list, " ")
  end

  --- "3 4 5"; "" where there is none.
  local function range(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = string.format("%d", i) end
    return table.concat(list, " ")
  end

  it("brings what is asked for: lengths, pages, starts", function()
    for _, size in ipairs { 0, 1, 22, 44 } do
      local name = "log" .. size
      fill(name, size)
      local ids = {}
      for i, entry in ipairs(assert(new(name):tail())) do ids[i] = entry.id end
      assert.equal(size, #ids)
      for _, max_length in ipairs { 0, 3, 25 } do
        local shown = max_length == 0 and size or math.min(size, max_length)
        for _, batch_size in ipairs { 1, 2, 7, 11, 1000 } do
          local log = new(name, { max_length = max_length, batch_size = batch_size })
          local function check(from, to, entries, err)
            assert(entries, err)
            local got, expected = numbers(entries), range(from, to)
            if got ~= expected then
              error(string.format("of %d, length %d, batch %d: %s, not %s", size, max_length,
                batch_size, got, expected), 2)
            end
          end
          check(size - shown + 1, size, log:tail())
          assert.equal(shown, log:length())
          for _, n in ipairs { 0, 1, 2, 7, 8, 16, 48, 5000 } do
            check(math.max(size - n, size - shown) + 1, size, log:tail_n(n))
          end
          for at = 1, size, math.max(1, math.floor(size / 4)) do
            check(math.max(at, size - shown + 1), size, log:tail_from(ids[at]))
            check(at + 1, size, log:tail_after(ids[at]))
          end
          if size > 0 then
            check(size, size, log:tail_from(ids[size]))
            check(1, 0, log:tail_after(ids[size]))
            assert.equal(ids[size], log:last_id())
          end
        end
      end
    end
  end)

  it("brings ids and fields as they are stored", function()
    local log = new("log")
    server:call("XADD", "log", "7-3", "b", "1", "a", "2", "b", "3", "", "")
    server:call("XADD", "log", TOP .. "-" .. TOP, "x", "\0\r\n")
    local first = { id = "7-3", fields = { a = "2", b = "3", [""] = "" } }
    local last = { id = TOP .. "-" .. TOP, fields = { x = "\0\r\n" } }
    assert.same({ first, last }, log:tail())
    assert.same({ last }, log:tail_n(1))
    assert.same({ first, last }, log:tail_from("7-3"))
    assert.same({ last }, log:tail_after("7-3"))
    assert.same({}, log:tail_after(TOP .. "-" .. TOP))
    assert.equal(TOP .. "-" .. TOP, log:last_id())
  end)

  it("starts from ids that no entry has", function()
    fill("log", 6) -- 1000-1 1001-0 1001-1 1002-0 1002-1 1003-0
    for _, max_length in ipairs { 0, 100 } do
      local log = new("log", { batch_size = 2, max_length = max_length })
      for _, case in ipairs {
        { "0", 1, 1 }, { "0-0", 1, 1 }, { "0-1", 1, 1 }, { "1000", 1, 1 }, { "1000-0", 1, 1 },
        { "1000-1", 1, 2 }, { "1000-2", 2, 2 }, { "1000-" .. TOP, 2, 2 }, { "1001", 2, 3 },
        { "1001-0", 2, 3 }, { "01001-00", 2, 3 }, { "1003", 6, 7 }, { "1003-0", 6, 7 },
        { "1003-1", 7, 7 }, { "9999", 7, 7 }, { TOP, 7, 7 }, { TOP .. "-" .. TOP, 7, 7 },
      } do
        assert.equal(range(case[2], 6), numbers(assert(log:tail_from(case[1]))), case[1])
        assert.equal(range(case[3], 6), numbers(assert(log:tail_after(case[1]))), case[1])
      end
    end
  end)

  it("of a log that was trimmed about, shows exactly its length", function()
    for _, batch_size in ipairs { 1, 7, 1000 } do
      local log = new("log", { max_length = 25, batch_size = batch_size })
      local ids = {}
      for i = 1, 60 do ids[i] = assert(log:add { n = i })[1] end
      assert(server:call("XLEN", "log") > 25)
      assert.equal(range(36, 60), numbers(assert(log:tail())))
      assert.equal(range(36, 60), numbers(assert(log:tail_n(1000))))
      assert.equal(range(59, 60), numbers(assert(log:tail_n(2))))
      assert.equal(range(36, 60), numbers(assert(log:tail_from(ids[1]))))
      assert.equal(range(40, 60), numbers(assert(log:tail_from(ids[40]))))
      assert.equal(range(40, 60), numbers(assert(log:tail_after(ids[39]))))
      -- All that Redis still holds.
      assert.equal(server:call("XLEN", "log"), #assert(log:tail_after("0")))
      assert.equal(25, log:length())
      log:delete()
    end
  end)

  it("of a missing log is empty, and makes none", function()
    for _, max_length in ipairs { 0, 5 } do
      local log = new("none", { max_length = max_length, batch_size = 2 })
      for _, call in ipairs { { "tail" }, { "tail_n", 5 }, { "tail_from", "0" },
        { "tail_after", "5-5" } } do
        assert.same({}, log[call[1]](log, call[2]))
      end
      assert.equal(0, log:length())
      assert.equal("0-0", log:last_id())
      assert.is_false(log:delete())
      assert.equal(0, server:call("EXISTS", "none"))
    end
  end)

  it("of none is empty, without I/O", function()
    assert.same({}, eventlog.new("unix:///nowhere/at/all", "log"):tail_n(0))
  end)

  it("of another type's key is an error, which leaves the key", function()
    server:call("SET", "log", "text")
    for _, options in ipairs { {}, { max_length = 5 }, { batch_size = 1, max_length = 5 } } do
      local log = new("log", options)
      for _, call in ipairs { { "tail" }, { "tail_n", 5 }, { "tail_from", "0" },
        { "tail_after", "5-5" }, { "length" }, { "last_id" }, { "delete" } } do
        local result, err = log[call[1]](log, call[2])
        assert.is_nil(result)
        assert.same({ "server", "WRONGTYPE", false }, { err.kind, err.code, err.retriable },
          call[1])
        assert.is_nil(err.outcome)
      end
    end
    assert.equal("text", server:call("GET", "log"))
  end)

  it("knows the last id of entries that are gone", function()
    local log = new("log")
    fill("log", 4)
    server:call("XDEL", "log", "1002-0")
    assert.equal("1002-0", log:last_id())
    assert.equal(3, log:length())
    server:call("XTRIM", "log", "MAXLEN", 0)
    assert.same({}, log:tail())
    assert.equal("1002-0", log:last_id())
    assert.equal(0, log:length())
    assert.is_true(log:delete()) -- an empty log is one, too
    assert.is_false(log:delete())
    assert.equal("0-0", log:last_id())
  end)

  it("goes around deleted entries, wherever a page ends", function()
    for _, batch_size in ipairs { 1, 2, 3, 7 } do
      for _, deleted in ipairs { "1", "2", "3", "7", "8", "12", "1 2 3", "2 3 4 5 6 7", "11 12" } do
        server:call("FLUSHALL")
        fill("log", 12)
        local left, is_left = {}, {}
        for n in deleted:gmatch("%d+") do
          server:call("XDEL", "log", string.format("%d-%d", 1000 + math.floor(n / 2), n % 2))
          is_left[tonumber(n)] = false
        end
        for n = 1, 12 do if is_left[n] == nil then left[#left + 1] = n end end
        local all = table.concat(left, " ")
        local log = new("log", { batch_size = batch_size })
        assert.equal(all, numbers(assert(log:tail())))
        assert.equal(all, numbers(assert(log:tail_n(12))))
        assert.equal(all, numbers(assert(log:tail_from("0"))))
        local limited = new("log", { batch_size = batch_size, max_length = #left - 1 })
        assert.equal((all:gsub("^%d+ ?", "")), numbers(assert(limited:tail())))
        assert.equal(#left - 1, limited:length())
      end
    end
  end)

  -- What happens to the log between its steps: spec/pages_spec.lua.

  it("is exact while others add and trim heavily", function()
    local MAX = 100
    local writer = process.start([[
      local url, max = ...
      local eventlog = require "eventlog"
      local client = eventlog.connect(url)
      local log = eventlog.new(client, "log", { max_length = tonumber(max) })
      local stop = eventlog.new(client, "stop")
      local n, sizes = 0, { 1, 10, 3, 50, 1, 1, 25 }
      for round = 1, 1e9 do
        local entries = {}
        for i = 1, sizes[round % #sizes + 1] do
          n = n + 1
          entries[i] = { n = n }
        end
        assert(log:add_many(entries))
        if round % 20 == 0 and assert(stop:length()) > 0 then break end
      end
      print(n)
    ]], nil, server.url, MAX)
    repeat core.wait(-1, "r", 0.002) until server:call("XLEN", "log") >= MAX

    local function check(entries, exactly)
      if exactly and #entries ~= exactly then
        error(string.format("%d entries, not %d", #entries, exactly), 2)
      end
      for i = 2, #entries do
        if tonumber(entries[i].fields.n) ~= tonumber(entries[i - 1].fields.n) + 1 then
          error(string.format("%s behind %s", entries[i].fields.n, entries[i - 1].fields.n), 2)
        end
      end
      return entries
    end
    local reached = 0
    for round = 1, 10 do
      for _, batch_size in ipairs { 2, 7, 30, 1000 } do
        local log = new("log", { batch_size = batch_size, max_length = MAX })
        local whole = new("log", { batch_size = batch_size })
        local entries = check(assert(log:tail()), MAX)
        reached = tonumber(entries[MAX].fields.n)
        assert.equal(MAX, log:length())
        check(assert(log:tail_n(round)), round)
        assert(#check(assert(whole:tail())) >= MAX)
        assert(#check(assert(log:tail_after("0"))) >= MAX)
        assert(#check(assert(log:tail_from(entries[MAX].id))) <= MAX)
        local newer = check(assert(whole:tail_after(entries[MAX].id)))
        -- What was not trimmed in between joins what was read.
        if newer[1] then assert(tonumber(newer[1].fields.n) > reached) end
      end
    end
    new("stop"):add { stop = true }
    assert(tonumber(writer:wait()) >= reached)
  end)
end)
