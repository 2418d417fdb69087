--- What our driver uses of copas 4, for the specs of where Debian has no copas
--- or an old one: receive() and send() with timeouts, threads, pauses. Its
--- timers are exact; copas's own may be a tenth of a second late.

local socket = require "socket"

local M = { _VERSION = "a stand-in for copas 4" }

local reading, writing = {}, {} -- lists of sockets, as select() wants them
local owner = {} -- socket -> the coroutine that waits for it
local timeouts = setmetatable({}, { __mode = "k" })
local due = {} -- coroutine -> when its wait ends
local timed_out = {} -- coroutines
local sleeping = {} -- the queue of pauses

local function drop(list, value)
  for i, each in ipairs(list) do
    if each == value then return table.remove(list, i) end
  end
end

local function step_thread(co, ...)
  due[co] = nil
  local ok, what, queue = coroutine.resume(co, ...)
  if not ok then error(debug.traceback(co, tostring(what)), 0) end
  if coroutine.status(co) == "dead" then return end
  if queue == sleeping then
    due[co] = socket.gettime() + what
  else
    table.insert(queue, what)
    owner[what] = co
    local seconds = timeouts[what]
    if seconds then due[co] = socket.gettime() + seconds end
  end
end

local function transfer(skt, queue, method, ...)
  local me = coroutine.running()
  timed_out[me] = nil
  while true do
    local done, why = skt[method](skt, ...)
    if math.random(100) > 90 then M.pause(0) end
    if done or why ~= "timeout" then return done, why end
    if timed_out[me] then
      timed_out[me] = nil
      return nil, "timeout"
    end
    coroutine.yield(skt, queue)
  end
end

function M.receive(skt) return transfer(skt, reading, "receive", "*l") end
function M.send(skt, data) return transfer(skt, writing, "send", data, 1) end

function M.settimeouts(skt, _, _, receive)
  timeouts[skt] = receive
end

function M.pause(seconds) coroutine.yield(seconds, sleeping) end

function M.addthread(f, ...)
  local co = coroutine.create(f)
  step_thread(co, ...)
  return co
end

--- One round: at most `longest` seconds.
function M.step(longest)
  local now = socket.gettime()
  local wait = longest
  for _, at in pairs(due) do wait = math.max(0, math.min(wait, at - now)) end
  local readable, can_write = socket.select(reading, writing, wait)
  local ready = {}
  for i, list in ipairs({ readable, can_write }) do
    for _, skt in ipairs(list) do
      drop(i == 1 and reading or writing, skt)
      ready[#ready + 1] = owner[skt]
      due[owner[skt]] = nil
      owner[skt] = nil
    end
  end
  now = socket.gettime()
  for co, at in pairs(due) do
    if at <= now then
      due[co] = nil
      for skt, waiter in pairs(owner) do
        if waiter == co then
          timed_out[co] = true
          owner[skt] = nil
          if not drop(reading, skt) then drop(writing, skt) end
          break
        end
      end
      ready[#ready + 1] = co
    end
  end
  for _, co in ipairs(ready) do step_thread(co) end
end

return M
