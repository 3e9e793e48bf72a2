// Every registered architecture against logits of other programs: tiny models with random weights,
// F32 throughout. tests/data/archs is always there; ../shared/golden/archs has all of them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "models/tiny.h"

namespace llmrun {
namespace {

using testing::kIds;

constexpr double kLimit = 5e-6;

bool registered(const std::string& architecture) {
  const auto names = models::registered_architectures();
  return std::find(names.begin(), names.end(), architecture) != names.end();
}

// Compares one model on one backend; false when its architecture is not registered.
bool compare(const std::string& stem, kernels::Backend& backend, std::set<std::string>& seen) {
  auto file = gguf::File::open(stem + ".gguf");
  EXPECT_TRUE(file) << (file ? "" : file.error().message);
  if (!file) return false;
  const auto architecture = file->metadata().get<std::string>("general.architecture").value();
  if (!registered(architecture)) return false;
  seen.insert(architecture);
  auto tiny = testing::open_tiny(stem + ".gguf", backend);
  EXPECT_TRUE(tiny) << stem << ": " << (tiny ? "" : tiny.error().message);
  if (!tiny) return false;
  auto context = tiny->model->new_context(testing::float_cache());
  EXPECT_TRUE(context) << stem << ": " << (context ? "" : context.error().message);
  if (!context) return false;
  auto logits = testing::run_chunked(**context, kIds, kIds.size());
  EXPECT_TRUE(logits) << stem << ": " << (logits ? "" : logits.error().message);
  auto expected = read_npy(stem + ".npy");
  EXPECT_TRUE(expected) << stem << ": " << (expected ? "" : expected.error().message);
  if (!logits || !expected) return false;
  const double error = testing::normalised_error(*logits, expected->as<float>());
  fmt::print("{:<28} {:<10} {:.2e}\n", std::filesystem::path(stem).filename().string(),
             backend.target(), error);
  EXPECT_LT(error, kLimit) << stem;  // also fails for NaN
  return true;
}

size_t compare_all(const std::string& folder, kernels::Backend& backend) {
  std::set<std::string> seen;
  size_t n = 0;
  for (const std::string& stem : testing::models_in(folder)) n += compare(stem, backend, seen);
  return n;
}

const std::string kStored = std::string(LLMRUN_SOURCE_DIR) + "/tests/data/archs";
const std::string kShared = std::string(LLMRUN_SHARED_DIR) + "/golden/archs";

TEST(Golden, StoredModelsOnTheReferenceBackend) {
  EXPECT_GE(compare_all(kStored, *kernels::make_reference_backend()), 4U);
}

TEST(Golden, StoredModelsOnTheCpu) {
  auto backend = testing::cpu_backend();
  ASSERT_NE(backend, nullptr);
  EXPECT_GE(compare_all(kStored, *backend), 4U);
}

TEST(Golden, AllArchitecturesOnTheReferenceBackend) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  EXPECT_GE(compare_all(kShared, *kernels::make_reference_backend()), 24U);
}

TEST(Golden, AllArchitecturesOnTheCpu) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  auto backend = testing::cpu_backend();
  ASSERT_NE(backend, nullptr);
  EXPECT_GE(compare_all(kShared, *backend), 24U);
}

// An architecture in the registry without a golden model would be untested.
TEST(Golden, EveryRegisteredArchitectureHasAModel) {
  if (!std::filesystem::exists(kShared)) GTEST_SKIP() << "skipped: no ../shared";
  std::set<std::string> in_files;
  for (const std::string& stem : testing::models_in(kShared)) {
    auto file = gguf::File::open(stem + ".gguf");
    ASSERT_TRUE(file);
    in_files.insert(file->metadata().get<std::string>("general.architecture").value());
  }
  for (const std::string_view name : models::registered_architectures()) {
    EXPECT_TRUE(in_files.contains(std::string(name))) << name;
  }
}

}  // namespace
}  // namespace llmrun
