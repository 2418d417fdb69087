--- What goes wrong when in a soak: a plan made of nothing but a seed and a
--- length, the same on every Lua. Three things go wrong beside each other: the
--- server, the networks in front of it, and the processes that use it.

local M = {}

local Random = {}
Random.__index = Random

local MODULUS = 2 ^ 31 - 1

--- Numbers that only the seed decides: math.random differs between Luas. (Lehmer's
--- generator; all its products are exact in a double.)
---@param seed integer|string
function M.random(seed)
  local state = 1
  for byte in tostring(seed):gmatch(".") do
    state = (state * 257 + byte:byte() + 1) % MODULUS
  end
  local self = setmetatable({ state = math.max(1, state) }, Random)
  for _ = 1, 3 do self:next() end
  return self
end

--- The next one, at least 0 and below 1.
function Random:next()
  self.state = self.state * 48271 % MODULUS
  return (self.state - 1) / MODULUS
end

--- An integer from `first` to `last`.
function Random:integer(first, last)
  return first + math.floor(self:next() * (last - first + 1))
end

function Random:between(low, high)
  return low + self:next() * (high - low)
end

function Random:pick(list)
  return list[self:integer(1, #list)]
end

function Random:chance(probability)
  return self:next() < probability
end

--- Each fault: how often it is in a deck of cards, and how many seconds it lasts.
--- What it does is said in soak_faults.lua.
M.kinds = {
  server = {
    -- The process and its connections; nothing is lost.
    kill = { 3, 0.05, 1.2 },
    restart = { 1, 0.05, 0.5 },
    loading = { 1, 0.2, 0.6 },
    stall = { 2, 0.2, 2.5 },
    client_kill = { 3, 0, 0 },
    unblock_timeout = { 2, 0, 0 },
    unblock_error = { 2, 0, 0 },
    script_flush = { 2, 0, 0 },
    maxclients = { 1, 0.3, 1.5 },
    busy = { 1, 0.3, 1 },
    readonly = { 2, 0.2, 1.5 },
    masterdown = { 1, 0.2, 1.5 },
    oom = { 1, 0.1, 0.5 },
    pause = { 1, 0.1, 1 },
    -- The logs.
    flushall = { 1, 0, 0 },
    del = { 3, 0, 0 },
    delete = { 2, 0, 0 },
    expire = { 2, 0, 0 },
    recreate_low = { 2, 0, 0 },
    recreate_high = { 2, 0, 0 },
    rename_over = { 3, 0, 0 },
    rollback = { 4, 0.05, 0.5 },
    rollback_and_burst = { 2, 0.05, 0.5 },
    lost = { 1, 0.05, 0.5 },
    xtrim = { 3, 0, 0 },
    xdel = { 3, 0, 0 },
    burst = { 3, 0, 0 },
  },
  network = {
    cut_request = { 3, 0.2, 2 },
    cut_reply = { 3, 0.2, 2 },
    stall = { 2, 0.2, 3 },
    stall_requests = { 1, 0.2, 3 },
    stall_replies = { 1, 0.2, 3 },
    long_stall = { 1, 7, 9 },
    delay = { 2, 0.5, 3 },
    drop_replies = { 2, 0.1, 1.5 },
    refuse = { 1, 0.2, 2 },
    turn_away = { 1, 0.2, 2 },
    black_hole = { 1, 0.2, 2 },
    kill_connections = { 3, 0, 0 },
  },
  process = {
    follower_kill = { 4, 0.1, 1.5 },
    follower_stop = { 3, 0.3, 3 },
    writer_kill = { 2, 0.1, 1 },
    writer_stop = { 1, 0.3, 2 },
  },
}

-- Seconds between two faults of a track.
local pauses = { server = { 0.2, 1 }, network = { 0.2, 1.2 }, process = { 0.5, 2 } }

--- All cards of a track, shuffled.
local function deck(random, track)
  local names, cards = {}, {}
  for name in pairs(M.kinds[track]) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _ = 1, M.kinds[track][name][1] do cards[#cards + 1] = name end
  end
  for i = #cards, 2, -1 do
    local j = random:integer(1, i)
    cards[i], cards[j] = cards[j], cards[i]
  end
  return cards
end

---@class spec.Fault
---@field at number seconds from the beginning
---@field lasts number seconds
---@field track "server"|"network"|"process"
---@field network integer? which one
---@field kind string
---@field seed integer for what else it has to choose

--- The faults of one track, or of one network of several, one after the other.
local function track_of(track, network, seed, seconds)
  local random, cards = M.random(seed .. track), {}
  local faults, at = {}, random:between(0.3, 1.5)
  while true do
    if #cards == 0 then cards = deck(random, track) end
    local kind = table.remove(cards)
    local card = M.kinds[track][kind]
    local fault = {
      at = at, track = track, network = network, kind = kind,
      seed = random:integer(1, 1000000), lasts = random:between(card[2], card[3]),
    }
    at = at + fault.lasts
    if at > seconds then return faults end
    faults[#faults + 1] = fault
    at = at + random:between(pauses[track][1], pauses[track][2])
  end
end

--- The plan: tracks of faults, beside each other. In each a fault begins when the
--- one before it has ended, and not before its time.
---@param seed integer
---@param seconds number all has ended by then
---@param networks integer
---@return spec.Fault[][]
function M.new(seed, seconds, networks)
  local tracks = {
    track_of("server", nil, seed, seconds), track_of("process", nil, seed, seconds),
  }
  for i = 1, networks do
    tracks[#tracks + 1] = track_of("network", i, seed .. "/" .. i, seconds)
  end
  return tracks
end

return M
