// The memory plan is what is allocated, to the byte; and what a context refuses.
#include <gmock/gmock.h>

#include <numeric>

#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using testing::kIds;

// Bytes of the plan that are pages of the file and so not allocated.
uint64_t mapped_bytes(const runtime::MemoryPlan& plan) {
  uint64_t bytes = 0;
  for (const auto& item : plan.items) bytes += item.mapped ? item.bytes : 0;
  return bytes;
}

const std::string kStored = std::string(tests::kSourceDir) + "/tests/data/archs/";

// Counts what is asked of another backend.
class CountingBackend final : public kernels::Backend {
 public:
  explicit CountingBackend(std::unique_ptr<kernels::Backend> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] std::string_view name() const override { return inner_->name(); }
  [[nodiscard]] std::string_view target() const override { return inner_->target(); }
  [[nodiscard]] int threads() const override { return inner_->threads(); }
  Result<std::unique_ptr<kernels::Buffer>> allocate(size_t bytes) override {
    allocated += bytes;
    ++n_allocations;
    return inner_->allocate(bytes);
  }
  Result<kernels::Weight> prepare(const kernels::Weight& weight) override {
    return inner_->prepare(weight);
  }
  [[nodiscard]] size_t workspace_bytes(int64_t rows, int64_t width) const override {
    return inner_->workspace_bytes(rows, width);
  }
  Result<void> reserve(int64_t rows, int64_t width) override {
    reserved += inner_->workspace_bytes(rows, width);
    return inner_->reserve(rows, width);
  }
  kernels::Ops& ops() override { return inner_->ops(); }

  size_t allocated = 0, reserved = 0, n_allocations = 0;

 private:
  std::unique_ptr<kernels::Backend> inner_;
};

class Plan : public ::testing::TestWithParam<std::string> {};

TEST_P(Plan, IsWhatIsAllocated) {
  CountingBackend backend(testing::cpu_backend());
  auto tiny = testing::open_tiny(kStored + GetParam() + ".gguf", backend);
  ASSERT_TRUE(tiny);
  runtime::ContextOptions options;
  options.context_tokens = 100;
  options.max_sequences = 3;
  options.batch_tokens = 40;
  options.logits_rows = 25;
  options.v_type = kernels::CacheType::kInt8;
  const auto plan = tiny->model->plan(options);
  ASSERT_TRUE(plan) << plan.error().message;
  auto context = tiny->model->new_context(options);
  ASSERT_TRUE(context) << context.error().message;

  const uint64_t mapped = mapped_bytes(*plan);
  EXPECT_GT(mapped, 0U);
  EXPECT_EQ(plan->total_bytes() - mapped, backend.allocated + backend.reserved);
  EXPECT_EQ(plan->context_tokens, 100);

  const size_t before = backend.n_allocations;
  ASSERT_TRUE(testing::run_chunked(**context, kIds, 24));  // checks that the arena sufficed
  EXPECT_EQ(backend.n_allocations, before);
}

// A context for vectors: the pages hold one layer, the rows are those of pooling.
TEST(PlanOfVectors, IsWhatIsAllocated) {
  const std::string folder = std::string(tests::kSourceDir) + "/tests/data/encoders/";
  for (const std::string name : {"bert-reranker", "gemma-embedding", "nomic-bert-moe"}) {
    for (const Pooling pooling : {Pooling::kNone, Pooling::kMean, Pooling::kRank}) {
      if (pooling == Pooling::kRank && name != "bert-reranker") continue;
      SCOPED_TRACE(name + " " + std::to_string(static_cast<int>(pooling)));
      CountingBackend backend(testing::cpu_backend());
      auto tiny = testing::open_tiny(folder + name + ".gguf", backend);
      ASSERT_TRUE(tiny);
      runtime::ContextOptions options;
      options.pooling = pooling;
      options.context_tokens = 30;
      options.max_sequences = 3;
      options.batch_tokens = 60;
      const auto plan = tiny->model->plan(options);
      ASSERT_TRUE(plan) << plan.error().message;
      auto context = tiny->model->new_context(options);
      ASSERT_TRUE(context) << context.error().message;
      const uint64_t mapped = mapped_bytes(*plan);
      EXPECT_EQ(plan->total_bytes() - mapped, backend.allocated + backend.reserved);
      const size_t before = backend.n_allocations;
      const std::vector<runtime::EmbedInput> texts(2, runtime::EmbedInput{kIds});
      const auto rows = (*context)->embed(texts);  // checks that the arena sufficed
      ASSERT_TRUE(rows) << rows.error().message;
      EXPECT_EQ(rows->n_rows, pooling == Pooling::kNone ? 48 : 2);
      EXPECT_EQ(backend.n_allocations, before);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Plan,
                         ::testing::Values("llama-dense", "altered-gpt-oss-experts",
                                           "altered-deepseek2-absorbed", "altered-deepseek2-legacy",
                                           "altered-qwen2moe-experts", "altered-phi3-long",
                                           "altered-mamba-norms", "altered-falcon-h1-heads",
                                           "altered-minimax-interval", "altered-qwen3next-fused",
                                           "altered-kimi-k3-bank", "altered-lfm2-window",
                                           "altered-qwen4exp-ngrams"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class Refusal : public ::testing::Test {
 protected:
  void SetUp() override {
    auto tiny = testing::open_tiny(kStored + "llama-dense.gguf", *backend_);
    ASSERT_TRUE(tiny);
    tiny_ = std::move(*tiny);
    runtime::ContextOptions options = testing::float_cache(2);
    options.context_tokens = 20;
    options.batch_tokens = 16;
    options.logits_rows = 4;
    auto context = tiny_.model->new_context(options);
    ASSERT_TRUE(context);
    context_ = std::move(*context);
  }
  Error refused(std::vector<runtime::Chunk> chunks) {
    runtime::Batch batch;
    batch.chunks = std::move(chunks);
    auto result = context_->forward(batch);
    EXPECT_FALSE(result) << "was accepted";
    return result ? Error{} : result.error();
  }

  std::unique_ptr<kernels::Backend> backend_ = kernels::make_reference_backend();
  testing::TinyModel tiny_;
  std::unique_ptr<runtime::Context> context_;
};

TEST_F(Refusal, TellsWhatIsWrongAndChangesNothing) {
  using runtime::WantedLogits;
  const auto id = context_->open_sequence().value();
  const std::span<const TokenId> ids(kIds);
  runtime::Batch batch;
  batch.chunks = {{id, ids.first(10), WantedLogits::kLast}};
  ASSERT_TRUE(context_->forward(batch));

  const Error overflow = refused({{id, ids.first(11), WantedLogits::kLast}});
  EXPECT_EQ(overflow.code, ErrorCode::kContextOverflow);
  EXPECT_THAT(overflow.message, HasSubstr("21"));  // needed
  EXPECT_THAT(overflow.message, HasSubstr("20"));  // available
  const std::vector<TokenId> bad = {1, 128}, negative = {-1};
  EXPECT_EQ(refused({{id, bad, WantedLogits::kLast}}).code, ErrorCode::kUsage);
  EXPECT_EQ(refused({{id, negative, WantedLogits::kLast}}).code, ErrorCode::kUsage);
  EXPECT_EQ(refused({}).code, ErrorCode::kUsage);
  EXPECT_EQ(refused({{id, {}, WantedLogits::kLast}}).code, ErrorCode::kUsage);
  EXPECT_EQ(refused({{7, ids.first(1), WantedLogits::kLast}}).code, ErrorCode::kUsage);
  EXPECT_EQ(refused({{id, ids.first(5), WantedLogits::kAll}}).code, ErrorCode::kUsage);
  EXPECT_EQ(
      refused({{id, ids.first(1), WantedLogits::kLast}, {id, ids.first(1), WantedLogits::kLast}})
          .code,
      ErrorCode::kUsage);
  const auto other = context_->open_sequence().value();
  EXPECT_EQ(refused({{other, ids.first(17), WantedLogits::kLast}}).code, ErrorCode::kUsage);
  EXPECT_FALSE(context_->open_sequence());
  EXPECT_FALSE(context_->truncate(id, 11));
  EXPECT_EQ(context_->length(id), 10);
  EXPECT_EQ(context_->length(other), 0);
  EXPECT_EQ(context_->free_tokens(), 30);
}

TEST_F(Refusal, OfImpossibleContexts) {
  for (const int64_t tokens : {int64_t{-1}, INT64_MAX}) {
    runtime::ContextOptions options;
    options.context_tokens = tokens;
    EXPECT_FALSE(tiny_.model->plan(options));
  }
  runtime::ContextOptions options;
  options.context_tokens = int64_t{1} << 30;
  options.max_sequences = 1 << 16;
  const auto plan = tiny_.model->plan(options);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kOutOfMemory);
}

TEST_F(Refusal, UnusedTensorsAreListed) {
  EXPECT_THAT(tiny_.model->unused_tensors(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace llmrun
