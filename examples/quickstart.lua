local eventlog = require "eventlog"

local log = eventlog.new("redis://127.0.0.1:6379", "weather")

assert(log:add({ station = "Oslo", temperature = -3.5 }))
assert(log:add(
  { station = "Lima", temperature = 19.8 },
  { station = "Cairo", temperature = 31, sunny = true }))

-- What is there, then what comes, until Ctrl-C.
for batch in log:tail_and_follow() do
  for _, event in ipairs(batch) do
    print(event.id, event.fields.station, event.fields.temperature)
  end
end
