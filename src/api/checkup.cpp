// One part after the other; what a part needs and cannot have ends the checkup.
#include <chrono>

#include "api/checkup.h"
#include "api/open_file.h"
#include "base/cpu_features.h"
#include "base/error.h"

namespace llmrun {

Result<Checkup> check_model(const std::filesystem::path& path, const LoadOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Checkup checkup;
  LLMRUN_ASSIGN(const gguf::File file, open_gguf(path));
  {
    ThreadPool pool(options.threads > 0 ? options.threads : usable_physical_cores());
    checkup::check_tensors(file, pool, checkup);
  }
  const auto model = Model::open(path, options);
  if (model) {
    checkup::check_tokenizer(Access::of(*model), checkup);
    checkup::check_template(Access::of(*model), checkup);
    checkup::check_predictions(*model, checkup);
  } else if (model.error().code == ErrorCode::kBadModel ||
             model.error().code == ErrorCode::kUnsupported) {
    checkup::fault(checkup, "loading", model.error().message);
  } else {
    return tl::unexpected<Error>(model.error());
  }
  checkup.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return checkup;
}

}  // namespace llmrun
