--- Whether what was read in several pages is the log of one moment: what two states
--- of the log (eventlog.PlainState), before and behind, tell of that. Does no I/O.

local core = require "eventlog.core"

local compare = core.id_compare

local M = {}

--- Whether the part of the log from an id on is all of it.
function M.is_all(state, from)
  return from == "0-0" or state.length == 0 or
    state.first ~= nil and compare(from, state.first) <= 0
end

--- Whether a page that came in front of the state is as it was then: only if
--- the counts tell that.
function M.stands(state, first)
  return state.added and state.deleted and compare(state.deleted, first) < 0 and
    state.first and compare(state.first, first) <= 0
end

--- Whether nothing was taken out between two states of the part from an id on,
--- which was not trimmed if `whole`.
function M.is_untouched(before, after, from, whole)
  if not (before.added and after.added) then
    return after.length >= before.length
  end
  if after.added - after.length == before.added - before.length then return true end
  return whole and after.deleted ~= nil and compare(after.deleted, from) < 0
end

return M
