--- Things that wait to be used again. What was put in last is taken first, so
--- that what is not needed grows old at the other end; and goes by its age, when
--- the pool is used next.

local Pool = {}
Pool.__index = Pool
Pool.__name = "eventlog.Pool"

local M = {}

---@param most integer how many it holds
---@param seconds number how long it keeps each
---@param drop fun(thing: any) what becomes of one that it does not keep
function M.new(most, seconds, drop)
  return setmetatable({
    most = most,
    seconds = seconds,
    drop = drop,
    things = {}, -- from `first`, the oldest, to `last`
    since = {}, -- when each was put in
    first = 1,
    last = 0,
  }, Pool)
end

-- An error may break these off at any step, such as Ctrl-C's: what lies outside
-- of first to last is as good as gone.

--- Drops what was put in before `time`.
local function drop_older(self, time)
  local things, since, first = self.things, self.since, self.first
  while first <= self.last and since[first] < time do
    local thing = things[first]
    self.first = first + 1
    things[first], since[first] = nil, nil
    self.drop(thing)
    first = first + 1
  end
end

--- Puts a thing in.
---@param thing any
---@param now number of system.now()
function Pool:put(thing, now)
  local since, first, last = self.since, self.first, self.last + 1
  if first < last and since[first] < now - self.seconds then
    drop_older(self, now - self.seconds)
    first = self.first
  end
  if last - first >= self.most then return self.drop(thing) end
  self.things[last], since[last] = thing, now
  self.last = last
end

--- The thing that was put in last, unless that is too long ago; or nil.
---@param now number of system.now()
function Pool:take(now)
  local last, since = self.last, self.since
  if self.first > last then return nil end
  if since[last] < now - self.seconds then return self:clear() end
  local things = self.things
  local thing = things[last]
  self.last = last - 1
  things[last], since[last] = nil, nil
  return thing
end

--- Drops all that it has.
function Pool:clear()
  drop_older(self, math.huge)
end

return M
