# How each dependency is found. All come from Debian 12 packages (packaging/bootstrap.sh); none is vendored.
# Licences: third_party/NOTICES.md.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(nlohmann_json REQUIRED)

find_path(SQLITE3_INCLUDE sqlite3.h REQUIRED)
find_path(ZSTD_INCLUDE zstd.h REQUIRED)
find_path(TOMLPLUSPLUS_INCLUDE toml++/toml.h REQUIRED)
find_path(CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
find_path(CATCH2_INCLUDE catch2/catch.hpp REQUIRED)

# A static C library without its unwind tables: 0.7 MiB of the program that nobody reads, because no exception passes
# through C code here (callbacks from C are noexcept in effect: they return errors).
# Further arguments go to objcopy.
function(consign_find_archive variable name)
  find_library(${variable}_WHOLE lib${name}.a REQUIRED)
  set(slim ${CMAKE_BINARY_DIR}/archives/lib${name}.a)
  if(NOT EXISTS ${slim} OR ${${variable}_WHOLE} IS_NEWER_THAN ${slim} OR ${CMAKE_CURRENT_LIST_FILE} IS_NEWER_THAN ${slim})
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/archives)
    execute_process(COMMAND ${CMAKE_OBJCOPY} --remove-section .eh_frame --remove-section .rela.eh_frame ${ARGN}
      ${${variable}_WHOLE} ${slim} COMMAND_ERROR_IS_FATAL ANY)
  endif()
  set(${variable} ${slim} PARENT_SCOPE)
endfunction()

# The release binary links archives only; the sanitizer builds link the shared libraries.
if(CONSIGN_STATIC)
  set(OPENSSL_USE_STATIC_LIBS TRUE)
  consign_find_archive(CRYPTO_LIBRARY crypto)
  consign_find_archive(SSL_LIBRARY ssl)
  set(no_mathematics)
  foreach(function acos acosh asin asinh atan atan2 atanh cos cosh exp log10 log2 pow sin sinh tan tanh)
    list(APPEND no_mathematics --redefine-sym ${function}=consign_no_mathematics)
  endforeach()
  consign_find_archive(SQLITE3_LIBRARY sqlite3 ${no_mathematics})
  consign_find_archive(ZSTD_LIBRARY zstd)
  add_library(consign_left_out STATIC ${CMAKE_CURRENT_LIST_DIR}/left_out.cpp)
  target_link_options(consign_left_out INTERFACE
    -Wl,--wrap=sqlite3Fts3Init -Wl,--wrap=sqlite3Fts5Init -Wl,--wrap=sqlite3RtreeInit)
else()
  find_library(CRYPTO_LIBRARY crypto REQUIRED)
  find_library(SSL_LIBRARY ssl REQUIRED)
  find_library(SQLITE3_LIBRARY sqlite3 REQUIRED)
  find_library(ZSTD_LIBRARY zstd REQUIRED)
endif()

add_library(consign_asio INTERFACE)
target_include_directories(consign_asio SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_compile_definitions(consign_asio INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_DISABLE_BOOST_COROUTINE BOOST_ALL_NO_LIB BOOST_URL_NO_LIB BOOST_URL_STATIC_LINK)

set(CONSIGN_LIBRARIES_base  $<$<BOOL:${CONSIGN_STATIC}>:consign_left_out> nlohmann_json::nlohmann_json ${CRYPTO_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
set(CONSIGN_LIBRARIES_net   consign_asio ${SSL_LIBRARY} ${CRYPTO_LIBRARY})
set(CONSIGN_LIBRARIES_store ${SQLITE3_LIBRARY})
set(CONSIGN_LIBRARIES_artifact ${ZSTD_LIBRARY})
