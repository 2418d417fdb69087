--- What every spec finds: the command that runs the Lua we are in, so that a
--- spec can start other processes of it.

local M = {}

local first = 0
while arg and arg[first - 1] do first = first - 1 end
--- "lua5.4", "luajit", ...
M.lua = (arg and arg[first]) or "lua"

package.loaded["spec.support.helper"] = M
return M
