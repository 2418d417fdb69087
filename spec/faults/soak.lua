--- Conducts a soak: a server, proxies in front of it, processes that write and
--- follow, and a plan of faults; then judges it by the model. Run by script/soak:
---   soak.lua SECONDS SEED DIRECTORY [LUAJIT_CPATH]
--- Long soaks are of several rounds, each with a server and processes of its own.
--- Leaves the directory as it is where something was wrong.

local aof = require "spec.faults.aof"
local core = require "eventlog.core"
local fault_plan = require "spec.faults.fault_plan"
local journals = require "spec.faults.journal"
local model = require "spec.faults.model"
local proxies = require "spec.faults.proxy"
local redis = require "spec.support.redis"
local report = require "spec.faults.soak_report"
local soak_faults = require "spec.faults.soak_faults"
local soak_losses = require "spec.faults.soak_losses"
local cast = require "spec.faults.soak_cast"
local truths = require "spec.faults.truth"

-- Seconds of one round's faults; and at most of what comes to its end by itself: far
-- more than it takes, a follower that hears of a silent stall within 15 s included.
local ROUND, READY, WRITERS_END, FOLLOWERS_END = 60, 60, 60, 90

local CONFIG = "--appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0 " ..
  "--lua-time-limit 50 --stream-node-max-entries 10"

local Soak = {}
Soak.__index = Soak

local function sleep(seconds) core.wait(-1, "r", seconds) end

local function new(work, seed, jit_cpath)
  redis.sh("mkdir -p %s", work)
  local self = setmetatable({
    work = work, seed = seed, up = true, units = 0, times = {}, segments = {}, from = 0,
    applied = {}, logs = {},
  }, Soak)
  for name in pairs(cast.logs) do self.logs[#self.logs + 1] = name end
  table.sort(self.logs)
  self.server = redis.start { config = CONFIG }
  self.proxies = { proxies.start(self.server.path), proxies.start(self.server.path) }
  self.stop_file, self.drain_file = work .. "/stop", work .. "/draining"
  self.writers, self.followers = cast.new(self, jit_cpath)
  return self
end

-- --- the server -------------------------------------------------------------

--- Waits until the server answers as one that is ready.
function Soak:wait_ready()
  local give_up = core.now() + READY
  repeat
    local ok, answer = pcall(self.server.call, self.server, "PING")
    if ok and answer == "PONG" then
      self.up = true
      return
    end
    sleep(0.05)
  until core.now() > give_up
  error("the server is not ready after " .. READY .. " s")
end

function Soak:launch()
  self.server:launch()
  self:wait_ready()
end

function Soak:down()
  self.up = false
  self.server:kill()
end

-- --- the append-only file ---------------------------------------------------

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

function Soak:aof_path()
  return self.server.dir .. "/appendonlydir/appendonly.aof.1.incr.aof"
end

function Soak:read_aof() return read(self:aof_path()) end

--- Cuts the file of the server, which is down. Keeps what it was. False where there
--- is nothing to cut off.
---@param to integer? the offset; nil: somewhere not long before the end
function Soak:roll_back(random, to)
  local path = self:aof_path()
  local bytes = read(path)
  to = to or soak_losses.place_to_cut(bytes, random)
  if not to or to == #bytes then return false end
  local kept = string.format("%s/aof.%d.cut.%d", self.work, #self.segments + 1, to)
  redis.sh("cp %s %s && truncate -s %d %s", path, kept, to, path)
  table.insert(self.segments, { path = kept, cut = to })
  return true
end

--- The truth, from all that the file ever was.
function Soak:truth()
  local truth, offsets, from = truths.new(), {}, 0
  table.insert(self.segments, { path = self:aof_path() })
  for _, segment in ipairs(self.segments) do
    aof.each(read(segment.path), from, function(group, _, ends)
      truth:apply(group)
      offsets[#offsets + 1] = { ends = ends, pos = truth.pos }
    end)
    if segment.cut then
      while #offsets > 0 and offsets[#offsets].ends > segment.cut do
        table.remove(offsets)
      end
      truth:rollback(#offsets > 0 and offsets[#offsets].pos or 0)
      from = segment.cut
    end
  end
  truth:set_clock(self.times)
  return truth
end

-- --- the run ----------------------------------------------------------------

--- Ties the truth to the clock.
function Soak:tick()
  if not self.up then return end
  local number = #self.times + 1
  self.times[number] = { sent = core.now() }
  if pcall(self.server.call, self.server, "SET", truths.CLOCK, number) then
    self.times[number].done = core.now()
  end
end

--- Does what a fault does; returns what ends it, if anything.
function Soak:begin(fault)
  if fault.track == "server" and not self.up then return end
  self:tick()
  local begin = soak_faults[fault.track][fault.kind]
  local ok, finish = pcall(begin, self, fault, fault_plan.random(fault.seed))
  self:tick()
  if not ok then
    io.stderr:write(string.format("  %s could not be done: %s\n", fault.kind, tostring(finish)))
    return
  end
  if finish == false then return end
  self.applied[fault.kind] = (self.applied[fault.kind] or 0) + 1
  return finish
end

--- Carries out what is due on a track. Returns false where all of it is over. The
--- machine may be slow: what is under way has ended before the next fault begins.
function Soak:step(track, began)
  local fault, now = track.faults[track.next], core.now()
  if track.finish and now >= track.ends then
    track.finish()
    track.finish = nil
    self:tick()
  elseif not track.finish and fault and now >= began + fault.at then
    track.next = track.next + 1
    track.finish = self:begin(fault)
    track.ends = core.now() + fault.lasts
  end
  return track.finish ~= nil or track.next <= #track.faults
end

--- Carries out the plan; all faults are over when it returns.
function Soak:carry_out(plan)
  local began, tracks, busy = core.now(), {}, true
  for i, faults in ipairs(plan) do tracks[i] = { faults = faults, next = 1 } end
  while busy do
    busy = false
    for _, track in ipairs(tracks) do busy = self:step(track, began) or busy end
    self:tick()
    sleep(0.02)
  end
  for _, proxy in ipairs(self.proxies) do proxy:heal() end
end

local function touch(path)
  assert(io.open(path, "w")):close()
end

--- Waits until processes have ended; those that have not are ended, and complained
--- of.
function Soak:await(processes, seconds, violations, meanwhile)
  local give_up, next_turn = core.now() + seconds, 0
  while true do
    local running = 0
    for _, each in ipairs(processes) do
      if each:is_running() then running = running + 1 end
    end
    if running == 0 or core.now() > give_up then break end
    if meanwhile and core.now() > next_turn then
      meanwhile()
      next_turn = core.now() + 1
    end
    self:tick()
    sleep(0.05)
  end
  for _, each in ipairs(processes) do
    if each:is_running() then
      each:kill()
      violations[#violations + 1] = {
        rule = "hung", what = "it did not end in " .. seconds .. " s", who = each.name,
        log = "-",
      }
    end
  end
end

--- Lets all come to their end.
function Soak:drain(violations)
  touch(self.stop_file)
  self:await(self.writers, WRITERS_END, violations)
  touch(self.drain_file)
  self:await(self.followers, FOLLOWERS_END, violations, function()
    for _, log in ipairs(self.logs) do soak_losses.add_end(self, log) end
  end)
end

--- Reads the journals. Returns adds, lives, and who must have come to what end.
function Soak:collect(violations)
  local adds, lives, wanted = {}, {}, {}
  for _, process in ipairs(self.writers) do
    local lines = journals.read(process.config.journal)
    model.read_writer(lines, process.name, cast.logs, adds, violations)
    report.check_done(process, lines, violations)
  end
  for _, process in ipairs(self.followers) do
    local lines = journals.read(process.config.journal)
    model.read_follower(lines, process.name, cast.logs, lives, violations)
    report.check_done(process, lines, violations)
    for _, log in ipairs(process.config.logs) do
      wanted[#wanted + 1] = { who = process.name, log = log.name }
    end
  end
  return adds, lives, wanted
end

function Soak:stop()
  for _, list in ipairs { self.writers, self.followers } do
    for _, process in ipairs(list) do
      if process.pid then process:kill() end
    end
  end
  for _, proxy in ipairs(self.proxies) do pcall(proxy.stop, proxy) end
  self.server:stop()
end

--- One round. Returns what was counted, the faults by kind, and the violations.
local function round(work, seed, seconds, jit_cpath)
  local soak, violations = new(work, seed, jit_cpath), {}
  local ok, counts = xpcall(function()
    for _, process in ipairs(soak.followers) do process:start() end
    for _, process in ipairs(soak.writers) do process:start() end
    soak:carry_out(fault_plan.new(seed, seconds, #soak.proxies))
    soak:drain(violations)
    redis.sh("cp %s %s/aof.last", soak:aof_path(), work)
    local adds, lives, wanted = soak:collect(violations)
    return model.judge(soak:truth(), adds, lives, wanted, violations)
  end, debug.traceback)
  soak:stop()
  if not ok then error(counts, 0) end
  return counts, soak.applied, violations
end

local function main(seconds, seed, work, jit_cpath)
  local rounds = math.max(1, math.floor(seconds / ROUND + 0.5))
  local sums, faults, wrong = {}, {}, {}
  for i = 1, rounds do
    local dir = string.format("%s/%d", work, i)
    local counts, applied, violations =
      round(dir, seed .. "." .. i, seconds / rounds, jit_cpath)
    report.add(sums, counts)
    report.add(faults, applied)
    for _, violation in ipairs(violations) do
      violation.dir = dir
      wrong[#wrong + 1] = violation
    end
    if rounds > 1 then print(string.format("round %d of %d is over", i, rounds)) end
    if #wrong > 0 then break end
    redis.sh("rm -rf %s", dir)
  end
  report.print(sums, faults, wrong)
  return #wrong == 0
end

os.exit(main(tonumber(arg[1]), arg[2], arg[3], arg[4]))
