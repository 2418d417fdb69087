# What a program in C needs of an install: the header, the static libraries, and how
# CMake and pkg-config find them. One prefix may hold the binding for several Luas.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/eventlog)
install(FILES csrc/include/eventlog.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS eventlog_core EXPORT eventlog-core DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS eventlog_lua EXPORT eventlog-${lua_name}
  DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(part IN ITEMS core ${lua_name})
  install(EXPORT eventlog-${part} NAMESPACE eventlog:: DESTINATION ${package_dir})
endforeach()

get_filename_component(hiredis_dir ${HIREDIS_LIBRARY} DIRECTORY)
configure_package_config_file(csrc/cmake/eventlogConfig.cmake.in eventlogConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(eventlogConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/eventlogConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/eventlogConfigVersion.cmake
  DESTINATION ${package_dir})

# From the folder of eventlog.pc, so that the whole of the prefix can be moved.
file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH pc_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(csrc/cmake/eventlog.pc.in eventlog.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/eventlog.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
