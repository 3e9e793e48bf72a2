// The paths that CMake gives.
#include "paths.h"

namespace llmrun::tests {

const char* const kSourceDir = LLMRUN_SOURCE_DIR;
const char* const kBinaryDir = LLMRUN_BINARY_DIR;
const char* const kSharedDir = LLMRUN_SHARED_DIR;

}  // namespace llmrun::tests
