--- What a soak's server held, when: each log's lives, one after the other, made
--- from the commands that it carried out. Does no I/O.
---
--- A log begins a new life, an epoch, where it is created, renamed to, or rolled
--- back. A rolled back one shares the entries (the very tables) that it kept with
--- the epoch that it was rolled back from. Time is the position of a group of
--- commands in all that the server ever carried out; ticks tie it to the clock.

local Truth = {}
Truth.__index = Truth

local M = {}

--- The key that the conductor sets all the time, to the number of the tick.
M.CLOCK = "soak:clock"

---@class spec.Entry
---@field id string
---@field ms number of the id
---@field seq number of the id
---@field at string? what it says it is: "writer:unit:i:n"
---@field pos integer when it was added
---@field index integer how many were added to its epoch with it

---@class spec.Epoch
---@field log string
---@field number integer counted for each log
---@field born integer
---@field died number math.huge: lives
---@field entries spec.Entry[] all that were ever added, by index
---@field removed table<integer, { pos: integer, why: "trimmed"|"deleted" }> by index
---@field head integer index of the oldest one that is there
---@field length integer
---@field by_id table<string, spec.Entry>

function M.new()
  return setmetatable({
    pos = 0,
    keys = {}, -- name -> the epoch that lives
    logs = {}, -- name -> list of epochs
    units = {}, -- "writer:unit" -> list of landings
    rollbacks = {}, -- { pos, to }: at pos, to how it was at an earlier one
    gone = {}, -- key, or "*" for all -> positions where it was removed
    ticks = {}, -- number -> pos
  }, Truth)
end

--- The two numbers of an id.
function M.numbers(id)
  local ms, seq = id:match("^(%d+)%-(%d+)$")
  if not ms then ms, seq = id:match("^(%d+)$"), "0" end
  return tonumber(ms), tonumber(seq)
end

--- Whether an id comes before another one.
function M.before(a, b)
  local a_ms, a_seq = M.numbers(a)
  local b_ms, b_seq = M.numbers(b)
  return a_ms < b_ms or a_ms == b_ms and a_seq < b_seq
end

local function new_epoch(self, name)
  local list = self.logs[name] or {}
  self.logs[name] = list
  local epoch = {
    log = name, number = #list + 1, born = self.pos, died = math.huge,
    entries = {}, removed = {}, head = 1, length = 0, by_id = {},
  }
  list[#list + 1] = epoch
  self.keys[name] = epoch
  return epoch
end

--- The key has gone.
local function kill(self, name)
  local epoch = self.keys[name]
  if epoch then epoch.died = self.pos end
  self.keys[name] = nil
  local list = self.gone[name] or {}
  self.gone[name] = list
  list[#list + 1] = self.pos
end

--- A new epoch of a log with what another one held at a position.
local function copy(self, name, from, pos)
  local epoch = new_epoch(self, name)
  for index, entry in ipairs(from.entries) do
    if entry.pos > pos then break end
    epoch.entries[index] = entry
    epoch.by_id[entry.id] = entry
    local removed = from.removed[index]
    if removed and removed.pos <= pos then
      epoch.removed[index] = removed
    else
      epoch.length = epoch.length + 1
    end
  end
  while epoch.removed[epoch.head] do epoch.head = epoch.head + 1 end
  return epoch
end

local function remove(self, epoch, index, why)
  epoch.removed[index] = { pos = self.pos, why = why }
  epoch.length = epoch.length - 1
  while epoch.removed[epoch.head] do epoch.head = epoch.head + 1 end
end

local function trim(self, epoch, keep)
  while epoch.length > keep do remove(self, epoch, epoch.head, "trimmed") end
end

--- Reads "MAXLEN = n" at words[at]: n, and what comes behind it.
local function read_trim(words, at)
  if (words[at] or ""):upper() ~= "MAXLEN" then return nil, at end
  at = at + 1
  if words[at] == "=" then at = at + 1 end
  return assert(tonumber(words[at]), "an inexact trim in the file"), at + 1
end

--- Notes that an entry of a unit has come: each group, and each log in it, has
--- landings of its own.
local function land(self, epoch, entry, before)
  local writer, unit, i, n = (entry.at or ""):match("^([^:]+):(%d+):(%d+):(%d+)$")
  if not writer then return end
  local name = writer .. ":" .. unit
  local list = self.units[name] or {}
  self.units[name] = list
  local landing = list[#list]
  if not landing or landing.pos ~= self.pos or landing.epoch ~= epoch then
    landing = {
      log = epoch.log, epoch = epoch, pos = self.pos, entries = {}, before = before,
      whole = true,
    }
    list[#list + 1] = landing
    self.landed[landing] = true
  end
  local entries = landing.entries
  entries[#entries + 1] = entry
  local previous = entries[#entries - 1]
  landing.n = tonumber(n)
  if tonumber(i) ~= #entries or previous and previous.index ~= entry.index - 1 then
    landing.whole = false
  end
end

local commands = {}

function commands.XADD(self, words)
  local name, at = words[2], 3
  if words[at]:upper() == "NOMKSTREAM" then at = at + 1 end
  local keep
  keep, at = read_trim(words, at)
  local id = words[at]
  local epoch = self.keys[name] or new_epoch(self, name)
  local ms, seq = M.numbers(id)
  local last = epoch.entries[#epoch.entries]
  local entry = { id = id, ms = ms, seq = seq, pos = self.pos, index = #epoch.entries + 1 }
  for i = at + 1, #words, 2 do
    if words[i] == "at" then entry.at = words[i + 1] end
  end
  epoch.entries[entry.index] = entry
  epoch.by_id[id] = entry
  epoch.length = epoch.length + 1
  if keep then trim(self, epoch, keep) end
  land(self, epoch, entry, last and last.id or "0-0")
end

function commands.XTRIM(self, words)
  local epoch = self.keys[words[2]]
  if epoch then trim(self, epoch, (read_trim(words, 3))) end
end

function commands.XDEL(self, words)
  local epoch = self.keys[words[2]]
  for i = 3, epoch and #words or 0 do
    local entry = epoch.by_id[words[i]]
    if entry and not epoch.removed[entry.index] then
      remove(self, epoch, entry.index, "deleted")
    end
  end
end

function commands.DEL(self, words)
  for i = 2, #words do kill(self, words[i]) end
end
commands.UNLINK = commands.DEL

function commands.FLUSHALL(self)
  for name in pairs(self.keys) do self.keys[name].died = self.pos end
  self.keys = {}
  local list = self.gone["*"] or {}
  self.gone["*"] = list
  list[#list + 1] = self.pos
end

function commands.RENAME(self, words)
  local from = self.keys[words[2]]
  kill(self, words[3])
  kill(self, words[2])
  if from then copy(self, words[3], from, self.pos) end
end

function commands.SET(self, words)
  if words[2] == M.CLOCK then self.ticks[tonumber(words[3])] = self.pos end
end

--- Says of the units that came in this group that they came with a TTL.
function commands.PEXPIREAT(self, words)
  for landing in pairs(self.landed) do
    if landing.log == words[2] then landing.expires = true end
  end
end

local function nothing() end
for _, name in ipairs { "SELECT", "PERSIST", "HSET", "HDEL", "PING", "XGROUP" } do
  commands[name] = nothing
end

--- Carries out what the server carried out as one.
---@param group string[][]
function Truth:apply(group)
  self.pos = self.pos + 1
  self.landed = {} -- set of the units that come in this group
  for _, words in ipairs(group) do
    local command = commands[words[1]:upper()]
    if not command then error("the file has an unexpected " .. words[1]) end
    command(self, words)
  end
end

--- The server was rolled back to how it was at an earlier position. Logs that
--- nothing had happened to since then live on.
---@param to integer
function Truth:rollback(to)
  self.pos = self.pos + 1
  self.rollbacks[#self.rollbacks + 1] = { pos = self.pos, to = to }
  for name, epochs in pairs(self.logs) do
    local now, was = self.keys[name], nil
    for _, epoch in ipairs(epochs) do
      if epoch.born <= to and epoch.died > to and not (was and was.born > epoch.born) then
        was = epoch
      end
    end
    local last = now and #now.entries > 0 and now.entries[#now.entries].pos or 0
    local same = now and now == was and last <= to
    for _, removed in pairs(same and now.removed or {}) do
      if removed.pos > to then same = false end
    end
    if not same then
      if now then now.died = self.pos end
      self.keys[name] = nil
      if was then copy(self, name, was, to) end
    end
  end
end

--- Ties positions to the clock.
---@param times table[] of tick i: { sent =, done = nil where no answer came }
function Truth:set_clock(times)
  local done, sent = {}, {}
  for i, pos in pairs(self.ticks) do
    local time = times[i]
    if time and time.done then done[#done + 1] = { time = time.done, pos = pos } end
    if time then sent[#sent + 1] = { time = time.sent, pos = pos } end
  end
  local function by_time(a, b) return a.time < b.time end
  table.sort(done, by_time)
  table.sort(sent, by_time)
  self.done, self.sent = done, sent
end

--- The last position that the server had surely passed at that time.
---@param time number of core.now()
---@return integer pos
function Truth:surely(time)
  local low, high = 0, #self.done
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if self.done[middle].time <= time then low = middle else high = middle - 1 end
  end
  return low > 0 and self.done[low].pos or 0
end

--- The first position that it had surely not passed then.
---@return number pos
function Truth:not_yet(time)
  local low, high = 1, #self.sent + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if self.sent[middle].time >= time then high = middle else low = middle + 1 end
  end
  return self.sent[low] and self.sent[low].pos or math.huge
end

--- How many entries an epoch had ever been given at a position.
---@param epoch spec.Epoch
---@param pos number
---@return integer index
function M.index_at(epoch, pos)
  local entries = epoch.entries
  local low, high = 0, #entries
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if entries[middle].pos <= pos then low = middle else high = middle - 1 end
  end
  return low
end

return M
