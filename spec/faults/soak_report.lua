--- What a soak prints when it is over.

local M = {}

-- How many violations are shown.
local SHOWN = 20

--- Adds counts to sums.
function M.add(sums, counts)
  for name, count in pairs(counts) do sums[name] = (sums[name] or 0) + count end
end

--- A process that ended has said so.
function M.check_done(process, lines, violations)
  local last = lines[#lines]
  for _, violation in ipairs(violations) do
    if violation.who == process.name and violation.rule == "hung" then return end
  end
  if not last or last[1] ~= "done" then
    violations[#violations + 1] = {
      rule = "died", what = "see " .. process.dir .. "/out", who = process.name, log = "-",
    }
  end
end

local sums_in_order = {
  { "acknowledged", "entries acknowledged" }, { "ids", "adds acknowledged" },
  { "unknown", "adds of unknown outcome" }, { "none", "adds that added nothing" },
  { "unanswered", "adds whose writer was killed" },
  { "forgotten", "idempotent adds that landed again in a server that had lost them" },
  { "delivered", "entries handed out" }, { "gaps", "gaps with a count" },
  { "gaps_uncounted", "gaps without one" }, { "recreated", "resets: recreated" },
  { "rewound", "resets: rewound" },
  { "indistinguishable", "resets that no server can tell from a gap" },
  { "failed", "first connections that failed" },
}

function M.print(sums, faults, violations)
  print("\nfault                | how often")
  local kinds = {}
  for kind in pairs(faults) do kinds[#kinds + 1] = kind end
  table.sort(kinds)
  for _, kind in ipairs(kinds) do
    print(string.format("%-20s | %d", (kind:gsub("_", " ")), faults[kind]))
  end
  print()
  for _, each in ipairs(sums_in_order) do
    print(string.format("%9d %s", sums[each[1]] or 0, each[2]))
  end
  if #violations == 0 then
    print("\nclean: nothing lost, nothing twice, nothing silent")
    return
  end
  print(string.format("\n%d violations; the journals are in %s", #violations,
    violations[1].dir))
  for i = 1, math.min(SHOWN, #violations) do
    local each = violations[i]
    print(string.format("  %s: %s on %s%s: %s", each.rule, each.who, each.log,
      each.time and string.format(" at %.6f", each.time) or "", each.what))
  end
end

return M
