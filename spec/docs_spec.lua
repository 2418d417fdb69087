--- The files that the documents for readers and contributors name are there.

local sh = require("spec.support.redis").sh

-- Those that there are.
local DOCUMENTS = { "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/NOTES.md" }

-- What is at the root of a path that we mean by it: others name what a user has.
local roots = { bench = true, csrc = true, examples = true, lua = true, rockspec = true,
  script = true, spec = true }

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

--- Whether a path, perhaps with * and perhaps of a folder, is of something. A path in
--- which NAME or ROOM stands is the reader's to fill in.
local function exists(path)
  return path:find("NAME") or path:find("ROOM") or
    sh("ls -d %s 2>/dev/null || :", path) ~= ""
end

describe("the files that are named in", function()
  for _, document in ipairs(DOCUMENTS) do
    local text = read(document)
    if text then
      it(document .. " are there", function()
        local missing, count = {}, 0
        for path in text:gmatch("%f[%w/.]([%w_]+/[%w_./*-]*[%w_/*])") do
          if roots[path:match("^[^/]+")] then
            count = count + 1
            if not exists(path) then missing[#missing + 1] = path end
          end
        end
        -- Of files that are named without their folder.
        for name in text:gmatch("`([%w_*]+%.%l+)`") do
          if name:find("%.lua$") or name:find("%.[chp]l?$") or name:find("%.md$") then
            count = count + 1
            if sh("find . -name build -prune -o -name '%s' -print | head -1", name) == "" then
              missing[#missing + 1] = name
            end
          end
        end
        assert.same({}, missing)
        assert.is_true(count > 0)
      end)
    end
  end
end)
