--- A log for browsers: GET streams it as Server-Sent Events, POST adds to it.

local eventlog = require "eventlog"

-- Handles do no I/O: this one is made before there are workers, and all of
-- their requests use it.
local log = eventlog.new({ path = ngx.config.prefix() .. "redis.sock" }, "weather",
  { max_length = 10000 })

-- What a browser that comes for the first time gets to see of the past.
local PAST = 50

-- Seconds without events after which a comment is sent: so that proxies in
-- between keep the stream, and we notice who went away without a word.
local HEARTBEAT = 15

local MOST_FIELDS = 20

local M = {}

local function answer(status, content, text)
  ngx.status = status
  ngx.header.content_type = content
  ngx.say(text)
end

local function refuse(status, format, ...)
  answer(status, "text/plain", string.format(format, ...))
end

--- JSON. Bytes that are not UTF-8 are up to the browser.
local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return string.format("\\u%04x", c:byte())
  end) .. '"'
end

local function object(fields)
  local members = {}
  for name, value in pairs(fields) do
    members[#members + 1] = quote(name) .. ":" .. quote(value)
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- A batch as events; their ids are the log's, so that a browser can say which
--- it had last. (JSON has no line breaks, which would end the data.)
local function events(batch)
  local text = {}
  for i, entry in ipairs(batch) do
    text[i] = "id: " .. entry.id .. "\ndata: " .. object(entry.fields) .. "\n\n"
  end
  return table.concat(text)
end

--- The follower of a browser that goes on, or of a new one. Nil if what the browser
--- says is no id.
local function follow(last_id)
  if not last_id then return log:tail_n_and_follow(PAST) end
  local ok, follower = pcall(log.tail_after_and_follow, log, last_id)
  return ok and follower or nil
end

local function stream()
  -- A browser that lost its connection sends the header; our page, if the browser
  -- has given up, asks with the argument.
  local last_id = ngx.var.http_last_event_id or ngx.var.arg_after
  local follower = follow(last_id)
  if not follower then
    return refuse(400, "Last-Event-ID must be an event's id, such as 1700000000000-0.")
  end
  -- The first batch always comes, if Redis does.
  local batch, err = follower:next()
  local lost = batch and batch.reset
  if lost then -- the log is another one than the browser knew
    follower:close()
    follower = follow(nil)
    batch, err = follower:next()
  end
  if not batch then return refuse(503, "%s", tostring(err)) end

  ngx.header.content_type = "text/event-stream"
  ngx.header.cache_control = "no-store"
  ngx.header.x_accel_buffering = "no"
  -- An id without data is only kept: a browser that has seen nothing yet misses nothing.
  local text = "retry: 1000\n" .. (last_id and "\n" or "id: 0-0\n\n")
  repeat
    if lost or batch and (batch.gap or batch.reset) then
      lost = nil
      text = text .. "event: gap\ndata: \n\n" -- the page says so
    end
    text = text .. (batch and events(batch) or ": nothing new\n\n")
    if not (ngx.print(text) and ngx.flush(true)) then break end -- it went away
    text = ""
    batch, err = follower:next(HEARTBEAT)
  until not batch and err.kind ~= "timeout" -- such as a reload: it comes again
  follower:close()
end

local function add()
  local content = ngx.var.content_type or ""
  if not content:find("^application/x%-www%-form%-urlencoded") then
    return refuse(415, "An event is sent as a form: application/x-www-form-urlencoded.")
  end
  ngx.req.read_body()
  local fields, problem = ngx.req.get_post_args(MOST_FIELDS)
  if problem then return refuse(400, "An event may have %d fields at most.", MOST_FIELDS) end
  for name, value in pairs(fields) do
    if name == "" or type(value) ~= "string" then
      return refuse(400, "Each field needs a name, and one value: name=value.")
    end
  end
  if not next(fields) then
    return refuse(400, "An event needs fields, such as station=Oslo&temperature=-3.5.")
  end
  local ids, err = log:add(fields)
  if not ids then return refuse(503, "%s", tostring(err)) end
  answer(201, "application/json", object({ id = ids[1] }))
end

function M.serve()
  local method = ngx.req.get_method()
  if method == "GET" then return stream() end
  if method == "POST" then return add() end
  ngx.header.allow = "GET, POST"
  refuse(405, "Events can be read (GET) and added (POST).")
end

return M
