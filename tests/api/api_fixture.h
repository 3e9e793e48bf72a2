// Models for the tests of the public API.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "llmrun/llmrun.h"
#include "paths.h"

namespace llmrun {

inline std::filesystem::path tiny_chat_path() {
  return std::filesystem::path(tests::kSourceDir) / "tests/data/models/tiny-chat.gguf";
}
inline std::filesystem::path tiny_path(const std::string& name) {
  return std::filesystem::path(tests::kSourceDir) / "tests/data/archs" / (name + ".gguf");
}
// A real model in the folder that LLMRUN_TEST_MODELS names; empty when it is not there.
inline std::filesystem::path real_model(const std::string& file) {
  const char* folder = std::getenv("LLMRUN_TEST_MODELS");
  if (folder == nullptr) return {};
  const auto path = std::filesystem::path(folder) / file;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

inline Message user(std::string text) {
  Message message;
  message.role = "user";
  message.content = std::move(text);
  return message;
}

template <typename T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().context << ": " << result.error().message;
    std::abort();
  }
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) ADD_FAILURE() << result.error().context << ": " << result.error().message;
}

}  // namespace llmrun

#define LLMRUN_REAL_MODEL(variable, file)                        \
  const auto variable = ::llmrun::real_model(file);              \
  if (variable.empty())                                          \
  GTEST_SKIP() << "skipped: set LLMRUN_TEST_MODELS to a folder " \
                  "that holds "                                  \
               << (file)
