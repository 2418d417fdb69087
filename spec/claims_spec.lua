--- Replies that claim to be longer than anything that ever comes: they take as
--- much memory as did come, and no more.

local peer = require "spec.support.peer"
local process = require "spec.support.process"

describe("what a server claims", function()
  -- Against real sockets, in a process of its own, which then says how many
  -- kilobytes it has grown by since its first failure.
  local CLIENT = [[
    local eventlog = require "eventlog"
    local urls = { ... }
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
    for i, url in ipairs(urls) do
      for _, call in ipairs(calls) do
        -- What the peer says ends a call, or that it hangs up: never the timeout,
        -- however late a busy machine lets the peer speak. What asks again, for a
        -- smaller page, does not do so for long.
        local client = eventlog.connect { url = url, timeout = 60, reconnect_timeout = 1e-9 }
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
  --- made the process grow. Each: what a peer says before it hangs up, and the
  --- kind of the error: "connection" if the client takes in all of it and waits for
  --- the rest of what it claims.
  local function growth(cases)
    local peers, urls, expected = {}, {}, {}
    finally(function()
      for _, fake in ipairs(peers) do fake:stop() end
    end)
    for i, case in ipairs(cases) do
      peers[i] = peer.start { awaits = "*", says = case[1], closes = true }
      urls[i] = peers[i].url
      for _ = 1, CALLS do expected[#expected + 1] = i .. "\t" .. case[2] end
    end
    local output = process.start(CLIENT, nil, (table.unpack or unpack)(urls)):wait()
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
