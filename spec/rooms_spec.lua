--- The rooms of the Lua library, from the lowest one up. A file uses what lies in
--- its own room or in a lower one: what it requires says so.

local redis = require "spec.support.redis"

local sh = redis.sh

local ROOMS = {
  "core", -- the C module
  "base", -- errors, options and their checks: no I/O
  "transport", -- moves bytes over one socket
  "driver", -- how to wait without blocking others
  "session", -- one conversation with a server
  "topology", -- which server has a key, and the connections to it
  "command", -- what Redis is asked, and what its answers mean
  "follow", -- followers
  "log", -- adds and reads
  "front", -- what users hold: client.lua, log.lua, init.lua
}

-- Rooms of one storey, which do not use each other.
local APART = { follow = "log", log = "follow" }

local storey = {}
for i, room in ipairs(ROOMS) do storey[room] = i end

--- The room of a module.
local function room_of(module)
  if module == "eventlog.core" then return "core" end
  local first = module:match("^eventlog%.([%w_]+)")
  if module:match("^eventlog%.[%w_]+%.") or first == "driver" then return first end
  return "front"
end

--- Each file of the library: module, requires.
local function modules()
  local found = {}
  for path in sh("find lua/eventlog -name '*.lua'"):gmatch("%S+") do
    local module = path:match("^lua/(.*)%.lua$"):gsub("/", "."):gsub("%.init$", "")
    local requires = {}
    for name in sh("cat %s", path):gmatch("require%s*%(?%s*[\"'](eventlog[^\"']*)[\"']") do
      requires[#requires + 1] = name
    end
    found[module] = requires
  end
  return found
end

describe("the rooms of the library", function()
  it("import only downwards", function()
    local count = 0
    for module, requires in pairs(modules()) do
      local room = room_of(module)
      assert(storey[room], module .. " is in a room that has no place: " .. room)
      for _, name in ipairs(requires) do
        local other = room_of(name)
        count = count + 1
        assert(storey[other], name .. " is in a room that has no place: " .. other)
        assert(storey[other] <= storey[room] and APART[room] ~= other,
          string.format("%s (%s) uses %s (%s)", module, room, name, other))
      end
    end
    assert.is_true(count > 50)
  end)

  it("have no circles", function()
    local all, state = modules(), {}
    local function visit(module, path)
      if state[module] == "done" then return end
      assert(state[module] == nil, "a circle: " .. path .. " > " .. module)
      state[module] = "open"
      for _, name in ipairs(all[module] or {}) do visit(name, path .. " > " .. module) end
      state[module] = "done"
    end
    for module in pairs(all) do visit(module, "") end
  end)
end)
