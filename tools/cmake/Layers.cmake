# llmrun_layer(): one static library per layer, which sees the headers of the layers it names and
# of no other. Every layer directory <dir> is reached as `#include "<name>/x.h"` through a folder
# of its own that holds a single link, so an include that skips a layer does not compile.
#
#   llmrun_layer(gguf DIRECTORY src/gguf SOURCES reader.cpp DEPENDS base EXTERNAL fmt::fmt)
#
# DEPENDS names layers (llmrun_<name>), EXTERNAL names imported targets. Both are linked PRIVATE.
function(llmrun_layer name)
  cmake_parse_arguments(ARG "" "DIRECTORY" "SOURCES;DEPENDS;EXTERNAL" ${ARGN})
  set(farm ${PROJECT_BINARY_DIR}/layers/${name})
  file(MAKE_DIRECTORY ${farm})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${ARG_DIRECTORY} ${farm}/${name} SYMBOLIC)
  add_library(llmrun_${name} STATIC ${ARG_SOURCES})
  target_include_directories(llmrun_${name} PUBLIC $<BUILD_INTERFACE:${farm}>)
  # The vocabulary headers of include/llmrun are open to all; tools/dev checks which ones are used.
  target_include_directories(llmrun_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(llmrun_${name} PRIVATE $<BUILD_INTERFACE:llmrun_flags> fmt::fmt
                        tl::expected ${ARG_EXTERNAL})
  foreach(layer ${ARG_DEPENDS})
    target_link_libraries(llmrun_${name} PRIVATE llmrun_${layer})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY LLMRUN_LAYERS llmrun_${name})
endfunction()
