# llhttp as a static library, built from the C sources that the package node-llhttp ships
# (Debian 12 and Ubuntu 24.04 install no shared library). Defines llhttp::llhttp.
#
# LLHTTP_SOURCE_DIR   folder with llhttp.c, api.c and http.c
# LLHTTP_INCLUDE_DIR  folder with llhttp.h

find_path(LLHTTP_INCLUDE_DIR llhttp.h
  PATHS /usr/share/include/llhttp /usr/share/nodejs/llhttp/include /usr/include/llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c
  PATHS /usr/share/llhttp /usr/share/llhttp/src /usr/share/nodejs/llhttp/src
        /usr/share/nodejs/llhttp/build/c)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LLHTTP
  REQUIRED_VARS LLHTTP_SOURCE_DIR LLHTTP_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install its C sources with: apt-get install node-llhttp")

if(LLHTTP_FOUND AND NOT TARGET llhttp::llhttp)
  add_library(llhttp_static STATIC
    ${LLHTTP_SOURCE_DIR}/llhttp.c ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c)
  target_include_directories(llhttp_static SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
  set_target_properties(llhttp_static PROPERTIES CXX_CLANG_TIDY "" C_CLANG_TIDY "")
  add_library(llhttp::llhttp ALIAS llhttp_static)
endif()
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_SOURCE_DIR)
