std = "max"
max_line_length = 100
exclude_files = { "build" }
files["spec"] = { std = "+busted" }
files["rockspec"] = { std = "+rockspec" }
files["examples/openresty"] = { std = "+ngx_lua" }
-- Declarations, which nobody calls.
files["lua/eventlog/types.lua"] = { ignore = { "212", "241" } }
