# What a builder can choose, and the flags that every target gets.
option(LLMRUN_TESTS "Build the tests" ON)
option(LLMRUN_FUZZERS "Build the libFuzzer targets (clang only)" OFF)
option(LLMRUN_WERROR "Treat warnings as errors" OFF)
set(LLMRUN_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined")
option(LLMRUN_COVERAGE "Instrument for coverage" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(LLMRUN_CCACHE ccache)
if(LLMRUN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LLMRUN_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${LLMRUN_CCACHE})
endif()

# Flags of every target of ours; linked PRIVATE, so nothing leaks to users of the installed library.
add_library(llmrun_flags INTERFACE)
target_compile_options(llmrun_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -fno-omit-frame-pointer
  # Contraction would make a*b+c differ between targets and optimisation levels: fma is explicit.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of GCC 12 at -O2 and up on std::string (GCC bug 105329) and std::variant (105562).
  target_compile_options(llmrun_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(LLMRUN_WERROR)
  target_compile_options(llmrun_flags INTERFACE -Werror)
endif()
if(LLMRUN_SANITIZE)
  target_compile_options(llmrun_flags INTERFACE
    -fsanitize=${LLMRUN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(llmrun_flags INTERFACE -fsanitize=${LLMRUN_SANITIZE})
endif()
if(LLMRUN_COVERAGE)
  target_compile_options(llmrun_flags INTERFACE --coverage)
  target_link_options(llmrun_flags INTERFACE --coverage)
endif()
if(LLMRUN_FUZZERS)
  target_compile_options(llmrun_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
