rockspec_format = "3.0"
package = "eventlog"
version = "scm-1"
source = {
  -- For "luarocks make" in a checkout, which fetches nothing. script/rock makes the
  -- rockspec of a release, whose source is a tag of a repository or lies in its rock.
  url = ".",
}
description = {
  summary = "Distributed event logs on Redis Streams",
  detailed = [[
Several writers, several readers, every event once and in order, as it
happens. A C core on hiredis under a thin Lua frontend.]],
  license = "MIT",
}
dependencies = {
  "lua >= 5.1, < 5.5, ~= 5.2",
}
external_dependencies = {
  HIREDIS = { header = "hiredis/hiredis.h", library = "hiredis" },
}
build = {
  type = "builtin",
  -- Keep in step with CMakeLists.txt (spec/build_spec.lua looks).
  modules = {
    ["eventlog.core"] = {
      sources = {
        "csrc/binding/lua_core.c",
        "csrc/binding/lua_decoder.c",
        "csrc/binding/lua_request.c",
        "csrc/binding/lua_socket.c",
        "csrc/binding/lua_timer.c",
        "csrc/binding/lua_version.c",
        "csrc/codec/buffer.c",
        "csrc/codec/decoder.c",
        "csrc/codec/error.c",
        "csrc/codec/id.c",
        "csrc/codec/request.c",
        "csrc/codec/slot.c",
        "csrc/codec/url.c",
        "csrc/codec/value.c",
        "csrc/io/socket.c",
        "csrc/io/socket_open.c",
        "csrc/io/spin.c",
        "csrc/io/system.c",
        "csrc/io/timer.c",
      },
      incdirs = { "csrc/include", "$(HIREDIS_INCDIR)" },
      libdirs = { "$(HIREDIS_LIBDIR)" },
      libraries = { "hiredis", "m" },
    },
    ["eventlog"] = "lua/eventlog/init.lua",
    ["eventlog.backoff"] = "lua/eventlog/backoff.lua",
    ["eventlog.checks"] = "lua/eventlog/checks.lua",
    ["eventlog.client"] = "lua/eventlog/client.lua",
    ["eventlog.connection"] = "lua/eventlog/connection.lua",
    ["eventlog.connector"] = "lua/eventlog/connector.lua",
    ["eventlog.continuity"] = "lua/eventlog/continuity.lua",
    ["eventlog.driver"] = "lua/eventlog/driver/init.lua",
    ["eventlog.driver.blocking"] = "lua/eventlog/driver/blocking.lua",
    ["eventlog.driver.copas"] = "lua/eventlog/driver/copas.lua",
    ["eventlog.driver.cqueues"] = "lua/eventlog/driver/cqueues.lua",
    ["eventlog.driver.luv"] = "lua/eventlog/driver/luv.lua",
    ["eventlog.driver.openresty"] = "lua/eventlog/driver/openresty.lua",
    ["eventlog.driver.wait"] = "lua/eventlog/driver/wait.lua",
    ["eventlog.error"] = "lua/eventlog/error.lua",
    ["eventlog.events"] = "lua/eventlog/events.lua",
    ["eventlog.exchange"] = "lua/eventlog/exchange.lua",
    ["eventlog.fd_transport"] = "lua/eventlog/fd_transport.lua",
    ["eventlog.follower"] = "lua/eventlog/follower.lua",
    ["eventlog.inside"] = "lua/eventlog/inside.lua",
    ["eventlog.log"] = "lua/eventlog/log.lua",
    ["eventlog.log_state"] = "lua/eventlog/log_state.lua",
    ["eventlog.misuse"] = "lua/eventlog/misuse.lua",
    ["eventlog.once_script"] = "lua/eventlog/once_script.lua",
    ["eventlog.once_writer"] = "lua/eventlog/once_writer.lua",
    ["eventlog.options"] = "lua/eventlog/options.lua",
    ["eventlog.page_size"] = "lua/eventlog/page_size.lua",
    ["eventlog.pages"] = "lua/eventlog/pages.lua",
    ["eventlog.pool"] = "lua/eventlog/pool.lua",
    ["eventlog.read_stage"] = "lua/eventlog/read_stage.lua",
    ["eventlog.reader"] = "lua/eventlog/reader.lua",
    ["eventlog.reading_script"] = "lua/eventlog/reading_script.lua",
    ["eventlog.retry"] = "lua/eventlog/retry.lua",
    ["eventlog.scripts"] = "lua/eventlog/scripts.lua",
    ["eventlog.secrets"] = "lua/eventlog/secrets.lua",
    ["eventlog.side_key"] = "lua/eventlog/side_key.lua",
    ["eventlog.stages"] = "lua/eventlog/stages.lua",
    ["eventlog.stream_transport"] = "lua/eventlog/stream_transport.lua",
    ["eventlog.tokens"] = "lua/eventlog/tokens.lua",
    ["eventlog.writer"] = "lua/eventlog/writer.lua",
    ["eventlog.xinfo"] = "lua/eventlog/xinfo.lua",
  },
}
