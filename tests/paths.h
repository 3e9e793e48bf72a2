// Where tests find files. In one small source file of its own, so that where the tree lies does
// not change how the tests themselves compile: a compiler cache serves all copies of the tree.
#pragma once

namespace llmrun::tests {

extern const char* const kSourceDir;
extern const char* const kBinaryDir;
extern const char* const kSharedDir;  // beside the repository; may not exist

}  // namespace llmrun::tests
