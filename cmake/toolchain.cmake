# What every target is compiled and linked with. The reasons for clang + libc++ are in docs/architecture.md.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# libc++ 19 has std::jthread and std::stop_token only with -fexperimental-library.
add_compile_options(-stdlib=libc++ -fexperimental-library -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror
  -ffunction-sections -fdata-sections)
add_compile_definitions(_GNU_SOURCE)
add_link_options(-stdlib=libc++ -fexperimental-library -fuse-ld=lld -Wl,--gc-sections)

# Size over speed in our own code: what is resident is mostly the program itself, and the hot loops (SHA-256, zstd,
# SQLite) are in libraries that come optimised. With all of it in one link step, a quarter of our code goes, and
# a clean build is no slower. Nothing asks for a type at run time but catch, which needs no -frtti; and what is alike,
# code or constants, is kept once.
set(CMAKE_CXX_FLAGS_RELEASE "-Oz -flto=full -fno-rtti -DNDEBUG")
set(CMAKE_EXE_LINKER_FLAGS_RELEASE "-Wl,--icf=all -Wl,--ignore-data-address-equality \
-Wl,-mllvm,-enable-merge-functions -Wl,-mllvm,-enable-machine-outliner=always")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -gline-tables-only")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_FAST)
else()
  add_compile_definitions(_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_DEBUG)
endif()

# The static binary is linked at a fixed address: position-independent code would only make it larger. Frame pointers
# are for the stacks that sanitizers and debuggers print.
if(CONSIGN_STATIC)
  add_compile_options(-fno-pie -fno-pic)
else()
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fno-omit-frame-pointer)
endif()

if(CONSIGN_SANITIZE)
  add_compile_options(-fsanitize=${CONSIGN_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CONSIGN_SANITIZE})
endif()
if(CONSIGN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
