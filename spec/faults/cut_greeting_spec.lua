--- A connection that is cut while it logs in: an add was not sent, and says so.

local eventlog = require "eventlog"
local sweeps = require "spec.faults.sweep"

local sweep, server

setup(function()
  sweep = sweeps.new()
  server = sweep.server
  server:call("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all")
end)

teardown(function() sweep:stop() end)

local GREETING = "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n" ..
  "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$4\r\nname\r\n" ..
  "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n"
local WELCOME = "+OK\r\n+OK\r\n+OK\r\n"

local function new_log(options)
  return eventlog.new({
    url = "redis://u:p@127.0.0.1:" .. sweep.proxy.port .. "/1", client_name = "name",
    reconnect_timeout = 5,
  }, "log", options)
end

--- How many entries there are; and there are none any more.
local function renew()
  server:call("SELECT", 1)
  local length = server:call("XLEN", "log")
  server:call("DEL", "log")
  return length
end

--- Calls it on a client of its own, cut at every byte; judges with
--- judge(log, was greeted, was_cut, what it returns ...).
local function cut(call, judge, options)
  for _, way in ipairs { { "request", "close", #GREETING }, { "reply", "reset", #WELCOME } } do
    local log
    sweep:each_byte {
      direction = way[1], how = way[2],
      prepare = function()
        renew()
        log = new_log(options)
      end,
      run = function() return call(log) end,
      judge = function(k, was_cut, ...)
        -- In requests the end of the greeting is not its answer.
        judge(k > way[3] or way[1] == "reply" and k == way[3], was_cut, ...)
        renew()
        local ids, err = log:add { i = 2 }
        sweeps.hold(ids and renew() == 1, "the next one: ", err)
        log.client:close()
      end,
    }
  end
end

describe("a connection that is cut while it logs in", function()
  it("has added nothing, and knows it", function()
    cut(function(log) return log:add { i = 1 } end, function(greeted, was_cut, ids, err)
      local landed = renew()
      if ids then
        sweeps.hold(landed == 1, landed, " landed")
      else
        sweeps.hold(was_cut and err.kind == "connection", err)
        sweeps.hold(err.outcome == "none" and landed == 0 or
          err.outcome == "unknown" and greeted, "outcome ", err.outcome)
      end
    end)
  end)

  it("is tried again by an idempotent add, which lands once", function()
    cut(function(log) return log:add({ i = 1 }, { i = 2 }) end, function(_, _, ids, err)
      sweeps.hold(ids and #ids == 2, err)
      sweeps.hold(renew() == 2, "did not land once")
    end, { idempotent = true })
  end)

  it("reads nothing", function()
    cut(function(log) return log:length() end, function(greeted, was_cut, length, err)
      sweeps.hold(length == 0 or was_cut and err.kind == "connection", err)
      sweeps.hold(greeted or not length, "was answered, and logged in never")
    end)
  end)

  it("ends a follower at once", function()
    cut(function(log)
      local follower = log:tail_and_follow()
      local batch, err = follower:next(20)
      follower:close()
      return batch, err
    end, function(greeted, was_cut, batch, err)
      sweeps.hold(batch and #batch == 0 or was_cut and err.kind == "connection", err)
      sweeps.hold(greeted or not batch, "was answered, and logged in never")
    end)
  end)
end)
