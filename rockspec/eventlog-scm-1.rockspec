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
        "csrc/binding/lua_entries.c",
        "csrc/binding/lua_fields.c",
        "csrc/binding/lua_request.c",
        "csrc/binding/lua_socket.c",
        "csrc/binding/lua_timer.c",
        "csrc/binding/lua_version.c",
        "csrc/codec/buffer.c",
        "csrc/codec/cursor.c",
        "csrc/codec/decoder.c",
        "csrc/codec/error.c",
        "csrc/codec/id.c",
        "csrc/codec/request.c",
        "csrc/codec/slot.c",
        "csrc/codec/url.c",
        "csrc/codec/value.c",
        "csrc/io/plain_bytes.c",
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
    ["eventlog.base.address"] = "lua/eventlog/base/address.lua",
    ["eventlog.base.backoff"] = "lua/eventlog/base/backoff.lua",
    ["eventlog.base.checks"] = "lua/eventlog/base/checks.lua",
    ["eventlog.base.error"] = "lua/eventlog/base/error.lua",
    ["eventlog.base.events"] = "lua/eventlog/base/events.lua",
    ["eventlog.base.inside"] = "lua/eventlog/base/inside.lua",
    ["eventlog.base.misuse"] = "lua/eventlog/base/misuse.lua",
    ["eventlog.base.options"] = "lua/eventlog/base/options.lua",
    ["eventlog.base.secrets"] = "lua/eventlog/base/secrets.lua",
    ["eventlog.base.system"] = "lua/eventlog/base/system.lua",
    ["eventlog.client"] = "lua/eventlog/client.lua",
    ["eventlog.command.call"] = "lua/eventlog/command/call.lua",
    ["eventlog.command.log_state"] = "lua/eventlog/command/log_state.lua",
    ["eventlog.command.once_script"] = "lua/eventlog/command/once_script.lua",
    ["eventlog.command.page_size"] = "lua/eventlog/command/page_size.lua",
    ["eventlog.command.reading_script"] = "lua/eventlog/command/reading_script.lua",
    ["eventlog.command.scripts"] = "lua/eventlog/command/scripts.lua",
    ["eventlog.command.xinfo"] = "lua/eventlog/command/xinfo.lua",
    ["eventlog.driver"] = "lua/eventlog/driver/init.lua",
    ["eventlog.driver.blocking"] = "lua/eventlog/driver/blocking.lua",
    ["eventlog.driver.copas"] = "lua/eventlog/driver/copas.lua",
    ["eventlog.driver.cqueues"] = "lua/eventlog/driver/cqueues.lua",
    ["eventlog.driver.luv"] = "lua/eventlog/driver/luv.lua",
    ["eventlog.driver.openresty"] = "lua/eventlog/driver/openresty.lua",
    ["eventlog.driver.wait"] = "lua/eventlog/driver/wait.lua",
    ["eventlog.follow.continuity"] = "lua/eventlog/follow/continuity.lua",
    ["eventlog.follow.exchange"] = "lua/eventlog/follow/exchange.lua",
    ["eventlog.follow.follower"] = "lua/eventlog/follow/follower.lua",
    ["eventlog.follow.read_stage"] = "lua/eventlog/follow/read_stage.lua",
    ["eventlog.follow.retry"] = "lua/eventlog/follow/retry.lua",
    ["eventlog.follow.stages"] = "lua/eventlog/follow/stages.lua",
    ["eventlog.log"] = "lua/eventlog/log.lua",
    ["eventlog.log.pages"] = "lua/eventlog/log/pages.lua",
    ["eventlog.log.reader"] = "lua/eventlog/log/reader.lua",
    ["eventlog.log.script_writer"] = "lua/eventlog/log/script_writer.lua",
    ["eventlog.log.side_key"] = "lua/eventlog/log/side_key.lua",
    ["eventlog.log.tokens"] = "lua/eventlog/log/tokens.lua",
    ["eventlog.log.writer"] = "lua/eventlog/log/writer.lua",
    ["eventlog.session.connection"] = "lua/eventlog/session/connection.lua",
    ["eventlog.session.ending"] = "lua/eventlog/session/ending.lua",
    ["eventlog.session.handshake"] = "lua/eventlog/session/handshake.lua",
    ["eventlog.session.sending"] = "lua/eventlog/session/sending.lua",
    ["eventlog.topology.abilities"] = "lua/eventlog/topology/abilities.lua",
    ["eventlog.topology.endpoint"] = "lua/eventlog/topology/endpoint.lua",
    ["eventlog.topology.pool"] = "lua/eventlog/topology/pool.lua",
    ["eventlog.topology.single_server"] = "lua/eventlog/topology/single_server.lua",
    ["eventlog.transport.byte_transport"] = "lua/eventlog/transport/byte_transport.lua",
    ["eventlog.transport.connector"] = "lua/eventlog/transport/connector.lua",
    ["eventlog.transport.fd_transport"] = "lua/eventlog/transport/fd_transport.lua",
    ["eventlog.types"] = "lua/eventlog/types.lua",
  },
}
