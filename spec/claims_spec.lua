--- Replies that claim to be longer than anything that ever comes: they take as
--- much memory as did come, and no more.

local peer = require "spec.support.peer"
local process = require "spec.support.process"

describe("what a server claims", function()
  -- Against real sockets, in a process of its own, which then says how many
  -- kilobytes it has grown by since its first failure.
  local CLIENT = [[
    local eventlog = require "eventlog"
    local url, count = ...
    local function peak()
      for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmHWM:%s*(%d+)")
        if kilobytes then return tonumber(kilobytes) end
      end
    end
    local calls = {
      function(log) return log:add { n = 1 } end,
      function(log) return log:add({ n = 1 }, { n = 2 }) end,
      function(log) return log:add_if("1-1", { n = 1 }) end,
      function(log) return log:tail() end,
      function(log) return log:last_id() end,
      function(log) return log:tail_and_follow():next(60) end,
      function(log) return log:tail_n_and_follow(5):next(60) end,
    }
    local before
    for i = 1, count do
      for _, call in ipairs(calls) do
        -- A page that claims too much is not asked for again in that time.
        local client = eventlog.connect { url = url, timeout = 0.02, reconnect_timeout = 1e-9 }
        local result, err = call(eventlog.new(client, "log"))
        print(i, result == nil and err.kind or "taken")
        client:close()
      end
      before = before or peak()
    end
    print("grown", peak() - before)
  ]]
  local CALLS = 7

  --- Has each call fail on each of these, and returns by how many kilobytes that
  --- made the process grow. Each: what the peer says before it falls silent, and
  --- the kind of the error.
  local function growth(cases)
    local steps, expected = {}, {}
    for i, case in ipairs(cases) do
      for _ = 1, CALLS do
        steps[#steps + 1] = { awaits = "*", says = case[1] }
        expected[#expected + 1] = i .. "\t" .. case[2]
      end
    end
    local fake = peer.start(steps)
    finally(function() fake:stop() end)
    local output = process.start(CLIENT, nil, fake.url, #cases):wait()
    local outcomes, grown = output:match("^(.*)\ngrown\t(%d+)")
    assert(outcomes, output)
    assert.equal(table.concat(expected, "\n"), outcomes)
    return tonumber(grown)
  end

  it("takes no memory", function()
    local grown = growth {
      { "HTTP/1.1 400\r\n", "protocol" }, -- the first, after which it is measured
      -- Below max_reply; what claims more than that is refused at once.
      { "$1000000000\r\nabc", "connection" }, { "*200000000\r\n:1\r\n", "connection" },
      { "*1\r\n*2\r\n$3\r\n1-1\r\n*200000000\r\n", "connection" },
      { ("*20000000\r\n"):rep(8), "connection" },
      { ("*20000000\r\n"):rep(9), "protocol" },
      { "$9999999999\r\nabc", "protocol" }, { "*9999999999\r\n:1\r\n", "protocol" },
      { "%2000000000\r\n", "protocol" }, { "$-2000000000\r\n", "protocol" },
    }
    assert(grown < 8 * 1024, grown .. " kB")
  end)

  it("takes as much as came, and a line little", function()
    local grown = growth {
      { "HTTP/1.1 400\r\n", "protocol" },
      { "$1000000000\r\n" .. ("x"):rep(1e5), "connection" },
      { "*200000000\r\n" .. ("$-1\r\n"):rep(2e4), "connection" },
      { "+" .. ("x"):rep(1e5), "protocol" }, { "-" .. ("x"):rep(1e5), "protocol" },
      { ":" .. ("1"):rep(1e5), "protocol" }, { "$" .. ("\0"):rep(1e5), "protocol" },
    }
    assert(grown < 16 * 1024, grown .. " kB")
  end)
end)
