// Opening NCCL's library.
#include "kernels/cuda/nccl.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include "base/error.h"

namespace llmrun::kernels::cuda {
namespace {

constexpr const char* kVariable = "LLMRUN_NCCL";
constexpr const char* kLibrary = "libnccl.so.2";
constexpr int kOldestVersion = 20900;  // its operations can be a part of graphs

// NCCL's own numbering since 2.9: 22707 is 2.27.7.
std::string version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Result<std::unique_ptr<Nccl>> open(const std::string& name) {
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return make_error(ErrorCode::kNotFound, "{} cannot be loaded", name);
  }
  auto nccl = std::make_unique<Nccl>();
  const bool complete = find(library, "ncclGetVersion", nccl->get_version) &&
                        find(library, "ncclGetErrorString", nccl->get_error_string) &&
                        find(library, "ncclCommInitAll", nccl->comm_init_all) &&
                        find(library, "ncclCommDestroy", nccl->comm_destroy) &&
                        find(library, "ncclCommAbort", nccl->comm_abort) &&
                        find(library, "ncclCommGetAsyncError", nccl->comm_get_async_error) &&
                        find(library, "ncclAllGather", nccl->all_gather) &&
                        find(library, "ncclGroupStart", nccl->group_start) &&
                        find(library, "ncclGroupEnd", nccl->group_end);
  int version = 0;
  if (!complete || nccl->get_version(&version) != kNcclSuccess) {
    return make_error(ErrorCode::kUnsupported, "{} lacks functions of NCCL 2", name);
  }
  nccl->version = version_text(version);
  if (version < kOldestVersion) {
    return make_error(ErrorCode::kUnsupported, "{} is NCCL of a version before {}", name,
                      version_text(kOldestVersion));
  }
  return nccl;
}

}  // namespace

Result<const Nccl*> load_nccl() {
  const char* const variable = std::getenv(kVariable);  // NOLINT(concurrency-mt-unsafe)
  const std::string name = variable == nullptr || *variable == '\0' ? kLibrary : variable;
  if (name == "off") {
    return make_error(ErrorCode::kUnsupported, "NCCL is switched off ({}=off)", kVariable);
  }
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Nccl>> loaded;
  const std::lock_guard lock(mutex);
  std::unique_ptr<Nccl>& nccl = loaded[name];
  if (nccl == nullptr) {
    LLMRUN_ASSIGN(nccl, open(name));
  }
  return nccl.get();
}

}  // namespace llmrun::kernels::cuda
