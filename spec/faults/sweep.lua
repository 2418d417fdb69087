--- Cuts a connection after each byte of an operation in turn, in a direction,
--- and has each outcome judged.
---
--- Every byte is cut on Lua 5.4 and on LuaJIT; on the others the first ones, and
--- then every 7th: what differs between them is no part of the protocol.

local backoff = require "eventlog.base.backoff"
local proxies = require "spec.faults.proxy"
local redis = require "spec.support.redis"

local Sweep = {}
Sweep.__index = Sweep

local M = {}

local FIRST = 32
local COARSE = 7
local FINE = (_VERSION == "Lua 5.4" or rawget(_G, "jit")) and 1 or COARSE

--- As assert, which luassert makes too slow for what is asked a million times.
function M.hold(true_one, ...)
  if not true_one then
    local words = { ... }
    for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
    error(table.concat(words), 0)
  end
end

--- A server, and a proxy in front of it. Until stop(), what tries again does so
--- sooner, or each retry would take 50 ms; all else is as it is.
function M.new()
  local server = redis.start()
  local self = setmetatable({
    server = server,
    proxy = proxies.start(server.path),
    cuts = 0, -- so far
    first_pause = backoff.FIRST,
  }, Sweep)
  backoff.FIRST = 0.0005
  return self
end

---@class spec.Sweep.Operation
---@field prepare fun(k: integer) what comes before, through the proxy or not
---@field run fun(k: integer): ... the operation: what it returns is judged
---@field judge fun(k: integer, was_cut: boolean, ...) fails where it is wrong
---@field direction "request"|"reply"
---@field how "close"|"reset"
---@field present boolean? whether it is to happen on the connection that prepare
---  left, rather than on a new one
---@field coarse boolean? every 7th byte suffices, behind the first ones

--- Runs it, cut after k bytes for k = 0, 1, ... until it is not cut any more.
--- Returns how many times it was cut.
---@param operation spec.Sweep.Operation
function Sweep:each_byte(operation)
  local proxy, first, k = self.proxy, self.cuts, 0
  local so_far = proxy:counts().cuts
  repeat
    operation.prepare(k)
    proxy:cut {
      direction = operation.direction, after = k, how = operation.how,
      connections = 1, present = operation.present,
    }
    local ok, err = pcall(function()
      local function settled(...)
        local cuts = proxy:settle().cuts
        local was_cut = cuts > so_far
        so_far = cuts
        if not was_cut then proxy:heal() end -- or the next one would be
        operation.judge(k, was_cut, ...)
        return was_cut
      end
      return settled(operation.run(k))
    end)
    if not ok then
      error(string.format("%s after %d bytes of the %s: %s", operation.how, k,
        operation.direction, tostring(err.message or err)), 0)
    end
    local was_cut = err
    if was_cut then self.cuts = self.cuts + 1 end
    k = k + (k < FIRST and 1 or operation.coarse and COARSE or FINE)
  until not was_cut
  -- Where it was never cut, nothing was shown.
  assert(self.cuts > first + 1, "was not cut")
  return self.cuts - first
end

--- Says how much it was, for the reader of the output.
function Sweep:stop()
  backoff.FIRST = self.first_pause
  print(string.format("\n%d cuts", self.cuts))
  self.proxy:stop()
  self.server:stop()
end

return M
