# llmrun_test(): one GoogleTest program = one ctest test.
#
#   llmrun_test(gguf_reader SOURCES reader_test.cpp DEPENDS gguf base [EXTERNAL …] [LABELS slow])
#
# A test without LABELS is part of the fast set. Tests find files through tests/paths.h; what is
# beside the repository may not exist: then skip with the words "skipped: no ../shared".
find_package(GTest REQUIRED)

add_library(llmrun_test_paths STATIC ${PROJECT_SOURCE_DIR}/tests/paths.cpp)
target_compile_definitions(llmrun_test_paths PRIVATE
  LLMRUN_SOURCE_DIR="${PROJECT_SOURCE_DIR}" LLMRUN_BINARY_DIR="${PROJECT_BINARY_DIR}"
  LLMRUN_SHARED_DIR="${PROJECT_SOURCE_DIR}/../shared")
target_link_libraries(llmrun_test_paths PRIVATE llmrun_flags)

function(llmrun_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;EXTERNAL;LABELS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/include
                             ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name}_test PRIVATE llmrun_flags llmrun_test_paths fmt::fmt tl::expected GTest::gmock
                        GTest::gtest_main ${ARG_EXTERNAL})
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(${name}_test PRIVATE llmrun_${layer})
  endforeach()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 900)  # for hangs: a sanitizer on a busy machine takes ten times as long
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# llmrun_fuzzer(): a libFuzzer program (with LLMRUN_FUZZERS), and always a plain program that
# replays tests/corpus/<name>/* as an ordinary test.
#
#   llmrun_fuzzer(fuzz_gguf SOURCES fuzz_gguf.cpp DEPENDS gguf base)
function(llmrun_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;EXTERNAL" ${ARGN})
  set(programs ${name}_replay)
  if(LLMRUN_FUZZERS)
    list(APPEND programs ${name})
  endif()
  foreach(program ${programs})
    add_executable(${program} ${ARG_SOURCES})
    target_include_directories(${program} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${program} PRIVATE llmrun_flags fmt::fmt tl::expected ${ARG_EXTERNAL})
    foreach(layer ${ARG_DEPENDS})
      target_link_libraries(${program} PRIVATE llmrun_${layer})
    endforeach()
  endforeach()
  target_sources(${name}_replay PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
  if(LLMRUN_FUZZERS)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
  add_test(NAME ${name}_replay
           COMMAND ${name}_replay ${PROJECT_SOURCE_DIR}/tests/corpus/${name})
  set_tests_properties(${name}_replay PROPERTIES LABELS fast TIMEOUT 120)
endfunction()
