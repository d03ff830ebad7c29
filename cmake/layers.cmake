# One static library per layer: headers in include/consign/<layer>, sources in src/<layer>.
# The libraries a layer needs beyond its lower layers are named in third_party/dependencies.cmake.
function(consign_layer layer)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/*.cpp)
  if(NOT sources)
    add_library(consign_${layer} INTERFACE)
    target_include_directories(consign_${layer} INTERFACE ${CMAKE_SOURCE_DIR}/include)
    return()
  endif()
  add_library(consign_${layer} STATIC ${sources})
  target_include_directories(consign_${layer} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR}/src)
  foreach(lower IN LISTS ARGN)
    target_link_libraries(consign_${layer} PUBLIC consign_${lower})
  endforeach()
  target_link_libraries(consign_${layer} PUBLIC ${CONSIGN_LIBRARIES_${layer}})

  consign_precompile(consign_${layer})

  # SQL and other text is written as files beside the code and embedded: see cmake/embed.cmake.
  file(GLOB_RECURSE embedded CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/*.sql)
  foreach(file IN LISTS embedded)
    consign_embed(consign_${layer} ${file})
  endforeach()
endfunction()

# The standard library, nlohmann/json and Asio's awaitable are half of what a file costs to compile. Precompiled for
# release, asan and fuzz, where the clock of a clean build matters; debug and tsan compile without, and so find a missing
# include. Without -fno-pch-timestamp an upgrade of a system package fails the next build instead of redoing it.
option(CONSIGN_PCH "Precompile the common headers" OFF)
function(consign_precompile target)
  if(NOT CONSIGN_PCH)
    return()
  endif()
  if(target STREQUAL "consign_base")
    return() # small files, and without Asio
  endif()
  target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  if(target STREQUAL "consign_net")
    target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/precompiled.hpp)
  else()
    target_precompile_headers(${target} REUSE_FROM consign_net)
  endif()
endfunction()

# `#include "embedded/<layer>/<path>.inc"` yields the file as a C++ raw string literal.
function(consign_embed target file)
  file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR}/src ${file})
  set(out ${CMAKE_BINARY_DIR}/generated/embedded/${relative}.inc)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${out} -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
  target_sources(${target} PRIVATE ${out})
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated)
endfunction()

function(consign_executable)
  add_executable(consign ${CMAKE_SOURCE_DIR}/src/main.cpp)
  target_include_directories(consign PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(consign PRIVATE consign_cli consign_install consign_build consign_agent consign_ims)
  target_compile_definitions(consign PRIVATE CONSIGN_VERSION="${PROJECT_VERSION}")
  if(CONSIGN_STATIC)
    target_link_options(consign PRIVATE -static)
  endif()
endfunction()
