// Overrides of the rotary embedding: the same answers as from a file whose metadata say so, and an
// error where they would have no effect.
#include <gmock/gmock.h>

#include "models/changes.h"
#include "models/tiny.h"

namespace llmrun {
namespace {

using testing::Changes;
using ::testing::HasSubstr;
using testing::kIds;
using testing::stored;

std::vector<float> logits_of(const gguf::File& file, const RopeOverride& rope) {
  const auto backend = kernels::make_reference_backend();
  auto spec = models::build_spec(file, rope);
  EXPECT_TRUE(spec) << (spec ? "" : spec.error().message);
  if (!spec) return {};
  const auto model = runtime::Model::load(file, *backend, std::move(*spec)).value();
  const auto context = model->new_context(testing::float_cache()).value();
  return testing::run_chunked(*context, kIds, kIds.size()).value();
}

struct Case {
  std::string model;
  RopeOverride rope;
  Changes changes;
};

const std::vector<Case> kCases = {
    {"llama-dense",
     {.scaling = "linear", .factor = 4},
     {.floats = {{"llama.rope.scaling.factor", 4.0F}},
      .texts = {{"llama.rope.scaling.type", "linear"}}}},
    {"llama-dense",
     {.scaling = "yarn", .factor = 8, .original_context = 16},
     {.numbers = {{"llama.rope.scaling.original_context_length", 16}},
      .floats = {{"llama.rope.scaling.factor", 8.0F}},
      .texts = {{"llama.rope.scaling.type", "yarn"}}}},
    {"llama-dense", {.base = 500}, {.floats = {{"llama.rope.freq_base", 500.0F}}}},
    {"altered-gemma3-window",
     {.scaling = "none"},
     {.texts = {{"gemma3.rope.scaling.type", "none"}}}},
    {"altered-gemma3-window", {.factor = 2}, {.floats = {{"gemma3.rope.scaling.factor", 2.0F}}}},
    {"altered-deepseek2-absorbed",
     {.factor = 8, .original_context = 8},
     {.numbers = {{"deepseek2.rope.scaling.original_context_length", 8}},
      .floats = {{"deepseek2.rope.scaling.factor", 8.0F}}}},
    // A context of 64 tokens is no longer beyond the original one: the short factors apply.
    {"altered-phi3-long",
     {.original_context = 64},
     {.numbers = {{"phi3.rope.scaling.original_context_length", 64}}}},
};

TEST(RopeOverride, AnswersLikeTheSameMetadata) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.model + " " + c.rope.scaling);
    const auto bytes = testing::altered(c.model, c.changes).value();
    const auto changed = gguf::File::from_bytes(bytes).value();
    const auto original = gguf::File::open(stored(c.model)).value();
    const auto expected = logits_of(changed, {});
    EXPECT_EQ(logits_of(original, c.rope), expected);
    EXPECT_GT(testing::normalised_error(expected, logits_of(original, {})), 1e-6);
  }
}

struct Refusal {
  std::string model;
  RopeOverride rope;
  std::string says;
};

TEST(RopeOverride, WithoutEffectIsAnError) {
  const std::vector<Refusal> refusals = {
      {"altered-mpt-awq", {.base = 500}, "no rotary embedding"},
      {"altered-mpt-awq", {.scaling = "none"}, "no rotary embedding"},
      {"llama-dense", {.scaling = "linear"}, "give a factor"},
      {"llama-dense", {.scaling = "yarn"}, "give a factor"},
      {"llama-dense", {.scaling = "none", .factor = 2}, "no effect"},
      {"llama-dense", {.original_context = 16}, "only yarn"},
      {"llama-dense", {.scaling = "ntk"}, "none, linear or yarn"},
      {"llama-dense", {.factor = -1}, "factor"},
      {"llama-dense", {.factor = 1e-9}, "factor"},
      {"llama-dense", {.factor = INFINITY}, "factor"},
      {"llama-dense", {.base = 1}, "base"},
      {"llama-dense", {.base = NAN}, "base"},
      {"llama-dense", {.base = 1e300}, "base"},
      {"llama-dense", {.original_context = -1}, "original context"},
      {"llama-dense", {.original_context = INT64_MAX}, "original context"},
  };
  for (const Refusal& r : refusals) {
    SCOPED_TRACE(r.model + " " + r.says);
    const auto file = gguf::File::open(stored(r.model)).value();
    const auto spec = models::build_spec(file, r.rope);
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code, ErrorCode::kUsage);
    EXPECT_THAT(spec.error().message, HasSubstr(r.says));
  }
}

}  // namespace
}  // namespace llmrun
