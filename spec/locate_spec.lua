--- A follower that begins, while another client deletes the log and makes it anew: at
--- each step, also between commands that are sent in one go.

local eventlog = require "eventlog"
local redis = require "spec.support.redis"
local stepped = require "spec.support.stepped"

local OLD = { "1-0", "2-0", "3-0", "4-0", "5-0", "6-0", "7-0" }

-- What the log is made anew with. The ids of the first one are told from the old ones
-- only until the first page was judged.
local NEW = {
  { "of fewer entries, with some of the ids", { "1-0", "1-1", "2-0", "3-0" }, true },
  { "of fewer entries, with lower ids", { "0-1", "0-2", "0-3", "0-4" } },
  { "of more entries, with ids between the old ones",
    { "1-1", "2-1", "3-1", "4-1", "5-1", "6-1", "7-1", "8-1", "9-1" } },
  { "of higher ids", { "11-0", "12-0", "13-0", "14-0", "15-0", "16-0" } },
}

local STARTS = {
  { "tail_and_follow" },
  { "tail_and_follow", nil, 5 },
  { "tail_n_and_follow", 3 },
  { "tail_n_and_follow", 6, 5 },
  { "tail_from_and_follow", "2-0" },
  { "tail_from_and_follow", "2-0", 5 },
  { "tail_from_and_follow", "2", 5 },
  { "tail_after_and_follow", "2-0" },
  { "tail_after_and_follow", "2", 5 },
}

describe("a follower that begins while the log is made anew", function()
  local server, happen, client, reset

  setup(function()
    server = redis.start()
    client, reset = stepped.client(server, {
      before = function(n, words) happen(n, words) end,
    })
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  local function make(ids, value)
    server:call("DEL", "log")
    for _, id in ipairs(ids) do server:call("XADD", "log", id, "v", value) end
  end

  --- What a start hands out of a log: the values, once it is all handed out.
  local function expected(ids, method, argument, max_length)
    local all, list = {}, {}
    for i, id in ipairs(ids) do all[i] = id .. "=new" end
    local limit = max_length or #ids
    if method == "tail_n_and_follow" then limit = math.min(limit, argument) end
    if method == "tail_after_and_follow" then limit = #ids end
    for i = math.max(1, #ids - limit + 1), #ids do
      local ms, sequence = ids[i]:match("^(%d+)-(%d+)$")
      ms, sequence = tonumber(ms), tonumber(sequence)
      local before = method == "tail_from_and_follow" and ms < 2 or
        method == "tail_after_and_follow" and (ms < 2 or ms == 2 and sequence == 0)
      if not before then list[#list + 1] = all[i] end
    end
    return table.concat(list, " "), table.concat(all, " ", math.max(1,
      #ids - (max_length or #ids) + 1))
  end

  --- Follows, with the log made anew before the nth command. Returns what was
  --- handed out, from the last reset on, and whether there was one; nil: all was handed
  --- out before; or, if first_only, a page.
  local function follow(moment, ids, method, argument, max_length, batch_size, first_only)
    make(OLD, "old")
    local happened, reads = false, 0
    happen = function(n, words)
      reads = reads + (words[1] == "XREAD" and 1 or 0)
      if n ~= moment or first_only and reads > 1 then return end
      happened = true
      make(ids, "new")
    end
    reset()
    local log = eventlog.new(client, "log",
      { batch_size = batch_size, max_length = max_length })
    local follower = log[method](log, argument)
    local out, had_reset, caught_up, idle = {}, false, false, 0
    while idle < 6 and (happened or not caught_up) do
      local batch, err = follower:next(0)
      assert(batch or err.kind == "timeout", err and err.message)
      idle = batch and 0 or idle + 1
      caught_up = caught_up or batch and (first_only or batch.caught_up)
      if batch and batch.reset then out, had_reset = {}, true end
      for _, entry in ipairs(batch or {}) do
        out[#out + 1] = entry.id .. "=" .. entry.fields.v
      end
    end
    follower:close()
    return happened and table.concat(out, " ") or nil, had_reset
  end

  for _, new in ipairs(NEW) do
    for _, start in ipairs(STARTS) do
      local method, argument, max_length = start[1], start[2], start[3]
      local right, after_reset = expected(new[2], method, argument, max_length)
      it(string.format("%s(%s), max_length %s: hands out all of a log %s",
        method, argument or "", max_length or "none", new[1]), function()
        for _, batch_size in ipairs { 1, 10 } do
          local moment, steps = 0, 0
          repeat
            moment = moment + 1
            local out, had_reset = follow(moment, new[2], method, argument, max_length,
              batch_size, new[3])
            -- Beyond the log's end, a follower begins there, which is a reset.
            local is_right = had_reset and (out == after_reset or out == "") or
              not had_reset and out == right and right ~= ""
            if out and not is_right then
              error(string.format("batch_size %d, step %d: %s%s instead of %s", batch_size,
                moment, had_reset and "reset " or "", out,
                had_reset and after_reset or right), 0)
            end
            if out then steps = steps + 1 end
          until not out
          assert(steps >= 2)
        end
      end)
    end
  end
end)
