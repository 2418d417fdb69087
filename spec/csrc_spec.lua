--- The C rooms, and which of them includes what: the codec does no I/O, sockets know
--- no Lua, and a host sees one header.

local sh = require "spec.support.redis".sh

local function set(text)
  local words = {}
  for word in text:gmatch("%S+") do words[word] = true end
  return words
end

local EVERYWHERE = "eventlog.h limits.h math.h stddef.h stdint.h stdio.h stdlib.h string.h "

-- What a room includes beside headers of its own; nil: any of the system's.
local ROOMS = {
  { dir = "csrc/include", may = set "stddef.h stdint.h" },
  { dir = "csrc/codec", may = set(EVERYWHERE .. "hiredis/hiredis.h") },
  { dir = "csrc/io", may_not = set "lua.h lauxlib.h lualib.h hiredis/hiredis.h" },
  { dir = "csrc/binding", may = set(EVERYWHERE .. "lua.h lauxlib.h") },
}

--- The sources of a room: their paths.
local function sources(dir)
  local files = {}
  for path in sh("find %s -name '*.[ch]'", dir):gmatch("%S+") do files[#files + 1] = path end
  assert.is_true(#files > 0, dir)
  return files
end

--- Fails unless a source of this room may include that: a header of its own, the public
--- one, or one of the system's that the room may have.
local function check_include(room, path, quote, name)
  local may
  if quote == '"' then
    local own = io.open(path:gsub("[^/]+$", "") .. name)
    may = name == "eventlog.h" or own ~= nil and not name:find("..", 1, true)
    if own then own:close() end
  else
    may = room.may == nil or room.may[name]
    if room.may_not then may = not room.may_not[name] end
  end
  assert.is_true(may or false, path .. " includes " .. name)
end

describe("csrc", function()
  for _, room in ipairs(ROOMS) do
    it(room.dir .. " includes its own headers, and what it may", function()
      for _, path in ipairs(sources(room.dir)) do
        for line in io.lines(path) do
          local quote, name = line:match('^%s*#%s*include%s*(["<])([^">]+)[">]')
          if quote then check_include(room, path, quote, name) end
        end
      end
    end)
  end

  it("the codec needs nothing but hiredis and the C library, and io nothing but the codec",
    function()
      local function link(sources_of)
        return sh("cc -shared -fPIC -Icsrc/include %s -Wl,-z,defs -lhiredis -lm -o /dev/null " ..
          "2>&1", sources_of)
      end
      assert.equal("", link("csrc/codec/*.c"))
      assert.equal("", link("csrc/codec/*.c csrc/io/*.c"))
    end)

  it("nothing in the binding uses lua_core.c, which opens all of it", function()
    local openers = sh("grep -l 'evl_binding_open_[a-z]*(L);' csrc/binding/*.c")
    assert.equal("csrc/binding/lua_core.c", openers)
    assert.equal("luaopen_eventlog_core", sh("object=$(mktemp); cc -c -Icsrc/include " ..
      "$(pkg-config --cflags lua5.4) csrc/binding/lua_core.c -o $object && " ..
      "nm -g --defined-only $object | sed 's/.* //'; rm $object"))
  end)
end)
