--- How a command is run: with a topology, endpoints and connections that are played.

local Error = require "eventlog.base.error"
local abilities = require "eventlog.topology.abilities"
local call = require "eventlog.command.call"
local core = require "eventlog.core"
local system = require "eventlog.base.system"

--- A connection that takes in each request, unless it `refuses` to, and says what is
--- listed: { kind, value }, or an error of ours, by which it is lost.
local function new_connection(script)
  local connection = { abilities = abilities.new(), sent = {}, lost = false }
  local at = 0
  connection.decoder = { value = function() return script[at][2] end }
  function connection:send(request, replies)
    if self.lost then return nil, Error.new("closed", "the connection is closed") end
    local words = {}
    for word in request:bytes():gmatch("\n(%u+)\r\n") do words[#words + 1] = word end
    assert.equal(1, #words)
    self.sent[#self.sent + 1] = words[1] .. " " .. replies
    if not script.refuses then request:clear() end
    return true
  end
  function connection:reply()
    at = at + 1
    if script[at].message then
      self.lost = true
      return nil, script[at]
    end
    return script[at][1]
  end
  function connection:reject(kind, why)
    self.lost = true
    return nil, Error.new(kind, why)
  end
  function connection:was_stale() return self.lost and script.stale or false end
  function connection:is_established() return not self.lost end
  return connection
end

--- An endpoint with these connections, one after the other; an error: there is none.
local function new_endpoint(...)
  local endpoint = { connections = {}, released = {}, acquired = 0 }
  for i, script in ipairs { ... } do
    endpoint.connections[i] = script.message and script or new_connection(script)
  end
  function endpoint:acquire(name)
    assert.equal("log", name)
    self.acquired = self.acquired + 1
    local connection = self.connections[self.acquired] or
      self.connections[#self.connections]
    if connection.message then return nil, connection end
    return connection
  end
  function endpoint:release(connection)
    self.released[#self.released + 1] = connection
  end
  return endpoint
end

--- A client whose topology says of each error what `says` returns, and names these
--- endpoints in turn.
local function new_client(says, ...)
  local client = { told = {}, noted = {}, pauses = 0, requests = 0,
    settings = { reconnect_timeout = 60 } }
  local endpoints, at = { ... }, 1
  client.topology = {
    endpoint = function(_, key)
      assert.equal("log", key)
      return endpoints[math.min(at, #endpoints)]
    end,
    note = function(_, endpoint, err)
      client.noted[#client.noted + 1] = endpoint
      local word = says and says(err) or "never"
      if word == "elsewhere" then at = at + 1 end
      return word
    end,
    awaits_first = function() return client.awaits_first end,
    pause = function(_, seconds)
      client.pauses, client.clock = client.pauses + 1, client.clock + seconds
      if client.closed then return nil, Error.new("closed", "the client is closed") end
      return true
    end,
  }
  client.clock = 0
  function client:take_request()
    self.requests = self.requests + 1
    return core.request()
  end
  function client:give_request() self.requests = self.requests - 1 end
  function client:tell(kind) self.told[#self.told + 1] = kind end
  return client
end

local ADD = { changes = true, adds = true }
ADD.__index = ADD
function ADD:encode(request, how, word, message)
  if message then return nil, message end
  if self.otherwise then
    request:command("HALF")
    return false
  end
  request:command(how == "whole" and "WHOLE" or how and how:upper() or word or "ADD")
  return 1, "plan"
end
function ADD.take(_, connection, kind)
  if kind ~= "string" then return connection:reject("protocol", "no id") end
  return connection.decoder.value()
end

--- The command with some things changed.
local function like(changes)
  return setmetatable(changes, ADD)
end

local READ = { encode = ADD.encode, take = ADD.take }

local function lost(message) return Error.new("connection", message or "lost") end
local function again() return "again" end

describe("a call", function()
  local function run(client, command, ...)
    local result, err, what = call.run(client, "log", command or ADD, ...)
    assert.equal(0, client.requests) -- given back
    return result, err, what
  end

  it("sends, reads, and gives back what it took", function()
    local endpoint = new_endpoint { { "string", "5-1" } }
    assert.same({ "5-1" }, { run(new_client(nil, endpoint)) })
    assert.same({ "ADD 1" }, endpoint.connections[1].sent)
    assert.equal(endpoint.connections[1], endpoint.released[1])
  end)

  it("does nothing if the caller is wrong, and tells of what", function()
    local endpoint = new_endpoint()
    local result, err, what = run(new_client(nil, endpoint), ADD, nil, "bad entry")
    assert.same({ "bad entry" }, { what, result, err })
    assert.equal(0, endpoint.acquired)
  end)

  it("runs another command if this one does not fit", function()
    local endpoint = new_endpoint { { "string", "5-1" } }
    local other = like { encode = function(_, request)
      assert.equal(0, request:size())
      request:command("OTHER")
      return 1
    end }
    assert.equal("5-1", (run(new_client(nil, endpoint), like { otherwise = other })))
    assert.same({ "OTHER 1" }, endpoint.connections[1].sent)
  end)

  it("sends a script whole, once, where it was forgotten", function()
    local forgotten = { "error", "NOSCRIPT No matching script" }
    local endpoint = new_endpoint({ forgotten, { "string", "5-1" }, refuses = true },
      { forgotten, forgotten })
    local client = new_client(nil, endpoint)
    assert.equal("5-1", (run(client)))
    assert.same({ "ADD 1", "WHOLE 1" }, endpoint.connections[1].sent)
    assert.equal(1, endpoint.acquired)
    local _, err = run(client)
    assert.same({ "NOSCRIPT", "none" }, { err.code, err.outcome })
    assert.same({ "ADD 1", "WHOLE 1" }, endpoint.connections[2].sent)
  end)

  it("sends once more in the way that read() asks for", function()
    local endpoint = new_endpoint { { "error", "ERR no" }, { "string", "5-1" } }
    local command = like { read = function(_, connection, request, replies, plan)
      assert.same({ 0, 1, "plan" }, { request:size(), replies, plan })
      if connection:reply() == "string" then return connection.decoder.value() end
      return nil, Error.from_add(connection.decoder.value()), "shorter"
    end }
    assert.equal("5-1", (run(new_client(nil, endpoint), command)))
    assert.same({ "ADD 1", "SHORTER 1" }, endpoint.connections[1].sent)
  end)

  it("takes another connection at once for one that was dead before", function()
    for _, case in ipairs {
      { { lost(), stale = true, refuses = true }, ADD }, { { lost(), stale = true }, READ },
      { { lost(), stale = true }, like { repeats = true } },
    } do
      local endpoint = new_endpoint(case[1], case[1], { { "string", "5-1" } })
      local client = new_client(again, endpoint)
      assert.equal("5-1", (run(client, case[2])))
      assert.equal(3, #endpoint.released)
      assert.same({}, client.told)
    end
  end)

  it("does not send a change again that may have been made", function()
    local endpoint = new_endpoint({ lost(), stale = true }, { lost(), stale = true })
    local _, err = run(new_client(again, endpoint))
    assert.equal("unknown", err.outcome)
    assert.equal(1, endpoint.acquired)
    _, err = run(new_client(nil, endpoint), like { adds = false })
    assert.equal(2, endpoint.acquired)
    assert.is_nil(err.outcome)
  end)

  it("says of each error whether something was added", function()
    for outcome, scripts in pairs {
      none = { { { "error", "WRONGTYPE Operation" } }, { lost(), refuses = true }, lost() },
      unknown = { { lost() }, { { "integer", 1 } }, { { "error", "LANDED ERR no" } } },
    } do
      for _, script in ipairs(scripts) do
        local _, err = run(new_client(nil, new_endpoint(script)))
        assert.equal(outcome, err.outcome, err.message)
      end
    end
  end)

  it("remembers that an attempt may have added, whatever is said of the next one", function()
    local endpoint = new_endpoint({ lost(), stale = true }, { { "error", "WRONGTYPE no" } })
    local _, err = run(new_client(nil, endpoint), like { repeats = true })
    assert.same({ "WRONGTYPE", "unknown" }, { err.code, err.outcome })
  end)

  it("knows that a conflict was not added, whatever was before", function()
    local conflict = Error.new("conflict", "the last id is another one")
    local endpoint = new_endpoint({ lost(), stale = true }, { conflict })
    local _, err = run(new_client(nil, endpoint), like { repeats = true })
    assert.same({ "conflict", "none" }, { err.kind, err.outcome })
  end)

  it("goes elsewhere at once if the topology knows better, and nothing was done", function()
    local moved = { { "error", "READONLY You can't write against a replica" } }
    local one, other = new_endpoint(moved), new_endpoint { { "string", "5-1" } }
    local client = new_client(function() return "elsewhere" end, one, other)
    assert.equal("5-1", (run(client)))
    assert.same({ 1, 1, 1 }, { #one.released, #other.released, #client.noted })
    assert.equal(one, client.noted[1])
    -- Not so if it may have been done.
    one, other = new_endpoint { lost() }, new_endpoint()
    local _, err, what = run(new_client(function() return "elsewhere" end, one, other))
    assert.same({ "unknown", "never" }, { err.outcome, what })
    assert.equal(0, other.acquired)
  end)

  it("ends if it is sent elsewhere again and again", function()
    local endpoint = new_endpoint { { "error", "READONLY no" } }
    endpoint.connections[2] = nil
    endpoint.acquire = function(self)
      self.acquired = self.acquired + 1
      return new_connection { { "error", "READONLY no" } }
    end
    local _, err = run(new_client(function() return "elsewhere" end, endpoint))
    assert.equal("READONLY", err.code)
    assert.is_true(endpoint.acquired > 5 and endpoint.acquired < 50)
  end)

  it("asks the command to review the verdict, before it gives the connection back", function()
    local endpoint = new_endpoint({ lost "large" }, { { "string", "5-1" } }, { lost "x" })
    local given = {}
    local command = { encode = ADD.encode, take = ADD.take, review = function(_, what, err)
      given[#given + 1] = what .. #endpoint.released
      if err.message == "large" then return "anew", err end
      return "never", lost "explained"
    end }
    local client = new_client(nil, endpoint)
    assert.equal("5-1", (run(client, command)))
    local _, err = run(client, command)
    assert.equal("explained", err.message)
    assert.same({ "never0", "never2" }, given)
  end)

  it("is an error, and not the caller's, if entries were changed while it waited", function()
    local endpoint = new_endpoint { { "error", "NOSCRIPT" }, lost() }
    local _, err = run(new_client(nil, endpoint), like { encode = function(_, request, how)
      if how then return nil, "bad entry" end
      request:command("ADD")
      return 1
    end })
    assert.same({ "closed", "bad entry", "none" }, { err.kind, err.message, err.outcome })
  end)

  describe("by a clock of our own", function()
    local real_now, client = system.now, nil
    before_each(function() system.now = function() return client.clock end end)
    after_each(function() system.now = real_now end)

    it("waits for a first connection, if that is waited for", function()
      local endpoint = new_endpoint(lost(), lost(), lost(), { { "string", "5-1" } })
      client = new_client(again, endpoint)
      local _, err = run(client)
      assert.equal("lost", err.message)
      assert.equal(0, client.pauses)
      client.awaits_first, endpoint.acquired = true, 0
      assert.equal("5-1", (run(client)))
      assert.same({ 3, "reconnecting" }, { client.pauses, client.told[3] })
      endpoint = new_endpoint(lost())
      client = new_client(again, endpoint)
      client.awaits_first = true
      _, err = run(client)
      assert.equal("none", err.outcome)
      assert.is_true(client.clock > 55 and client.clock <= 60, client.clock)
    end)

    it("waits as well for the first server that has the key", function()
      local endpoint = new_endpoint { { "string", "5-1" } }
      client = new_client(again, endpoint)
      client.awaits_first = true
      local find, tries = client.topology.endpoint, 0
      client.topology.endpoint = function(...)
        tries = tries + 1
        if tries > 2 then return find(...) end
        return nil, lost()
      end
      assert.equal("5-1", (run(client)))
      assert.equal(2, client.pauses)
    end)

    describe("that can be made twice", function()
      local function insist(command)
        return call.insist(client, "log", 60, command or like { repeats = true })
      end

      it("is made until it is answered", function()
        client = new_client(again, new_endpoint(lost(), { lost() },
          { { "error", "LOADING" } }, { { "string", "5-1" } }))
        assert.equal("5-1", (insist()))
        assert.equal(3, client.pauses)
        assert.same({ "reconnecting", "reconnecting", "reconnecting" }, client.told)
      end)

      it("ends at once with what does not pass, and tells of all attempts", function()
        for outcome, first in pairs { unknown = { lost() }, none = lost() } do
          client = new_client(function(err) return err.code and "never" or "again" end,
            new_endpoint(first, { { "error", "WRONGTYPE no" } }))
          local _, err = insist()
          assert.same({ "WRONGTYPE", outcome }, { err.code, err.outcome })
          assert.equal(1, client.pauses)
        end
      end)

      it("ends with a conflict, which was not added before", function()
        client = new_client(again, new_endpoint({ lost() },
          { Error.new("conflict", "another one") }))
        local _, err = insist()
        assert.same({ "conflict", "none" }, { err.kind, err.outcome })
      end)

      it("ends when the time is up, or the client is closed", function()
        client = new_client(again, new_endpoint(lost()))
        local _, err = insist()
        assert.same({ "connection", "none" }, { err.kind, err.outcome })
        assert.is_true(client.clock > 55 and client.clock <= 60, client.clock)
        client = new_client(again, new_endpoint { lost() })
        client.closed = true
        _, err = insist()
        assert.same({ "closed", "unknown" }, { err.kind, err.outcome })
      end)
    end)
  end)
end)
