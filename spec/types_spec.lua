--- lua/eventlog/types.lua against the code: whichever of them says more than the other
--- fails here. Functions, options and kinds are asked of the modules; the fields of
--- batches, entries, errors and events are those that come from a real server.

local Error = require "eventlog.base.error"
local eventlog = require "eventlog"
local options = require "eventlog.base.options"
local redis = require "spec.support.redis"

local FILE = "lua/eventlog/types.lua"

-- --- what the file says ----------------------------------------------------

local classes = {} -- name -> { fields = name -> field, operators, functions = name -> function }
local aliases = {} -- name -> type

--- Reads "? type and words": a type has no spaces but within (), {}, <> and behind ":" and ",".
local function split_type(text)
  local depth, before = 0, ""
  for at = 1, #text do
    local char = text:sub(at, at)
    if char:find("[({<]") then depth = depth + 1 end
    if char:find("[)}>]") then depth = depth - 1 end
    if char == " " and depth == 0 and not before:find("[:,]") then
      return text:sub(1, at - 1), text:sub(at + 1)
    end
    before = char
  end
  return text, ""
end

local function read_types()
  local class, alias, params, returns = nil, nil, {}, 0
  for line in io.lines(FILE) do
    local word, rest = line:match("^%-%-%-@(%a+) ?(.*)$")
    local literal = line:match("^%-%-%-| (\"%w+\")")
    if literal then
      aliases[alias] = aliases[alias] == "" and literal or aliases[alias] .. "|" .. literal
    elseif word == "class" then
      local name = rest:match("^[%w.]+")
      class = { fields = {}, operators = {}, functions = {} }
      assert(not classes[name], name .. " is declared twice")
      classes[name] = class
    elseif word == "field" then
      local name, optional, text = rest:match("^([%w_]+)(%??) (.*)$")
      local kind, words = split_type(text)
      assert(not class.fields[name], name .. " is declared twice")
      class.fields[name] = { optional = optional == "?", type = kind, words = words }
    elseif word == "operator" then
      class.operators[rest:match("^%a+")] = true
    elseif word == "alias" then
      alias, rest = rest:match("^([%w.]+) ?(.*)$")
      aliases[alias] = rest
    elseif word == "param" then
      params[#params + 1] = rest:match("^[%w_.]+")
    elseif word == "return" then
      returns = returns + 1
    elseif line:find("^function ") then
      local owner, name, list = line:match("^function (%w+)[.:]([%w_]+)%((.-)%) end$")
      local names = {}
      for param in list:gmatch("[^, ]+") do names[#names + 1] = param end
      assert.same(names, params, "@param of " .. name)
      local of = classes[owner] or classes["eventlog." .. owner]
      of.functions[name] = { params = names, returns = returns, is_method = line:find(":") }
      params, returns = {}, 0
    end
  end
end

read_types()

local function sorted(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return list
end

--- The words that a type allows, as a set: its literals, and those of aliases in it.
local function literals(kind)
  local found = {}
  for part in (aliases[kind] or kind):gmatch("[^|]+") do
    local literal = part:match('^"(.*)"$')
    if literal then
      found[literal] = true
    elseif aliases[part] and part ~= kind then
      for other in pairs(literals(part)) do found[other] = true end
    end
  end
  return found
end

--- All words in quotes of a text, as a set.
local function quoted(text)
  local found = {}
  for word in text:gmatch('"([^"]*)"') do found[word] = true end
  return found
end

-- --- functions -------------------------------------------------------------

--- The names of a function's arguments without self; nil if this Lua does not tell.
local function arguments(f, is_method)
  if not pcall(debug.getlocal, f, 1) then return nil end
  local names, info = {}, debug.getinfo(f, "u")
  for i = is_method and 2 or 1, info.nparams do names[#names + 1] = debug.getlocal(f, i) end
  if info.isvararg then names[#names + 1] = "..." end
  return names
end

--- Whether a method is public: it tells its caller what it was called on.
local function is_public(method)
  local ok, why = pcall(method, 7)
  return not ok and tostring(why):find("was not called on a ", 1, true) ~= nil
end

describe("types.lua", function()
  local log = eventlog.new(nil, "log")
  local objects = { Log = log, Client = log.client, Follower = log:tail_and_follow() }

  it("does nothing when it is required", function()
    local before = {}
    for name in pairs(_G) do before[name] = true end
    assert.is_true(require "eventlog.types")
    for name in pairs(_G) do assert.is_true(before[name], name) end
  end)

  it("has the functions of the module", function()
    local found, fields = {}, {}
    for name, value in pairs(eventlog) do
      (type(value) == "function" and found or fields)[name] = true
    end
    assert.same(sorted(found), sorted(classes.eventlog.functions))
    assert.same(sorted(fields), sorted(classes.eventlog.fields))
  end)

  it("has the public methods and the operators of each class", function()
    local operators = { __call = "call", __concat = "concat" }
    objects.Error = select(2, eventlog.new("unix:///nowhere/at/all", "log"):length())
    for name, object in pairs(objects) do
      local methods, found = {}, {}
      for key, value in pairs(getmetatable(object)) do
        if operators[key] then found[operators[key]] = true end
        if type(value) == "function" and not key:find("^__") and is_public(value) then
          methods[key] = true
        end
      end
      assert.same(sorted(methods), sorted(classes["eventlog." .. name].functions), name)
      assert.same(sorted(found), sorted(classes["eventlog." .. name].operators), name)
    end
    objects.Error = nil
  end)

  it("has their arguments", function()
    local function compare(f, said, name)
      local found = arguments(f, said.is_method)
      if not found then return end
      -- What is there only so that too many arguments are told from a list.
      if found[#found] == "..." and said.params[#said.params] ~= "..." then found[#found] = nil end
      if #found > 0 or name ~= "check" then assert.same(found, said.params, name) end
    end
    for name, said in pairs(classes.eventlog.functions) do compare(eventlog[name], said, name) end
    for class, object in pairs(objects) do
      for name, said in pairs(classes["eventlog." .. class].functions) do
        compare(object[name], said, name)
      end
    end
  end)

  it("says what a function that can fail returns: a value, and err", function()
    for _, class in ipairs { "Log", "Follower" } do
      for name, said in pairs(classes["eventlog." .. class].functions) do
        local expected = name == "close" and 0 or name:find("follow") and 1 or 2
        assert.equal(expected, said.returns, name)
      end
    end
  end)

  it("has the fields that can be read of a log and a follower", function()
    assert.equal("log", log.name)
    assert.equal(eventlog.connect(log.client), log.client)
    assert.same({ "client", "name" }, sorted(classes["eventlog.Log"].fields))
    assert.same({ "last_id" }, sorted(classes["eventlog.Follower"].fields))
    assert.same({}, sorted(classes["eventlog.Client"].fields))
  end)
end)

-- --- options ---------------------------------------------------------------

--- What a wrong option's message says.
local function refusal(make, given)
  local ok, why = pcall(make, given)
  return not ok and why:gsub("^.-eventlog: ", "") or nil
end

-- What an option of each type takes, and what it refuses.
local samples = {
  string = { "x", 1 }, integer = { 1, 1.5 }, number = { 1.5, "1" }, boolean = { true, 1 },
  ["function"] = { print, "print" },
}
-- Strings that are of more than one type.
local strings = { url = "unix:///x" }

describe("types.lua has of the options of", function()
  for noun, make in pairs {
    client = eventlog.connect,
    log = function(given) return eventlog.new(nil, "log", given) end,
  } do
    local said = classes["eventlog." .. noun:gsub("^%l", string.upper) .. "Options"].fields

    it("a " .. noun .. " the names", function()
      local names, list = {}, refusal(make, { nonesuch = 1 }):match("; it has (.*)$")
      for name in list:gmatch("[%w_]+") do names[name] = true end
      assert.same(sorted(names), sorted(said))
    end)

    it("a " .. noun .. " the types", function()
      for name, field in pairs(said) do
        assert.is_true(field.optional, name)
        local words = literals(field.type)
        local kind = field.type:find("fun(", 1, true) and "function" or field.type
        if next(words) then
          for word in pairs(words) do assert.is_nil(refusal(make, { [name] = word })) end
          local named = quoted(refusal(make, { [name] = "other" }))
          named[name], named.other = nil, nil
          assert.same(sorted(words), sorted(named), name)
          assert.equal(field.type:find("Function", 1, true) == nil,
            refusal(make, { [name] = print }) ~= nil, name)
        else
          local sample = assert(samples[kind], name .. ": " .. kind)
          assert.is_nil(refusal(make, { [name] = strings[name] or sample[1] }), name)
          assert.matches('option "' .. name .. '" must be', refusal(make, { [name] = sample[2] }),
            1, true)
        end
      end
    end)

    it("a " .. noun .. " the defaults", function()
      local settings, count = options[noun](nil, 1), 0
      for name, field in pairs(said) do
        local default = field.words:match('%(default: "?(.-)"?%)$')
        if default then
          count = count + 1
          assert.equal(default, tostring(settings[name]), name)
        else
          assert.is_nil(settings[name], name .. " has a default")
        end
      end
      assert.is_true(count > 3)
    end)
  end
end)

-- --- kinds, and what comes at run time -------------------------------------

--- What Lua's sources call a kind of, in literals: pattern's words.
local function literal_words(pattern)
  local found = {}
  for text in redis.sh("find lua -name '*.lua' -exec cat {} +"):gmatch(pattern) do
    found[text] = true
  end
  return found
end

--- Holds what came against what is said of a class. Each must: be said; have come.
local function compare(class, objects)
  local fields, came = classes["eventlog." .. class].fields, {}
  for _, object in ipairs(objects) do
    for key, value in pairs(object) do
      if type(key) == "string" then
        local field = fields[key]
        assert(field, class .. " has " .. key)
        came[key] = true
        local kind = aliases[field.type] and field.type ~= "eventlog.Id" and
          field.type ~= "eventlog.Fields" and literals(field.type)
        if kind then assert(kind[value], class .. "." .. key .. " is " .. tostring(value)) end
        if samples[field.type] then
          local is = type(value) == "number" and value % 1 == 0 and "integer" or type(value)
          assert.equal(field.type, is, key)
        end
      end
    end
    for name, field in pairs(fields) do
      assert(field.optional or object[name] ~= nil, class .. " without " .. name)
    end
  end
  assert.same(sorted(fields), sorted(came), class)
end

describe("types.lua has the", function()
  local server, client, events

  setup(function()
    server = redis.start()
    events = {}
    client = eventlog.connect {
      url = server.url,
      on_event = function(event) events[#events + 1] = event end,
    }
  end)

  teardown(function()
    client:close()
    server:stop()
  end)

  it("kinds of errors", function()
    local said = literals("eventlog.ErrorKind")
    assert.same(sorted(Error.kinds), sorted(said))
    for kind in pairs(literal_words('Error%.new%("(%w+)"')) do assert(said[kind], kind) end
    for kind in redis.sh("cat csrc/include/eventlog.h"):gmatch('X%(EVL_%u+, %-%d+, "(%w+)"') do
      assert(kind == "misuse" or said[kind], kind) -- misuse raises
    end
  end)

  it("kinds of events", function()
    local told = literal_words(':tell%("(%w+)"')
    for kind in pairs(literal_words('{ kind = "(%w+)", message')) do told[kind] = true end
    assert.same(sorted(told), sorted(literals("eventlog.EventKind")))
  end)

  it("fields of errors", function()
    local log = eventlog.new(client, "errors")
    assert(log:add { n = 1 })
    local errors = {}
    local function fails(value, err)
      assert.is_nil(value)
      errors[#errors + 1] = err
    end
    fails(log:add_if("1-1", { n = 1 }))
    server:cli("set", "string", "x")
    fails(eventlog.new(client, "string"):add { n = 1 })
    fails(eventlog.new({ url = server.url, max_reply = 1, reconnect_timeout = 0.1 },
      "errors"):tail())
    fails(eventlog.new("unix:///nowhere/at/all", "log"):length())
    compare("Error", errors)
  end)

  it("fields of batches, gaps and entries", function()
    local log = eventlog.new(client, "batches", { batch_size = 2 })
    assert(log:add({ n = 1 }, { n = 2 }, { n = 3 }))
    local batches, entries, gaps = {}, {}, {}
    local follower = log:tail_and_follow()
    local function take()
      local batch = assert(follower:next(5))
      batches[#batches + 1], gaps[#gaps + 1] = batch, batch.gap
      for _, entry in ipairs(batch) do entries[#entries + 1] = entry end
    end
    repeat take() until batches[#batches].caught_up
    assert(log:add({ n = 4 }, { n = 5 }, { n = 6 }))
    server:cli("xtrim", "batches", "maxlen", "1")
    repeat take() until gaps[1]
    assert.equal(2, gaps[1].missed)
    assert(log:delete())
    assert(log:add { n = 8 })
    repeat take() until batches[#batches].reset
    follower:close()
    compare("Batch", batches)
    compare("Gap", gaps)
    compare("Entry", entries)
    compare("Entry", assert(eventlog.new(client, "batches", { fields = "pairs" }):tail()))
  end)

  it("fields of events", function()
    assert.is_true(#events > 3)
    compare("Event", events)
  end)
end)
