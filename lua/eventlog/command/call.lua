--- Runs a command on the connection that its key belongs to: finds the endpoint, takes
--- a connection, sends, reads, and gives the connection back; and once more, if
--- verdict.lua says so and nothing can be done twice by that.
---
--- A command says what is asked and what the answers mean. It has
---   command:encode(request, how, a, b, c) -> replies, plan | false | nil, message
---     appends what is to be sent to an empty request. Returns how many replies will
---     come (0: read() sends by itself), and what read() needs to know of that. `how`
---     is nil, or, on a connection where the same was sent before, what verdict.lua or
---     read() wants changed. false: command.otherwise is to be run instead. nil: the
---     caller has made a mistake, of which the message tells
---   command:take(connection, kind, a, b, c) -> result | nil, err
---     what its only reply means, whose type is `kind`, and which is no error; or
---   command:read(connection, request, replies, plan, a, b, c)
---                                           -> result | nil, err | nil, err, how
---     instead of take(): reads all of its replies
---   command:review(what, err) -> what, err
---     may change the verdict on an error of a connection that was there
---   command.changes  whether it changes something
---   command.repeats  whether it can be done twice without harm nevertheless
---   command.adds     whether its errors have an outcome
--- and nothing that belongs to one call: a, b and c are the call's own.

local Error = require "eventlog.base.error"
local backoff = require "eventlog.base.backoff"
local system = require "eventlog.base.system"
local verdict = require "eventlog.command.verdict"

local M = {}

-- Seconds between retries, at most.
local LONGEST_DELAY = 1

-- How often in a row a call follows a topology that says "elsewhere".
local MOST_MOVES = 16

--- Waits for the first connection of a client. The endpoint, and the connection; or the
--- endpoint if there is one, nil, err.
local function await_first(client, topology, name, endpoint, err)
  local give_up = system.now() + client.settings.reconnect_timeout
  local delay, connection = backoff.FIRST, nil
  while not connection and topology:note(endpoint, err) == "again" and
    system.now() + delay <= give_up do
    client:tell("reconnecting", name, err.message)
    local pause, ok
    pause, delay = backoff.step(delay, backoff.LONGEST)
    ok, err = topology:pause(pause)
    if not ok then return endpoint, nil, err end
    endpoint, err = topology:endpoint(name)
    if endpoint then connection, err = endpoint:acquire(name) end
  end
  return endpoint, connection, err
end

--- What a call ends with, if its entries were changed while it waited, so that they
--- cannot be encoded once more.
local function changed(message)
  return Error.failed_add(Error.new("closed", message or
    "the entries were changed while they were being added"), "none")
end

--- Sends a command and reads its replies: as command:read().
local function exchange(connection, request, command, replies, plan, a, b, c)
  if replies ~= 0 then
    local ok, err = connection:send(request, replies)
    if not ok then return nil, err end
  end
  if command.read then
    return command:read(connection, request, replies, plan, a, b, c)
  end
  local kind, err = connection:reply()
  if kind == "error" then
    local text = connection.decoder:value()
    return nil, command.adds and Error.from_add(text) or Error.from_server(text)
  end
  if kind then return command:take(connection, kind, a, b, c) end
  return nil, err
end

--- The same again, after it ended in an error, as long as the server wants to be asked
--- in another way.
local function persist(connection, request, command, err, how, a, b, c)
  local before
  while true do
    how = how or verdict.of_script(err, connection.abilities)
    if not how or how == before or not connection:is_established() then return nil, err end
    before = how
    request:clear()
    local replies, plan = command:encode(request, how, a, b, c)
    if not replies then return changed(plan) end
    local result
    result, err, how = exchange(connection, request, command, replies, plan, a, b, c)
    if not err then return result end
  end
end

--- Runs a command for a key.
---@param client eventlog.Client
---@param name string the key: of the log
---@param command table
---@param a any what is the call's own
---@return any|nil result
---@return eventlog.Error? err nil, if there is no result: the caller is wrong
---@return "again"|"never"|string|nil what to do about the error; or what is wrong
function M.run(client, name, command, a, b, c)
  local topology, request = client.topology, client:take_request()
  local replies, plan = command:encode(request, nil, a, b, c)
  if replies == false then
    command = command.otherwise
    request:clear()
    replies, plan = command:encode(request, nil, a, b, c)
  end
  if not replies then
    client:give_request(request)
    return nil, nil, plan
  end
  local moves, unknown = 0, false -- unknown: whether it may have been done before
  while true do
    local result, connection
    local endpoint, err = topology:endpoint(name)
    if endpoint then
      connection, err = endpoint:acquire(name)
    end
    if not connection and topology:awaits_first() then
      endpoint, connection, err = await_first(client, topology, name, endpoint, err)
    end
    if connection then
      local how
      result, err, how = exchange(connection, request, command, replies, plan, a, b, c)
      if err then
        result, err = persist(connection, request, command, err, how, a, b, c)
      end
      if not err then
        endpoint:release(connection, name)
        client:give_request(request)
        return result
      end
    end
    local what = verdict.of(err, topology, endpoint, connection)
    if command.changes then
      unknown = err.kind ~= "conflict" and
        (unknown or verdict.outcome(err, request) == "unknown")
      if command.adds then err.outcome = unknown and "unknown" or "none" end
      if unknown and not command.repeats and what ~= "again" then what = "never" end
    end
    if connection then
      if command.review then what, err = command:review(what, err) end
      endpoint:release(connection, name)
    end
    if what == "elsewhere" then moves = moves + 1 end
    if what ~= "anew" and (what ~= "elsewhere" or moves > MOST_MOVES) then
      client:give_request(request)
      return nil, err, what
    end
    request:clear()
    replies, plan = command:encode(request, nil, a, b, c)
    if not replies then
      client:give_request(request)
      return changed(plan)
    end
  end
end

--- Runs a command that can be done twice without harm, until it is answered, or for so
--- many seconds. Its errors have an outcome: that of all attempts.
---@param seconds number
---@return any|nil result
---@return eventlog.Error? err
function M.insist(client, name, seconds, command, a, b, c)
  local give_up = system.now() + seconds
  local delay, unknown = backoff.FIRST, false
  while true do
    local result, err, what = M.run(client, name, command, a, b, c)
    if not err then return result, nil, what end
    if err.kind == "conflict" then return nil, err end -- so it was not done before
    unknown = unknown or err.outcome == "unknown"
    if what ~= "again" or system.now() + delay > give_up then
      return Error.failed_add(err, unknown and "unknown" or "none")
    end
    client:tell("reconnecting", name, err.message)
    local pause, ok
    pause, delay = backoff.step(delay, LONGEST_DELAY)
    ok, err = client.topology:pause(pause)
    if not ok then return Error.failed_add(err, unknown and "unknown" or "none") end
  end
end

return M
