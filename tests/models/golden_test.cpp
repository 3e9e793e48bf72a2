// Every registered architecture against logits of other programs: tiny models with random weights,
// F32 throughout. tests/data/archs is always there; ../shared/golden/archs has all of them.
#include <fmt/ranges.h>

#include <set>

#include "base/error.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using testing::kIds;

constexpr double kLimit = 5e-6;

const std::string kStored = std::string(tests::kSourceDir) + "/tests/data/archs";
const std::string kEncoders = std::string(tests::kSourceDir) + "/tests/data/encoders";
const std::string kShared = std::string(tests::kSharedDir) + "/golden/archs";

// The normalised error of one model on one backend.
Result<double> error_of(const std::string& stem, kernels::Backend& backend) {
  LLMRUN_ASSIGN(const auto tiny, testing::open_tiny(stem + ".gguf", backend));
  LLMRUN_ASSIGN(const auto context, tiny.model->new_context(testing::float_cache()));
  LLMRUN_ASSIGN(const auto logits, testing::run_chunked(*context, kIds, kIds.size()));
  LLMRUN_ASSIGN(const auto expected, read_npy(stem + ".npy"));
  return testing::normalised_error(logits, expected.as<float>());
}

// Compares every model of a folder and prints what came out, also of those that are not registered.
void compare_all(const std::string& folder, kernels::Backend& backend) {
  size_t n_files = 0, n_right = 0;
  std::set<std::string> missing;
  for (const std::string& stem : testing::models_in(folder)) {
    ++n_files;
    const std::string architecture = testing::architecture_of(stem + ".gguf");
    if (!testing::registered(architecture)) {
      missing.insert(architecture);
      continue;
    }
    const Result<double> error = error_of(stem, backend);
    EXPECT_TRUE(error) << stem << ": " << (error ? "" : error.error().message);
    if (!error) continue;
    fmt::print("{:<28} {:<10} {:.2e}\n", std::filesystem::path(stem).filename().string(),
               backend.target(), *error);
    EXPECT_LT(*error, kLimit) << stem;  // also fails for NaN
    n_right += *error < kLimit ? 1 : 0;
  }
  fmt::print("{}: {} of {} files right, {} architectures unknown besides the {} known{}\n",
             backend.target(), n_right, n_files, missing.size(),
             models::registered_architectures().size(),
             missing.empty() ? "" : fmt::format(" ({})", fmt::join(missing, ", ")));
  EXPECT_GT(n_right, 0U);
}

TEST(Golden, StoredModelsOnTheReferenceBackend) {
  compare_all(kStored, *kernels::make_reference_backend());
}

TEST(Golden, StoredModelsOnTheCpu) {
  auto backend = testing::cpu_backend();
  ASSERT_NE(backend, nullptr);
  compare_all(kStored, *backend);
}

TEST(Golden, AllArchitecturesOnTheReferenceBackend) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  compare_all(kShared, *kernels::make_reference_backend());
}

TEST(Golden, AllArchitecturesOnTheCpu) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  auto backend = testing::cpu_backend();
  ASSERT_NE(backend, nullptr);
  compare_all(kShared, *backend);
}

// An architecture in the registry without a golden model would be untested.
TEST(Golden, EveryRegisteredArchitectureHasAModel) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  std::set<std::string> in_files;
  for (const std::string& folder : {kShared, kEncoders}) {
    for (const std::string& stem : testing::models_in(folder)) {
      in_files.insert(testing::architecture_of(stem + ".gguf"));
    }
  }
  for (const std::string_view name : models::registered_architectures()) {
    EXPECT_TRUE(in_files.contains(std::string(name))) << name;
  }
}

}  // namespace
}  // namespace llmrun
