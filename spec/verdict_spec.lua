--- What an error means for whoever asked.

local Error = require "eventlog.base.error"
local abilities = require "eventlog.topology.abilities"
local verdict = require "eventlog.command.verdict"

local server = Error.from_server

local noscript = server "NOSCRIPT No matching script"
local noperm = server "NOPERM this user has no permissions to run the 'eval' command"
local unknown = server "ERR unknown command 'EVAL_RO', with args beginning with: 'x'"
local wrong_type = server "WRONGTYPE Operation against a key"

describe("the error of a script", function()
  local can
  before_each(function() can = abilities.new() end)

  it("has it sent whole if the server has forgotten it, by whatever command", function()
    for _, command in ipairs { false, "EVALSHA", "EVALSHA_RO" } do
      assert.equal("whole", (verdict.of_script(noscript, can, command or nil)))
      assert.equal("", can.reads_by)
    end
  end)

  it("has one that only reads called the other way if the user may not, and that noted", function()
    assert.equal("other_way", (verdict.of_script(noperm, can, "EVALSHA")))
    assert.equal("_RO", can.reads_by)
    assert.equal("other_way", (verdict.of_script(noperm, can, "EVALSHA_RO")))
    assert.equal("", can.reads_by)
  end)

  it("is the first one, if the other way is refused, too, and none is noted for good", function()
    for _, second in ipairs { noperm, unknown } do
      can = abilities.new()
      assert.equal("other_way", (verdict.of_script(noperm, can, "EVAL")))
      local how, final = verdict.of_script(second, can, "EVAL_RO", noperm)
      assert.is_nil(how)
      assert.equal(noperm, final)
      assert.equal("", can.reads_by)
    end
  end)

  it("is final if the server forgets even what it is sent whole", function()
    for _, command in ipairs { "EVAL", "EVAL_RO" } do
      local how, final = verdict.of_script(noscript, can, command)
      assert.is_nil(how)
      assert.equal(noscript, final)
    end
  end)

  it("is final if it is another one, or the script also writes", function()
    for _, case in ipairs {
      { wrong_type, "EVALSHA" }, { unknown, "EVALSHA" }, { noperm }, { wrong_type },
      { Error.new("connection", "lost"), "EVALSHA" },
    } do
      local how, final = verdict.of_script(case[1], can, case[2])
      assert.is_nil(how)
      assert.equal(case[1], final)
      assert.equal("", can.reads_by)
    end
  end)
end)

describe("what became of a change", function()
  local function sized(size) return { size = function() return size end } end

  it("is nothing, if the server said so, or cannot have all of the request", function()
    for _, case in ipairs {
      { wrong_type, 0 }, { noscript, 0 }, { server "MOVED 866 127.0.0.1:7001", 0 },
      { Error.new("connection", "lost"), 1 }, { Error.new("closed", "closed"), 9 },
      { Error.from_add "OOM command not allowed", 0 },
    } do
      assert.equal("none", verdict.outcome(case[1], sized(case[2])), case[1].message)
    end
  end)

  it("is not known, if the server had the request and did not answer it", function()
    for _, case in ipairs {
      Error.new("connection", "lost"), Error.new("closed", "closed"),
      Error.new("protocol", "the reply is not XADD's"), Error.from_add "LANDED ERR no",
    } do
      assert.equal("unknown", verdict.outcome(case, sized(0)), case.message)
    end
  end)
end)

describe("where to go on", function()
  local topology = { note = function(self, endpoint, err)
    self.told = { endpoint, err }
    return self.says
  end }
  local function connection(stale) return { was_stale = function() return stale end } end

  it("is another connection, at once, if this one was dead before it was used", function()
    topology.says, topology.told = "again", nil
    assert.equal("anew", verdict.of(wrong_type, topology, {}, connection(true)))
    assert.is_nil(topology.told)
  end)

  it("is the topology's to say otherwise, which hears of it", function()
    local endpoint = {}
    for _, word in ipairs { "again", "elsewhere", "never" } do
      topology.says = word
      assert.equal(word, verdict.of(wrong_type, topology, endpoint, connection(false)))
      assert.equal(endpoint, topology.told[1])
      assert.equal(wrong_type, topology.told[2])
      assert.equal(word, verdict.of(noscript, topology, nil, nil))
    end
  end)
end)
