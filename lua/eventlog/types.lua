---@meta
--- The public types of eventlog, for editors that read LuaCATS annotations, as those
--- with the Lua language server do. Nothing requires this file, and requiring it does
--- nothing. spec/types_spec.lua holds it against the code: functions and their
--- arguments, options and what they take, kinds, and the fields that come at run time.
---
--- What holds everywhere: misuse (a wrong argument) raises one line of text, at the
--- caller's line. What can happen to a correct program returns nil, err. Times are in
--- seconds unless a unit is named, and fractions count.

-- --- entries ---------------------------------------------------------------

--- "<ms>-<seq>", which names an entry; or, as an argument, "<ms>", a point in time.
---@alias eventlog.Id string

--- What a field can hold when it is added. A number becomes the shortest decimal that
--- reads back as the same one, without an exponent; true and false become "1" and "0".
---@alias eventlog.Value string|number|boolean

--- An entry to add, of at least one field and less than 1 GiB: a table from field name to
--- value; or, if order or repeated names matter, a list of pairs { name, value }.
---@alias eventlog.NewEntry table<string, eventlog.Value>|{ [1]: string, [2]: eventlog.Value }[]

--- The fields of an entry that was read: a table from name to value, which has the last
--- value of a repeated name; or, with the log's option fields = "pairs", the list of
--- pairs { name, value } as Redis stores them.
---@alias eventlog.Fields table<string, string>|{ [1]: string, [2]: string }[]

--- An entry that was read.
---@class eventlog.Entry
---@field id eventlog.Id
---@field fields eventlog.Fields

--- The entries that a follower hands out at a time, oldest first: at most `batch_size`;
--- a first batch can have none.
---@class eventlog.Batch: eventlog.Entry[]
---@field caught_up? boolean true: it reached the log's end when it was read
---@field gap? eventlog.Gap entries are missing before this batch
---@field reset? eventlog.Reset the log is another one from this batch on

--- Entries that were trimmed away before a follower read them.
---@class eventlog.Gap
---@field after eventlog.Id of the last entry before it, or of where the follower began
---@field before eventlog.Id of the first entry after it
---@field missed? integer how many entries are missing; nil: the server cannot tell

--- What became of a log. The follower goes on from the log's beginning.
---@alias eventlog.Reset
---| "recreated" # it was deleted, or expired, and made anew
---| "rewound" # it was rolled back, as by a failover

-- --- errors ----------------------------------------------------------------

---@alias eventlog.ErrorKind
---| "connection" # the server is unreachable, was lost, or did nothing for `timeout`
---| "timeout" # only from a call that was given a timeout: not yet
---| "closed" # the client or the follower was closed
---| "exiting" # the host is going down, as an nginx worker at a reload
---| "server" # Redis refused: `code` has its word
---| "protocol" # the answer is none of Redis's, or is larger than `max_reply`
---| "gap" # with on_gap = "error": entries are missing, or the log was reset
---| "conflict" # from add_if: the log has moved on
---| "unsupported" # this version, this server or this place cannot do it

---@alias eventlog.Outcome
---| "none" # nothing was added
---| "unknown" # the entries may have been added: all of them, or none

--- The err of nil, err. tostring(err) is one line, and never shows a password.
---@class eventlog.Error
---@field kind eventlog.ErrorKind
---@field message string one line
---@field code? string Redis's own prefix, such as "WRONGTYPE" (kind "server")
---@field retriable boolean whether trying again later can help
---@field outcome? eventlog.Outcome from adds
---@field last_id? eventlog.Id of the log (kind "conflict")
---@field too_large? boolean a reply is larger than `max_reply` (kind "protocol")
---@operator concat(any): string

-- --- options ---------------------------------------------------------------

---@alias eventlog.EventKind
---| "connected"
---| "disconnected"
---| "reconnecting"
---| "gap"
---| "reset"
---| "degraded" # the server lacks something, which costs speed

--- What on_event is told.
---@class eventlog.Event
---@field kind eventlog.EventKind
---@field log? string name of the log for which it happened
---@field message string one line

---@alias eventlog.DriverName "blocking"|"openresty"|"cqueues"|"copas"|"luv"

--- A driver of the host's own: suspends the calling coroutine until the descriptor can be
--- read (mode "r") or written ("w"), or `timeout` seconds have passed (nil: no limit).
--- Returns whether the descriptor is ready, and may return early.
---@alias eventlog.WaitFunction fun(fd: integer, mode: "r"|"w", timeout?: number): boolean?

--- A client's options. What the url says is not said by another option as well.
---@class eventlog.ClientOptions
--- redis://[user[:password]@]host[:port][/db], or unix://[user[:password]@]/path[?db=N];
--- user and password are percent-decoded
---@field url? string
---@field host? string name or address of the server (default: "127.0.0.1")
---@field port? integer (default: 6379)
---@field path? string of a Unix socket, instead of host and port
---@field username? string for AUTH
---@field password? string for AUTH
---@field db? integer for SELECT (default: 0)
---@field connect_timeout? number seconds to connect and log in (default: 5)
---@field timeout? number seconds that the server may do nothing over a call (default: 5)
--- Seconds without progress until a follower, or an idempotent add, gives up.
---@field reconnect_timeout? number (default: 60)
--- Whether every call and follower waits for the first connection, up to
--- reconnect_timeout, instead of failing at once.
---@field retry_first_connection? boolean (default: false)
---@field pool_size? integer idle connections that are kept (default: 64)
---@field pool_idle? number seconds for which each of them is kept (default: 60)
---@field client_name? string for CLIENT SETNAME: printable, without spaces
--- Microseconds of busy waiting before a wait sleeps, with the driver "blocking"; 0: none;
--- nil: as long as it pays.
---@field spin? integer
---@field max_reply? integer bytes of one reply at most; nil: 1 GiB
--- How to wait without blocking others; nil: "openresty" in OpenResty, else "blocking".
---@field driver? eventlog.DriverName|eventlog.WaitFunction
--- Called during the client's calls, which raise what it raises.
---@field on_event? fun(event: eventlog.Event)

--- A log's options.
---@class eventlog.LogOptions
---@field max_length? integer how many entries the log shows at most; 0 or nil: all
--- Seconds without an add after which Redis drops the whole log, rounded up to the
--- millisecond; 0 or nil: never.
---@field ttl? number
--- The most entries in a follower's batch, and in a page of any read.
---@field batch_size? integer (default: 1000)
--- Whether adds retry by themselves over lost connections, and land once.
---@field idempotent? boolean (default: false)
--- "error": a gap or a reset ends a follower, with an error of kind "gap".
---@field on_gap? "report"|"error" (default: "report")
---@field fields? "map"|"pairs" what an entry's fields are read as (default: "map")

-- --- the module ------------------------------------------------------------

--- What `require "eventlog"` returns.
---@class eventlog
---@field _VERSION string "eventlog X.Y.Z"
local eventlog = {}

--- A client of one server. Does no I/O: it connects on first use. The target is nil, for
--- redis://127.0.0.1:6379; a client, for that one; a URL; or a table of options.
---@param target? eventlog.Client|string|eventlog.ClientOptions
---@return eventlog.Client
function eventlog.connect(target) end

--- A log of this name. Does no I/O.
---@param target? eventlog.Client|string|eventlog.ClientOptions as of connect()
---@param name string the Redis key: any bytes, at least one
---@param options? eventlog.LogOptions
---@return eventlog.Log
function eventlog.new(target, name, options) end

--- Returns what it was given; but if value is nil, raises err. As assert does, which in PUC
--- Lua 5.1 takes no error but a string.
---@generic T
---@param value T?
---@param err? eventlog.Error
---@return T value
function eventlog.check(value, err) end

-- --- clients ---------------------------------------------------------------

--- A server's address, and connections to it. Any number of logs and coroutines share one.
---@class eventlog.Client
local Client = {}

--- Ends its followers and closes its connections. What waits in another coroutine returns
--- nil, err of kind "closed", as does every later call. Idempotent.
function Client:close() end

-- --- logs ------------------------------------------------------------------

--- A name on a client, with the options that hold for it.
---@class eventlog.Log
---@field name string the Redis key
---@field client eventlog.Client
local Log = {}

--- Adds entries as one unit: all of them or none, with nothing of another writer between
--- them, and the TTL with them. A bad entry raises, and nothing is sent. Without entries
--- returns {}, and does no I/O.
---@param ... eventlog.NewEntry
---@return eventlog.Id[]? ids one for each entry, in order
---@return eventlog.Error? err with outcome
function Log:add(...) end

--- Adds a list of entries, as add() does.
---@param entries eventlog.NewEntry[]
---@return eventlog.Id[]? ids
---@return eventlog.Error? err with outcome
function Log:add_many(entries) end

--- Adds entries, as add() does, but only while last_id() is this id. Otherwise nil, err of
--- kind "conflict", with the log's err.last_id.
---@param last_id eventlog.Id
---@param ... eventlog.NewEntry
---@return eventlog.Id[]? ids
---@return eventlog.Error? err with outcome
function Log:add_if(last_id, ...) end

--- All entries, oldest first; with `max_length`, the last so many. {} if there is no log.
---@return eventlog.Entry[]? entries
---@return eventlog.Error? err
function Log:tail() end

--- The last n entries, oldest first.
---@param n integer 0 or more; 0: returns {}, and does no I/O
---@return eventlog.Entry[]? entries
---@return eventlog.Error? err
function Log:tail_n(n) end

--- The entry with this id and those after it, oldest first.
---@param id eventlog.Id
---@return eventlog.Entry[]? entries
---@return eventlog.Error? err
function Log:tail_from(id) end

--- The entries after this id, oldest first: all that Redis still holds.
---@param id eventlog.Id
---@return eventlog.Entry[]? entries
---@return eventlog.Error? err
function Log:tail_after(id) end

--- How many entries tail() would return.
---@return integer? length
---@return eventlog.Error? err
function Log:length() end

--- The id that Redis generated last, also if its entry was deleted; "0-0": there is no log.
---@return eventlog.Id? id
---@return eventlog.Error? err
function Log:last_id() end

--- Deletes the log, and the tokens of its idempotent adds.
---@return boolean? deleted whether there was a log
---@return eventlog.Error? err
function Log:delete() end

--- Follows the log: what is there, then what comes. Does no I/O, nor do those below.
---@return eventlog.Follower
function Log:tail_and_follow() end

--- Follows from the last n entries on; 0: from now on.
---@param n integer 0 or more
---@return eventlog.Follower
function Log:tail_n_and_follow(n) end

--- Follows from the entry with this id on.
---@param id eventlog.Id
---@return eventlog.Follower
function Log:tail_from_and_follow(id) end

--- Follows from the entry after this id on, as a reader that resumes does, with the last_id
--- of its follower before.
---@param id eventlog.Id
---@return eventlog.Follower
function Log:tail_after_and_follow(id) end

-- --- followers -------------------------------------------------------------

--- Hands out a log's entries in batches as they come, each once, across lost connections.
--- Made for the generic `for`, which ends when the follower is closed or the host goes
--- down, and raises any other error. On Lua 5.4 leaving the loop closes the follower.
---@class eventlog.Follower
--- What a later tail_after_and_follow() goes on from: the last entry that was handed out;
--- before there was one, from the first batch on, where the follower began.
---@field last_id? eventlog.Id
---@operator call: eventlog.Batch?
local Follower = {}

--- The next batch. With kind "timeout" nothing came in time: the next call goes on, with
--- nothing lost or repeated. Another error ends the follower; later calls return it again.
---@param timeout? number seconds; nil: as long as it takes; 0: never waits
---@return eventlog.Batch? batch
---@return eventlog.Error? err
function Follower:next(timeout) end

--- Ends it and closes its connection. From another coroutine it wakes the one that waits
--- in next(), which returns nil, err of kind "closed". Idempotent.
function Follower:close() end
