// The part of a checkup that looks at weights alone, and how parts report.
#pragma once

#include "base/thread_pool.h"
#include "gguf/reader.h"
#include "llmrun/checkup.h"

namespace llmrun::checkup {

void check_tensors(const gguf::File& file, ThreadPool& pool, Checkup& checkup);

inline void good(Checkup& checkup, std::string what, std::string detail) {
  checkup.results.push_back({std::move(what), true, std::move(detail)});
}
inline void fault(Checkup& checkup, std::string what, std::string detail) {
  checkup.results.push_back({std::move(what), false, std::move(detail)});
}

}  // namespace llmrun::checkup
