# find_package(aqlua) makes the target aqlua::aqlua, of what pkg-config says about this installation.

include(CMakeFindDependencyMacro)
find_dependency(PkgConfig)

set(_aqlua_path "$ENV{PKG_CONFIG_PATH}")
set(ENV{PKG_CONFIG_PATH} "${CMAKE_CURRENT_LIST_DIR}/../../pkgconfig:${_aqlua_path}")
pkg_check_modules(aqlua REQUIRED IMPORTED_TARGET GLOBAL aqlua)
set(ENV{PKG_CONFIG_PATH} "${_aqlua_path}")

if(NOT TARGET aqlua::aqlua)
  add_library(aqlua::aqlua ALIAS PkgConfig::aqlua)
endif()
