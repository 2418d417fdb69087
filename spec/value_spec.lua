local core = require "eventlog.core"
local eventlog = require "eventlog"
local process = require "spec.support.process"
local redis = require "spec.support.redis"

local NAN, INF = 0 / 0, 1 / 0
local ZERO = tonumber("-0.0") -- Lua 5.1 folds the literal into 0
local DENORMAL = 2 ^ -1074

local EVERY_BYTE = {}
for byte = 0, 255 do EVERY_BYTE[#EVERY_BYTE + 1] = string.char(byte) end
EVERY_BYTE = table.concat(EVERY_BYTE)

--- What is sent for this value, as core.request encodes it.
local function encode(value)
  local request = core.request()
  local head, argc = core.head("X")
  assert(request:entries(head, argc, { { f = value } }, 1))
  return request:bytes():match("^%*3\r\n$1\r\nX\r\n$1\r\nf\r\n$%d+\r\n(.*)\r\n$")
end

-- --- shared vectors -------------------------------------------------------

-- How a vector's value is written, in the language it comes from.
local readers = {
  int = tonumber, int64 = tonumber,
  float64 = function(text)
    return ({ NaN = NAN, ["+Inf"] = INF, ["-0"] = ZERO })[text] or tonumber(text)
  end,
  bool = function(text) return text == "true" end,
  string = function(text)
    text = text:gsub("\\x(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    return (text:gsub("\\r", "\r"):gsub("\\n", "\n"))
  end,
}

--- The entry that a vector's call adds.
local function entry_of(call)
  if call == "Add({'':v})" then return { [""] = "v" } end
  local kind, text = call:match('^Add%({f:(%w+)%("(.*)"%)}%)$')
  return { f = readers[kind](text) }
end

--- The vectors: case, entry, what is sent, and the value in it.
local function vectors()
  local list = {}
  for line in io.lines("spec/vectors/values.jsonl") do
    local call = line:match('"call": "(.-)", "sent_hex"'):gsub('\\(["\\])', "%1")
    local sent = line:match('"sent_hex": "(%x+)"')
    sent = sent:gsub("..", function(hex) return string.char(tonumber(hex, 16)) end)
    list[#list + 1] = {
      case = line:match('"case": "([^"]+)"'),
      entry = entry_of(call),
      sent = sent,
      value = sent:match("\r\n%*\r\n%$%d+\r\n[^\r\n]*\r\n%$%d+\r\n(.*)\r\n$"),
    }
  end
  return list
end

describe("a shared vector", function()
  -- The largest integer is none where numbers are doubles.
  local function can_hold(vector)
    return math.type or vector.case ~= "value-int64-max"
  end

  it("is sent as the same bytes", function()
    local count = 0
    for _, vector in ipairs(vectors()) do
      if can_hold(vector) then
        local request = core.request()
        local head, argc = core.head("xadd", "log", "*")
        assert(request:entries(head, argc, { vector.entry }, 1))
        assert.equal(vector.sent, request:bytes(), vector.case)
      end
      count = count + 1
    end
    assert.equal(19, count)
  end)

  it("is stored as the same bytes, whichever way it is added", function()
    local server = redis.start()
    finally(function() server:stop() end)
    for how, add in pairs {
      alone = function(log, entry) return log:add(entry) end,
      pairs = function(log, entry)
        local field, value = next(entry)
        return log:add { { field, value } }
      end,
      batch = function(log, entry) return log:add({ x = 0 }, entry) end,
    } do
      for _, ttl in ipairs { 0, 1000 } do
        local log = eventlog.new(server.url, how .. ttl, { ttl = ttl })
        local stored = {}
        for _, vector in ipairs(vectors()) do
          if can_hold(vector) then
            local ids = assert(add(log, vector.entry))
            if how == "batch" then stored[#stored + 1] = ids[1] .. "\nx\n0" end
            stored[#stored + 1] = ids[#ids] .. "\n" .. next(vector.entry) .. "\n" ..
              vector.value
          end
        end
        assert.equal(table.concat(stored, "\n"), server:cli("XRANGE", log.name, "-", "+"))
        log.client:close()
      end
    end
  end)
end)

-- --- numbers --------------------------------------------------------------

--- The digits of a plain decimal, without zeros at the ends.
local function digits_of(text)
  return (text:gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", ""))
end

--- A string of digits, and 1 more.
local function increment(digits)
  local head, last, nines = digits:match("^(%d*)([0-8])(9*)$")
  if not head then return "1" .. ("0"):rep(#digits) end
  return head .. string.char(last:byte() + 1) .. ("0"):rep(#nines)
end

--- Whether a decimal of so many digits reads back as d, which is above 0. Of
--- these, the nearest below d and the nearest above it could.
local function fits(d, count)
  local mantissa, exponent = string.format("%." .. count - 1 .. "e", d):match("^(.-)e(.*)$")
  local digits = mantissa:gsub("%.", "")
  local scale = "e" .. math.floor(exponent - count + 1)
  local nearest = tonumber(digits .. scale)
  local other = nearest < d and increment(digits) or nil
  return nearest == d or other and tonumber(other .. scale) == d
end

--- Fails unless text is the contract's decimal for d.
local function check(d, text)
  local function fail(why)
    error(string.format("%.17g is written %s: %s", d, tostring(text), why), 2)
  end
  if not text then fail("no value") end
  if not text:find("^%-?%d+$") and not text:find("^%-?%d+%.%d*[1-9]$") then
    fail("no plain decimal")
  end
  if text:find("^%-?0%d") then fail("a zero in front") end
  if tonumber(text:find("%.") and text or text .. ".0") ~= d then
    fail("it does not read back as the same double")
  end
  local digits = digits_of(text)
  if d ~= 0 and #digits > 1 and fits(math.abs(d), #digits - 1) then
    fail("a shorter one would do")
  end
end

describe("a number", function()
  it("is written as it must be", function()
    for text, number in pairs {
      ["0"] = 0, ["1"] = 1, ["-1"] = -1, ["19.8"] = 19.8, ["-19.8"] = -19.8, ["2"] = 2.0,
      ["0.1"] = 0.1, ["0.30000000000000004"] = 0.1 + 0.2, ["0.5"] = 0.5,
      ["100"] = 1e2, ["123456789012"] = 123456789012, ["0.0000001"] = 1e-7,
      ["999999999999999"] = 1e15 - 1, ["1000000000000000"] = 1e15,
      ["999999999999999.9"] = 1e15 - 0.125, ["10000000000000000"] = 1e16,
      ["9999999999999998"] = 1e16 - 2, ["100000000000000000000"] = 1e20,
      ["1000000000000000000000"] = 1e21, ["10000000000000000000000"] = 1e22,
      ["100000000000000000000000"] = 1e23,
      ["9007199254740991"] = 2 ^ 53 - 1, ["9007199254740992"] = 2 ^ 53,
      ["9007199254740994"] = 2 ^ 53 + 2, ["-9007199254740991"] = -(2 ^ 53 - 1),
      ["9223372036854775807"] = math.maxinteger or "9223372036854775807",
      ["-9223372036854775808"] = math.mininteger or "-9223372036854775808",
      ["9223372036854776000"] = 2 ^ 63, ["18446744073709552000"] = 2 ^ 64,
      ["-0"] = ZERO, ["NaN"] = NAN, ["+Inf"] = INF, ["-Inf"] = -INF,
      ["0." .. ("0"):rep(323) .. "5"] = DENORMAL,
      ["-0." .. ("0"):rep(323) .. "5"] = -DENORMAL,
      ["0." .. ("0"):rep(322) .. "1"] = 2 * DENORMAL,
      ["0." .. ("0"):rep(307) .. "22250738585072014"] = 2 ^ -1022,
      ["0." .. ("0"):rep(307) .. "2225073858507201"] = 2 ^ -1022 - DENORMAL,
      ["17976931348623157" .. ("0"):rep(292)] = (2 - 2 ^ -52) * 2 ^ 1023,
      ["-17976931348623157" .. ("0"):rep(292)] = -(2 - 2 ^ -52) * 2 ^ 1023,
      ["5e-324"] = "5e-324", ["1e5"] = "1e5", ["-00.10"] = "-00.10",
    } do
      assert.equal(text, encode(number))
    end
    assert.equal("NaN", encode(-NAN))
  end)

  it("is written from an integer, where Lua has them", function()
    if not math.type then
      assert.equal("9007199254740992", encode(2 ^ 53))
      return
    end
    local exact = math.tointeger(2 ^ 53)
    for _, i in ipairs {
      0, 1, -1, exact, exact + 1, exact - 1, -exact - 1, math.maxinteger,
      math.maxinteger - 1, math.mininteger, math.mininteger + 1, 1000000000000000000,
    } do
      assert.equal(string.format("%d", i), encode(i))
    end
  end)

  it("is written shortest: every power of two, and its neighbours", function()
    for exponent = -1074, 1023 do
      local power = 2 ^ exponent
      local above = exponent < -1022 and DENORMAL or 2 ^ math.max(exponent - 52, -1074)
      local below = exponent <= -1022 and DENORMAL or 2 ^ math.max(exponent - 53, -1074)
      for _, d in ipairs { power, power + above, power - below, -power } do
        if d ~= 0 then check(d, encode(d)) end
      end
    end
  end)

  it("is written shortest: every power of ten, and its neighbours", function()
    for exponent = -323, 308 do
      local d = tonumber("1e" .. exponent)
      local plain = exponent >= 0 and "1" .. ("0"):rep(exponent) or
        "0." .. ("0"):rep(-exponent - 1) .. "1"
      assert.equal(plain, encode(d))
      for _, factor in ipairs { 1 + 2 ^ -52, 1 - 2 ^ -53, 3, 7 / 9 } do
        if d * factor ~= INF then check(d * factor, encode(d * factor)) end
      end
    end
  end)

  it("is written shortest: denormals, halves, and what is drawn at random", function()
    local seed = 7
    local function random() -- from 0 to below 1, the same in every Lua
      seed = seed * 16807 % 2147483647
      return seed / 2147483647
    end
    for i = 1, 1000 do
      check(i * DENORMAL, encode(i * DENORMAL))
      check(i / 8, encode(i / 8))
      check(i / 100, encode(i / 100))
      local d = (1 + random() + random() * 2 ^ -31) * 2 ^ math.floor(random() * 2046 - 1023)
      check(d, encode(d))
      check(-d, encode(-d))
      d = math.floor(random() * 1e9) / 10 ^ math.floor(random() * 12)
      check(d, encode(d))
      d = math.floor(random() * 2 ^ 50) * DENORMAL
      check(d, encode(d))
    end
  end)

  it("does not depend on the locale", function()
    -- A locale of our own: machines often have none with a comma.
    local dir = redis.sh("mktemp -d")
    local server = redis.start()
    finally(function()
      server:stop()
      redis.sh("rm -rf %s", dir)
    end)
    redis.sh([[cd %s
      printf '%%s\n' 'comment_char %%' 'escape_char /' LC_NUMERIC 'decimal_point ","' \
        'thousands_sep "."' 'grouping 3' 'END LC_NUMERIC' >source
      printf '%%s\n' '<code_set_name> OURS' '<mb_cur_max> 1' CHARMAP \
        '<U002C> /x2c COMMA' '<U002E> /x2e FULL STOP' 'END CHARMAP' >charmap
      localedef -c -i source -f ./charmap --no-archive ./comma >/dev/null 2>&1 || :]], dir)
    local output = process.start([[
      local url = ...
      local eventlog = require "eventlog"
      local log = eventlog.new({ url = url, timeout = 7.5 }, "log",
        { ttl = 1234567.8915, max_length = 1e3 })
      assert(os.setlocale("comma", "numeric"), "no locale")
      assert(log:add { f = 19.8 })
      assert(log:add({ f = 1e-7 }, { f = -0.5 }, { f = 1e21 }, { f = 5e-324 }))
      for _, entry in ipairs(assert(log:tail())) do print(entry.fields.f) end
      os.setlocale("C", "numeric")
    ]], { env = "LOCPATH=" .. dir }, server.url):wait()
    assert.equal("19.8\n0.0000001\n-0.5\n1000000000000000000000\n0." .. ("0"):rep(323) .. "5",
      output)
    local left = server:call("PTTL", "log")
    assert(left > 1234000000 and left <= 1234567892, left)
  end)
end)

-- --- bytes ----------------------------------------------------------------

describe("bytes", function()
  local server, client

  setup(function()
    server = redis.start()
    client = eventlog.connect(server.url)
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  it("may be any, in names of logs and fields and in values", function()
    for _, bytes in ipairs {
      EVERY_BYTE, "\0", "\r\n", "a\r\n$3\r\nb", "*1\r\n", " ", "-", "NaN", "\255\254", "{}", "%d",
      ("x"):rep(70000), "eventlog", "MAXLEN", "~",
    } do
      server:call("FLUSHALL")
      local log = eventlog.new(client, bytes, { ttl = 1000 })
      local ids = assert(log:add({ [bytes] = bytes }, { { bytes, bytes }, { bytes, "" } }))
      ids[3] = assert(log:add { [bytes] = bytes, [bytes .. "2"] = "" })[1]
      if #bytes < 1000 then
        assert.equal(ids[1] .. "\n" .. bytes .. "\n" .. bytes,
          server:cli("XRANGE", bytes, "-", "+", "COUNT", 1))
      end
      assert.same({
        { id = ids[1], fields = { [bytes] = bytes } },
        { id = ids[2], fields = { [bytes] = "" } },
        { id = ids[3], fields = { [bytes] = bytes, [bytes .. "2"] = "" } },
      }, log:tail())
      assert.equal(3, log:length())
      assert.equal(ids[3], log:last_id())
      assert.equal(2, #log:tail_from(ids[2]))
      assert.is_true(log:delete())
      assert.equal(0, server:call("DBSIZE"))
    end
  end)

  it("may be none, in names of fields and in values", function()
    local log = eventlog.new(client, "empty")
    local id = assert(log:add { [""] = "" })[1]
    assert.same({ { id = id, fields = { [""] = "" } } }, log:tail())
  end)

  it("may be very many: a value of 64 MiB", function()
    local size = 64 * 1024 * 1024
    local block = EVERY_BYTE .. "\r\n+" -- not of a length that buffers have
    local value = block:rep(math.ceil(size / #block)):sub(1, size)
    local log = eventlog.new({ url = server.url, timeout = 60 }, "large", { ttl = 1000 })
    local id = assert(log:add { large = value, small = 1 })[1]
    assert.equal(size, server:call("EVAL",
      "return #redis.call('XRANGE', KEYS[1], '-', '+')[1][2][2]", 1, "large"))
    local entries = assert(log:tail())
    assert.equal(1, #entries)
    assert.equal(id, entries[1].id)
    assert.equal("1", entries[1].fields.small)
    -- Not assert.equal: it would show them.
    assert(entries[1].fields.large == value, "other bytes came back")
    log.client:close()
  end)
end)
