--- What stands between a new connection and its first request: connecting, and the
--- commands that open a session (AUTH, CLIENT SETNAME, SELECT). Both can be repeated
--- after "timeout", and go on where they were. What the server answers is kept in
--- connection.said, by command.

local Error = require "eventlog.base.error"
local core = require "eventlog.core"
local secrets = require "eventlog.base.secrets"
local system = require "eventlog.base.system"

local M = {}

--- What every call returns that ran into its caller's deadline.
M.TIMEOUT = Error.new("timeout", "nothing yet")

--- Why it did not connect, and what to look at: if no server listens
--- at the address, whether one was started.
local function explained(why)
  local text = why:lower()
  if text:find("connection refused", 1, true) or text:find("no such file", 1, true) then
    return why .. " (is Redis running there?)"
  end
  return why
end

--- Connects, within connect_timeout from the first call on. Waits may end early, so
--- only the clock counts.
---@param connection table
---@param deadline number? of system.now()
---@return true|nil done
---@return eventlog.Error? err TIMEOUT if the deadline came first
function M.connect(connection, deadline)
  local seconds = connection.settings.connect_timeout
  connection.io_deadline = connection.io_deadline or system.now() + seconds
  local io_deadline = connection.io_deadline
  local limit = deadline and deadline < io_deadline and deadline or io_deadline
  while true do
    local done, kind, why = connection.transport:connect(limit, io_deadline)
    -- Somebody may have closed it while we waited: only now may the descriptor
    -- go.
    if connection.aborted then return connection:fail("closed", "closed") end
    if done then return true end
    if done == nil then return connection:fail(kind, explained(why)) end
    local now = system.now()
    if now >= io_deadline then
      return connection:fail("connection",
        string.format("cannot connect within %g s", seconds))
    end
    if now >= limit then return nil, M.TIMEOUT end
  end
end

--- The commands that open a session, in one request.
---@param settings table of the client
---@return userdata|nil request nil: none is needed
---@return string[]? commands their names: so many replies will come, in that order
function M.request(settings)
  local request, commands = core.request(), {}
  local function command(name, ...)
    request:command(name, ...)
    commands[#commands + 1] = name
  end
  if settings.username then
    command("AUTH", settings.username, settings.password or "")
  elseif settings.password then
    command("AUTH", settings.password)
  end
  if settings.client_name then
    command("CLIENT", "SETNAME", settings.client_name)
  end
  if settings.db > 0 then command("SELECT", settings.db) end
  if commands[1] then return request, commands end
end

--- Sends them.
---@param connection table
---@return true|nil ok
---@return eventlog.Error? err
function M.begin(connection)
  local request, commands = M.request(connection.settings)
  if not request then return true end
  connection.greeting = commands
  return connection:send(request, #commands, connection.settings.connect_timeout)
end

--- Takes the answers that are due.
---@param connection table
---@param deadline number? of system.now()
---@return true|nil done
---@return eventlog.Error? err TIMEOUT if the deadline came first
function M.finish(connection, deadline)
  local commands, said = connection.greeting, connection.said
  while connection.owed > 0 do
    local name = commands[#commands - connection.owed + 1]
    local kind, err = connection:reply(deadline)
    if not kind then return nil, err end
    if kind == "error" then
      err = Error.from_server(connection.decoder:value())
      err.message = secrets.hide(err.message, connection.settings.password)
      connection.failure = err
      connection:close()
      return nil, err
    end
    said[name] = connection.decoder:value()
  end
  return true
end

return M
