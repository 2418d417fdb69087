--- To whom the replies are owed that a connection is to bring: a queue, the oldest
--- taker first. It is empty if all are owed to whoever calls reply(), as those of a call
--- are, which has the connection to itself.

local M = {}

--- Notes whose replies come behind those that are owed.
---@param connection table
---@param taker any false: whoever calls reply()
---@param replies integer how many
---@param owed integer how many are owed already
function M.enqueue(connection, taker, replies, owed)
  local last = connection.last
  if last == 0 and owed > 0 then -- to nobody in particular
    last = 1
    connection.takers[1], connection.counts[1] = false, owed
  end
  last = last + 1
  connection.takers[last], connection.counts[last], connection.last = taker, replies, last
end

--- So many replies to the oldest taker have come, no more than are owed to it. Returns
--- the taker. For who takes them from the decoder, behind the one that is at hand.
---@param connection table
---@param replies integer
function M.settle(connection, replies)
  connection.owed = connection.owed - replies
  if connection.last == 0 then return false end
  local first = connection.first
  local taker, left = connection.takers[first], connection.counts[first] - replies
  connection.counts[first] = left
  if left > 0 then return taker end
  connection.takers[first], connection.counts[first] = nil, nil
  if first == connection.last then
    connection.first, connection.last = 1, 0
  else
    connection.first = first + 1
  end
  return taker
end

return M
