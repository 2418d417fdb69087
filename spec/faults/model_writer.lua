--- Judges what adds returned against what is in the truth. Does no I/O.

local M = {}

---@class spec.Add
---@field unit string "writer:number"
---@field log string
---@field n integer how many entries
---@field idempotent boolean
---@field expected string? of add_if
---@field expires boolean whether the log has a TTL
---@field outcome "ids"|"none"|"unknown"|nil nil: the writer was killed
---@field ids string[]?
---@field err { kind: string, code: string, message: string }?
---@field time number before it was sent
---@field answered number? when its outcome was known

-- What Redis says that is no fault of the add: "not now", and no memory.
local passing = {
  LOADING = true, BUSY = true, MASTERDOWN = true, READONLY = true, OOM = true,
}

local function passes(err)
  return err.kind == "connection" or err.kind == "conflict" or err.kind == "server" and
    (passing[err.code] or err.message:find("max_number_of_clients", 1, true))
end

--- Whether the server may have forgotten an add's token between two positions: all
--- was flushed, the tokens were deleted, or it was rolled back to before them.
local function forgot(truth, log, from, to)
  for _, key in ipairs { "*", "{" .. log .. "}:eventlog" } do
    for _, pos in ipairs(truth.gone[key] or {}) do
      if pos > from and pos < to then return true end
    end
  end
  for _, rollback in ipairs(truth.rollbacks) do
    if rollback.pos > from and rollback.pos < to and rollback.to < from then return true end
  end
  return false
end

local function same(ids, entries)
  if #ids ~= #entries then return false end
  for i, entry in ipairs(entries) do
    if entry.id ~= ids[i] then return false end
  end
  return true
end

--- What is wrong with what landed of a unit.
local function check_landings(truth, add, landings)
  for i, landing in ipairs(landings) do
    if not landing.whole or #landing.entries ~= add.n or landing.n ~= add.n then
      return "torn", string.format("%d of %d entries, or some between them",
        #landing.entries, add.n)
    elseif landing.log ~= add.log then
      return "wrong log", "it is in " .. landing.log
    elseif add.expires and not landing.expires then
      return "ttl", "it came without the TTL"
    elseif add.expected and landing.before ~= add.expected then
      return "condition", "the last id was " .. landing.before .. ", not " .. add.expected
    end
    local earlier = landings[i - 1]
    if earlier and not (add.idempotent and
      forgot(truth, add.log, earlier.pos, landing.pos)) then
      return "double", string.format("it is there as %s and as %s", earlier.entries[1].id,
        landing.entries[1].id)
    end
  end
end

--- Whether an add_if that was retried may have found that the server has lost it.
local function was_lost(truth, add, landing)
  return add.idempotent and add.err.kind == "conflict" and
    forgot(truth, add.log, landing.pos, truth:not_yet(add.answered))
end

--- What is wrong with an add's outcome.
local function check_outcome(truth, add, landings)
  if add.outcome == "ids" then
    for _, landing in ipairs(landings) do
      if same(add.ids, landing.entries) then return end
    end
    return "not there", #landings == 0 and "it was acknowledged" or
      "it was acknowledged with other ids"
  elseif add.outcome == "none" then
    for _, landing in ipairs(landings) do
      if not was_lost(truth, add, landing) then
        return "none", "it is there, as " .. landing.entries[1].id
      end
    end
  end
  local err = add.err
  if not err then return end
  if not passes(err) then return "error", err.kind .. " " .. err.code .. " " .. err.message end
  if add.idempotent and err.kind ~= "conflict" and err.code ~= "OOM" then
    return "gave up", err.kind .. " " .. err.code .. " " .. err.message
  end
end

--- Judges all adds, and that nothing else is there. Adds to a list of violations,
--- and to counts.
---@param truth table of truth.lua
---@param adds spec.Add[]
---@param violations table[]
---@param counts table<string, integer>
---@param others table<string, boolean> other writers, who keep no journal
function M.judge(truth, adds, violations, counts, others)
  local known = {}
  for _, add in ipairs(adds) do
    known[add.unit] = true
    local landings = truth.units[add.unit] or {}
    local name = add.outcome or "unanswered"
    counts[name] = (counts[name] or 0) + 1
    if name == "ids" then counts.acknowledged = (counts.acknowledged or 0) + add.n end
    if #landings > 1 then counts.forgotten = (counts.forgotten or 0) + 1 end
    local rule, what = check_landings(truth, add, landings)
    if not rule then rule, what = check_outcome(truth, add, landings) end
    if rule then
      violations[#violations + 1] = {
        rule = rule, what = what, log = add.log, who = add.unit, time = add.time,
      }
    end
  end
  for unit, landings in pairs(truth.units) do
    if not known[unit] and not others[unit:match("^[^:]+")] then
      violations[#violations + 1] = {
        rule = "unknown", what = "nobody added it", log = landings[1].log, who = unit,
      }
    end
  end
end

return M
