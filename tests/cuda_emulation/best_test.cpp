// The best of rows, as sorting finds them; and answers of a model whose logits stay on the device,
// which are those of whole rows. Compiled without the emulation, the same on a card.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "cuda_emulation/backend_fixture.h"
#include "engine/engine.h"
#include "kernels/backend.h"
#include "kernels/find_best.h"
#include "models/tiny.h"
#include "paths.h"

namespace llmrun {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows on the device, and what is found in them.
class Search {
 public:
  Search(kernels::Backend& backend, std::vector<float> rows, int64_t width)
      : backend_(backend), rows_(std::move(rows)), width_(width) {}

  // The columns and values of all rows.
  [[nodiscard]] std::pair<std::vector<int32_t>, std::vector<float>> find(
      int64_t n_best, const std::vector<int32_t>& named) const {
    const int64_t n_rows = static_cast<int64_t>(rows_.size()) / width_;
    const int64_t n_named = static_cast<int64_t>(named.size()) / n_rows;
    const auto n = static_cast<size_t>(n_rows * (n_best + n_named));
    auto x = backend_.allocate(rows_.size() * sizeof(float));
    auto scratch = backend_.allocate(backend_.find_best_bytes(n_rows, width_));
    auto columns = backend_.allocate_shared(n * sizeof(int32_t));
    auto values = backend_.allocate_shared(n * sizeof(float));
    EXPECT_TRUE(x && scratch && columns && values);
    (*x)->write(0, rows_.data(), rows_.size() * sizeof(float));
    backend_.begin_step();
    backend_.find_best(
        {.x = kernels::ConstRows(reinterpret_cast<float*>((*x)->data()), n_rows, width_, width_),
         .n_best = n_best,
         .named = named,
         .n_named = n_named,
         .columns = reinterpret_cast<int32_t*>((*columns)->data()),
         .values = reinterpret_cast<float*>((*values)->data()),
         .scratch = (*scratch)->data()});
    const auto done = backend_.finish();
    EXPECT_TRUE(done) << done.error().message;
    const auto* const c = reinterpret_cast<const int32_t*>((*columns)->data());
    const auto* const v = reinterpret_cast<const float*>((*values)->data());
    return {{c, c + n}, {v, v + n}};
  }

  [[nodiscard]] std::vector<int32_t> sorted(int64_t row, int64_t n_best) const {
    const float* const x = rows_.data() + row * width_;
    std::vector<int32_t> all(static_cast<size_t>(width_));
    std::iota(all.begin(), all.end(), 0);
    std::stable_sort(all.begin(), all.end(), [&](int32_t a, int32_t b) {
      const bool a_bad = !(x[a] < kInfinity);
      const bool b_bad = !(x[b] < kInfinity);
      return a_bad != b_bad ? a_bad : !a_bad && x[a] > x[b];
    });
    all.resize(static_cast<size_t>(n_best));
    return all;
  }

 private:
  kernels::Backend& backend_;
  std::vector<float> rows_;
  int64_t width_;
};

std::vector<float> random_rows(int64_t n, int64_t width, uint32_t seed, bool coarse) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> rows;
  for (int64_t i = 0; i < n * width; ++i) {
    const float x = normal(engine);
    rows.push_back(coarse ? std::round(x) : x);
  }
  return rows;
}

class CudaBest : public CudaBackendTest {
 protected:
  // Three rows, with two named columns each.
  void check(int64_t width, int64_t n_best, std::vector<float> rows) const {
    const auto last = static_cast<int32_t>(width - 1);
    const std::vector<int32_t> named = {0, last, last / 2, 0, 1, 1};
    const std::vector<float> all = rows;
    const Search search(*backend_, std::move(rows), width);
    const auto [columns, values] = search.find(n_best, named);
    for (int64_t row = 0; row < 3; ++row) {
      auto want = search.sorted(row, n_best);
      want.insert(want.end(), named.begin() + 2 * row, named.begin() + 2 * row + 2);
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t at = static_cast<size_t>(row) * want.size() + i;
        ASSERT_EQ(columns[at], want[i]) << width << " of " << n_best << ", " << row << ": " << i;
        const float value = all[static_cast<size_t>(row * width + want[i])];
        ASSERT_EQ(std::bit_cast<uint32_t>(values[at]), std::bit_cast<uint32_t>(value));
      }
    }
  }
};

TEST_F(CudaBest, AreThoseThatSortingFinds) {
  for (const int64_t width : {2, 128, 4095, 4096, 4097, 30001}) {
    for (const int64_t n_best : {1, 2, 64, 512}) {
      if (n_best > width) continue;
      check(width, n_best, random_rows(3, width, 1, false));
      check(width, n_best, random_rows(3, width, 2, true));  // few values: ties
    }
  }
}

TEST_F(CudaBest, TheWidestRowTakesThreeRounds) {
  check(262144, 512, random_rows(3, 262144, 3, false));
  check(262144, 1, random_rows(3, 262144, 3, true));
}

TEST_F(CudaBest, WhatIsNoNumberComesFirst) {
  constexpr int64_t kWidth = 5000;
  auto rows = random_rows(3, kWidth, 4, true);
  rows[4990] = kInfinity;
  rows[17] = std::nanf("");
  rows[18] = -std::nanf("");
  rows[kWidth + 3] = std::numeric_limits<float>::max();
  rows[kWidth + 4] = -kInfinity;
  for (size_t i = 2 * kWidth; i < rows.size(); ++i) rows[i] = -kInfinity;
  rows[2 * kWidth + 4999] = -std::numeric_limits<float>::max();
  rows[2 * kWidth + 4500] = -0.0F;
  rows[2 * kWidth + 4501] = 0.0F;
  check(kWidth, 16, rows);
}

TEST_F(CudaBest, WhatCannotBeIsAnError) {
  for (const int64_t n_best : {0, 3, 1024}) {
    std::vector<float> x(2000);
    backend_->find_best(
        {.x = kernels::ConstRows(x.data(), 1, 2000, 2000), .n_best = n_best, .named = {}});
    EXPECT_FALSE(backend_->finish()) << n_best;
  }
}

// ---- answers -----------------------------------------------------------------------------------

std::string model_path() {
  return std::string(tests::kSourceDir) + "/tests/data/archs/llama-dense.gguf";
}

TEST_F(CudaBest, ABatchGivesWhatItsChunksAskFor) {
  const auto tiny = testing::open_tiny(model_path(), *backend_);
  ASSERT_TRUE(tiny) << tiny.error().message;
  const auto context = tiny->model->new_context(testing::float_cache(2));
  ASSERT_TRUE(context) << context.error().message;
  const std::vector<TokenId> text = {3, 17, 64};
  const std::vector<TokenId> named = {9, 2, 101};
  std::vector<float> whole;
  for (const bool asks_for_less : {false, true}) {
    runtime::Batch batch;
    for (const size_t n_best : {5, 9}) {
      const auto sequence = (*context)->open_sequence();
      ASSERT_TRUE(sequence);
      batch.chunks.push_back({.sequence = *sequence, .tokens = text});
      if (n_best == 5 || asks_for_less) batch.chunks.back().best = {n_best, named};
    }
    const auto logits = (*context)->forward(batch);
    ASSERT_TRUE(logits) << logits.error().message;
    ASSERT_EQ(logits->n_rows, 2);
    for (const auto& chunk : batch.chunks) (*context)->close_sequence(chunk.sequence);
    if (!asks_for_less) {  // but for one of them
      ASSERT_EQ(logits->ids, nullptr);
      whole.assign(logits->row(0).begin(), logits->row(0).end());
      continue;
    }
    ASSERT_EQ(logits->n_ids, 16 + 4);
    for (int64_t row = 0; row < 2; ++row) {
      const auto ids = logits->row_ids(row);
      for (size_t i = 0; i < ids.size(); ++i) {
        ASSERT_EQ(logits->row(row)[i], whole[static_cast<size_t>(ids[i])]);
        if (i > 0 && i < 16) {
          ASSERT_LE(logits->row(row)[i], logits->row(row)[i - 1]);
        }
      }
      EXPECT_EQ(logits->row(row)[0], *std::max_element(whole.begin(), whole.end()));
      EXPECT_TRUE(std::equal(named.begin(), named.end(), ids.begin() + 16));
    }
  }
}

// Three answers at a time, of the options in turn. Whoever wants a receipt has all logits.
Result<std::vector<std::vector<TokenId>>> answers(kernels::Backend& backend, bool receipt,
                                                  bool looks_at_best) {
  LLMRUN_ASSIGN(const testing::TinyModel tiny, testing::open_tiny(model_path(), backend));
  LLMRUN_ASSIGN(const auto context, tiny.model->new_context(testing::float_cache(3)));
  engine::Engine engine(*context, {nullptr, tiny.model->spec().n_vocab});
  std::vector<engine::Sequence*> sequences;
  for (int i = 0; i < 3; ++i) {
    engine::Request request;
    request.prompt = {3, 17, static_cast<TokenId>(5 + i)};
    request.options.max_tokens = 12;
    request.options.hash_logits = receipt;
    SamplingOptions& sampling = request.options.sampling;
    sampling.seed = 40 + static_cast<uint64_t>(i);
    sampling.top_k = 10 + i;
    if (i == 0) sampling.temperature = 0.0F;
    if (i == 1) sampling.repeat_penalty = 1.3F;
    if (i == 1) sampling.penalty_window = 7;
    if (i == 2) sampling.temperature = 1.5F;
    if (i == 2 && looks_at_best) sampling.typical_p = 0.95F;  // the host's work
    LLMRUN_ASSIGN(engine::Sequence * sequence, engine.submit(std::move(request)));
    sequences.push_back(sequence);
  }
  for (bool more = true; more;) {
    LLMRUN_ASSIGN(more, engine.step());
  }
  std::vector<std::vector<TokenId>> all;
  for (engine::Sequence* sequence : sequences) {
    LLMRUN_ASSIGN(const Generation generation, engine.take(sequence));
    EXPECT_EQ(generation.logits_hashes.size(), receipt ? generation.tokens.size() : 0U);
    all.push_back(generation.tokens);
  }
  return all;
}

TEST_F(CudaBest, AnswersAreThoseOfWholeRows) {
  for (const bool looks_at_best : {false, true}) {  // false: the device draws
    const auto whole = answers(*backend_, true, looks_at_best);
    ASSERT_TRUE(whole) << whole.error().message;
    const auto best = answers(*backend_, false, looks_at_best);
    ASSERT_TRUE(best) << best.error().message;
    EXPECT_EQ(*best, *whole);
    for (const auto& tokens : *whole) EXPECT_EQ(tokens.size(), 12U);
  }
}

}  // namespace
}  // namespace llmrun
