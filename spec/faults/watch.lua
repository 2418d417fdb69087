--- What a follower brings, as text that specs compare.

local M = {}

-- Seconds for what is to come for sure.
local LONG = 30

--- The numbers from 1 to n.
function M.up_to(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return table.concat(list, " ")
end

--- The next batch: the numbers of its entries (field i), then its reset and its
--- gap where it has them; or its error.
function M.tells(follower)
  local batch, err = follower:next(LONG)
  if not batch then return "error " .. err.message end
  local words = {}
  for _, entry in ipairs(batch) do words[#words + 1] = entry.fields.i end
  words[#words + 1] = batch.reset
  if batch.gap then words[#words + 1] = "gap" end
  return table.concat(words, " ")
end

--- Reads on until it has brought so many entries, without a gap or a reset; their
--- numbers.
function M.follow_to(follower, count)
  local seen = {}
  while #seen < count do
    local batch, err = follower:next(LONG)
    if not batch then error(err) end
    if batch.gap or batch.reset then error("a gap or a reset", 2) end
    for _, entry in ipairs(batch) do seen[#seen + 1] = entry.fields.i end
  end
  return table.concat(seen, " ")
end

--- Fails where it brings something now, or ends.
function M.waits(follower)
  local batch, err = follower:next(0.2)
  if batch then error("brought a batch of " .. #batch, 2) end
  if err.kind ~= "timeout" then error("ended: " .. err.message, 2) end
end

return M
