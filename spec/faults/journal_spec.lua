--- What a soak is judged by: that what was cut off in the middle of writing is left
--- out, and nothing else.

local aof = require "spec.faults.aof"
local journals = require "spec.faults.journal"

local function encode(...)
  local parts = { "*", select("#", ...), "\r\n" }
  for _, word in ipairs { ... } do
    parts[#parts + 1] = string.format("$%d\r\n%s\r\n", #word, word)
  end
  return table.concat(parts)
end

--- The first word that each command of a group has behind its name; "|" between
--- groups.
local function read(bytes, from)
  local groups, ends = {}, nil
  aof.each(bytes, from or 0, function(commands, begins, stop)
    assert.equal(ends or from or 0, begins)
    ends = stop
    local words = {}
    for i, command in ipairs(commands) do words[i] = command[2] end
    groups[#groups + 1] = table.concat(words, " ")
  end)
  return table.concat(groups, "|"), ends
end

describe("an append-only file", function()
  local lone = encode("SET", "a", "\r\n*1\r\n$1")
  local group = encode("multi") .. encode("DEL", "b") .. encode("DEL", "c") .. encode("EXEC")
  local bytes = lone .. group .. encode("DEL", "d")

  it("is read group by group, from where one begins", function()
    assert.equal("a|b c|d", (read(bytes)))
    assert.equal("b c|d", (read(bytes, #lone)))
  end)

  it("ends with the last whole group, wherever it was cut", function()
    for length = 0, #bytes do
      local expected = length < #lone and "" or length < #lone + #group and "a" or
        length < #bytes and "a|b c" or "a|b c|d"
      assert.equal(expected, (read(bytes:sub(1, length))))
    end
  end)

  it("is not taken for one where it is none", function()
    assert.has_error(function() read(lone .. "+OK\r\n") end)
  end)
end)

describe("a journal", function()
  it("keeps each finished line, also where its writer was killed in another one", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local journal = journals.open(path)
    journal:write("batch", 1, "two words;", "")
    journal.file:write("batch 2.5 1 caught")
    journal.file:close()
    journals.open(path):write("done")
    local lines = journals.read(path)
    assert.equal(2, #lines)
    assert.equal("batch 1 two_words_ -", lines[1][1] .. " " .. table.concat(lines[1], " ", 3))
    assert.equal("done", lines[2][1])
  end)
end)
