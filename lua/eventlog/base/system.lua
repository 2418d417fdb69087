--- What the library takes from the machine: the clock, random numbers, name
--- look-up, and which process this is. All of the library calls these here, by
--- `system.now()`, so that a test can put its own functions in their place.

local core = require "eventlog.core"

local M = {
  --- now() -> seconds of a clock that never goes back; not the time of day
  now = core.now,
  --- time() -> seconds since 1970, with fractions: the time of day, for people
  time = core.time,
  --- pid() -> which process this is: another number in a forked child
  pid = core.pid,
  --- random(n) -> n bytes that nobody can guess | nil, kind, why
  random = core.random,
  --- addresses(host) -> list of addresses, in the order to try them | nil, kind, why
  addresses = core.addresses,
}

--- A number from 0 to 1 that differs between processes, and needs no seed.
---@return number
function M.jitter()
  return M.now() * 1e5 % 1
end

return M
