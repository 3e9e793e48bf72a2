// The CPU backend: memory of the process, one thread pool, and the kernels of one target.
#include "kernels/cpu/backend.h"

#include <cstdlib>

#include "base/cpu_features.h"
#include "base/error.h"
#include "kernels/cpu/ops.h"
#include "kernels/cpu/target_list.h"
#include "kernels/host_buffer.h"

namespace llmrun::kernels::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const TargetTable& table, int threads, MatmulObserver* observer)
      : table_(table), pool_(threads), ops_(table, pool_, observer) {}

  [[nodiscard]] std::string_view name() const override { return "cpu"; }
  [[nodiscard]] std::string_view target() const override { return table_.name; }
  [[nodiscard]] int threads() const override { return pool_.n_threads(); }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes) override {
    return allocate_host_buffer(bytes);
  }
  Result<Weight> prepare(const Weight& weight) override { return weight; }
  [[nodiscard]] size_t workspace_bytes(int64_t max_tokens, int64_t max_width) const override {
    return ops_.workspace_bytes(max_tokens, max_width);
  }
  Result<void> reserve(int64_t max_tokens, int64_t max_width) override {
    return ops_.reserve(max_tokens, max_width);
  }
  Ops& ops() override { return ops_; }
  void share(int64_t n_tasks, const HostWork& fn) override {
    pool_.parallel_for_indexed(n_tasks, fn);
  }
  [[nodiscard]] uint64_t barriers() const override { return pool_.shared_jobs(); }

 private:
  const TargetTable& table_;
  ThreadPool pool_;
  CpuOps ops_;
};

std::string target_names() {
  std::string names;
  for (const TargetEntry& entry : compiled_targets()) {
    if (!names.empty()) names += ", ";
    names += entry.target.name;
  }
  return names;
}

// The named target, or the best this machine has when no name is given.
Result<const TargetTable*> choose_target(std::string_view name) {
  const TargetTable* best = nullptr;
  for (const TargetEntry& entry : compiled_targets()) {
    if (name.empty()) {
      if (entry.target.available) best = entry.table;
    } else if (entry.target.name == name) {
      if (!entry.target.available) {
        return make_error(ErrorCode::kUnsupported,
                          "CPU target '{}' cannot run on this machine, which lacks {}; choose "
                          "another of: {}",
                          name, entry.target.missing, target_names());
      }
      return entry.table;
    }
  }
  if (best == nullptr) {
    return make_error(ErrorCode::kUsage, "there is no CPU target '{}'; choose one of: {}", name,
                      target_names());
  }
  return best;
}

}  // namespace

Result<std::unique_ptr<Backend>> make_cpu_backend(const BackendOptions& options) {
  std::string wanted = options.cpu_target;
  if (wanted.empty()) {
    const char* variable = std::getenv("LLMRUN_CPU");  // NOLINT(concurrency-mt-unsafe)
    if (variable != nullptr) wanted = variable;
  }
  LLMRUN_ASSIGN(const TargetTable* table, choose_target(wanted));
  constexpr int kMaxThreads = 1024;
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return make_error(ErrorCode::kUsage,
                      "{} threads: give a number from 1 to {}, or 0 for one per core",
                      options.threads, kMaxThreads);
  }
  const int threads = options.threads > 0 ? options.threads : usable_physical_cores();
  return std::make_unique<CpuBackend>(*table, threads, options.observer);
}

}  // namespace llmrun::kernels::cpu
