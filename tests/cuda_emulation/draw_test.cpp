// Tokens that the device draws against those of the sampling chain: the same ones, bit for bit, and
// the same errors. Compiled without the emulation, the same on a card.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "cuda_emulation/backend_fixture.h"
#include "kernels/backend.h"
#include "kernels/draw.h"
#include "models/tiny.h"
#include "paths.h"
#include "sampling/chain.h"

namespace llmrun {
namespace {

using sampling::Chain;
using sampling::Needs;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

kernels::RowDraw row_of(const Chain& chain, const Needs& needs) {
  return {&chain.options(), needs.uniform, needs.named, needs.counts, needs.biases};
}

// One row of logits for each chain, and what the device draws from them.
struct Case {
  std::vector<Chain> chains;
  std::vector<std::vector<TokenId>> histories;
  std::vector<float> logits;

  [[nodiscard]] int64_t n() const { return static_cast<int64_t>(chains.size()); }
  [[nodiscard]] int64_t width() const { return static_cast<int64_t>(logits.size()) / n(); }
  [[nodiscard]] std::span<const float> row(size_t i) const {
    return std::span(logits).subspan(i * static_cast<size_t>(width()),
                                     static_cast<size_t>(width()));
  }
};

class CudaDraw : public CudaBackendTest {
 protected:
  // Of every row what the device says, and what the chain says to that.
  [[nodiscard]] std::vector<Result<TokenId>> drawn(Case& c) const {
    std::vector<kernels::RowDraw> rows;
    std::vector<Needs> needs;
    for (size_t i = 0; i < c.chains.size(); ++i) {
      needs.push_back(c.chains[i].needs(c.histories[i]));
      EXPECT_TRUE(needs.back().plain);
      rows.push_back(row_of(c.chains[i], needs.back()));
    }
    const auto n = static_cast<size_t>(c.n());
    auto x = backend_->allocate(c.logits.size() * sizeof(float));
    auto scratch = backend_->allocate(backend_->find_best_bytes(c.n(), c.width()));
    auto tokens = backend_->allocate_shared(n * sizeof(int32_t));
    auto values = backend_->allocate_shared(n * sizeof(float));
    EXPECT_TRUE(x && scratch && tokens && values);
    (*x)->write(0, c.logits.data(), c.logits.size() * sizeof(float));
    const auto* const at = reinterpret_cast<const float*>((*x)->data());
    const auto* const token = reinterpret_cast<const int32_t*>((*tokens)->data());
    const auto* const value = reinterpret_cast<const float*>((*values)->data());
    backend_->begin_step();
    backend_->draw({.x = kernels::ConstRows(at, c.n(), c.width(), c.width()),
                    .rows = rows,
                    .tokens = reinterpret_cast<int32_t*>((*tokens)->data()),
                    .logits = reinterpret_cast<float*>((*values)->data()),
                    .scratch = (*scratch)->data()});
    const auto done = backend_->finish();
    EXPECT_TRUE(done) << done.error().message;
    std::vector<Result<TokenId>> results;
    for (size_t i = 0; i < n; ++i) results.push_back(c.chains[i].take(token[i], value[i]));
    return results;
  }

  // The chains' own answers come first: what the device draws counts as drawn.
  void check(Case& c, const std::string& what) const {
    std::vector<Result<TokenId>> wanted;
    for (size_t i = 0; i < c.chains.size(); ++i) {
      sampling::Workspace memory(c.width());
      Chain copy = c.chains[i];
      wanted.push_back(copy.next(c.row(i), c.histories[i], memory));
    }
    const auto got = drawn(c);
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(got[i].has_value(), wanted[i].has_value()) << what << ", row " << i;
      if (wanted[i]) {
        ASSERT_EQ(*got[i], *wanted[i]) << what << ", row " << i;
      } else {
        ASSERT_EQ(got[i].error().message, wanted[i].error().message) << what << ", row " << i;
      }
    }
  }
};

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int upto(int n) { return std::uniform_int_distribution<int>(0, n)(engine_); }
  float between(float a, float b) { return std::uniform_real_distribution<float>(a, b)(engine_); }
  float normal() { return normal_(engine_); }
  bool sometimes() { return upto(2) == 0; }

  SamplingOptions options(int width) {
    SamplingOptions options;
    options.seed = static_cast<uint64_t>(upto(1 << 30));
    const float temperatures[] = {0.0F, 1.0F, 0.7F, 1.6F, 1e-3F, 30.0F};
    options.temperature = temperatures[upto(5)];
    options.top_k = 1 + upto(sometimes() ? 300 : 60);
    options.top_p = sometimes() ? 1.0F : between(0.0F, 1.0F);
    options.min_p = sometimes() ? between(0.0F, 1.0F) : sometimes() ? 0.01F : 0.0F;
    if (sometimes()) options.repeat_penalty = between(0.5F, 2.0F);
    if (sometimes()) options.frequency_penalty = between(-1.0F, 2.0F);
    if (sometimes()) options.presence_penalty = between(-1.0F, 2.0F);
    options.penalty_window = upto(80) - 1;
    if (sometimes()) {
      for (int id = upto(40); id < width; id += width / 30 + upto(width / 4)) {
        options.logit_bias.emplace_back(id, sometimes() ? -kInfinity : between(-5.0F, 5.0F));
      }
    }
    return options;
  }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

void add_row(Case& c, const SamplingOptions& options, std::vector<TokenId> history,
             const std::vector<float>& logits) {
  auto chain = Chain::make(options, static_cast<int64_t>(logits.size()));
  ASSERT_TRUE(chain) << chain.error().message;
  chain->skip(history.size());
  c.chains.push_back(std::move(*chain));
  c.histories.push_back(std::move(history));
  c.logits.insert(c.logits.end(), logits.begin(), logits.end());
}

// A few values only, or any; some rows have hardly anything that is possible.
std::vector<float> random_logits(Random& random, int width) {
  const bool coarse = random.sometimes(), sparse = random.upto(9) == 0;
  const float scale = coarse ? 1.0F : random.between(0.1F, 8.0F);
  std::vector<float> logits;
  for (int i = 0; i < width; ++i) {
    const float x = scale * random.normal();
    logits.push_back(sparse && random.upto(50) > 0 ? -kInfinity : coarse ? std::round(x) : x);
  }
  return logits;
}

TEST_F(CudaDraw, TokensAreThoseOfTheChain) {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    const int width = 1300 + random.upto(4000);
    Case c;
    for (int i = 0; i < 4; ++i) {
      std::vector<TokenId> history;
      for (int n = random.upto(100); n > 0; --n) history.push_back(random.upto(width / 10));
      add_row(c, random.options(width), std::move(history), random_logits(random, width));
    }
    check(c, "round " + std::to_string(round));
    check(c, "round " + std::to_string(round) + ", the next token");
  }
}

// Where the chance of a token ends: numbers close to its sums.
TEST_F(CudaDraw, ManySeedsOfOneRow) {
  Random random(2);
  const auto logits = random_logits(random, 2000);
  Case c;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SamplingOptions options;
    options.seed = seed;
    options.top_k = 100;
    options.top_p = 0.99F;
    add_row(c, options, {5, 5, 17}, logits);
  }
  check(c, "seeds");
}

TEST_F(CudaDraw, WhatCannotBeDrawnIsTheSameError) {
  Case c;
  SamplingOptions plain;
  plain.seed = 3;
  std::vector<float> row(1000, 1.0F);
  row[700] = kInfinity;
  row[701] = std::nanf("");
  add_row(c, plain, {1}, row);
  add_row(c, plain, {1}, std::vector<float>(1000, -kInfinity));
  SamplingOptions forbids = plain;  // the only one that is possible
  forbids.logit_bias = {{44, -kInfinity}};
  std::vector<float> one(1000, -kInfinity);
  one[44] = 2.0F;
  add_row(c, forbids, {1}, one);
  SamplingOptions overflows = plain;
  overflows.repeat_penalty = 0.01F;
  std::vector<float> large(1000, 0.0F);
  large[9] = 3e37F;
  add_row(c, overflows, {9}, large);
  overflows.temperature = 0.0F;  // the best one gets worse
  overflows.repeat_penalty = 100.0F;
  large[9] = 1.0F;
  large[10] = 0.5F;
  add_row(c, overflows, {9}, large);
  check(c, "errors");
}

TEST_F(CudaDraw, MoreThanThereIsRoomForIsAnError) {
  std::vector<float> x(2000);
  SamplingOptions options;
  options.top_k = 513;
  const kernels::RowDraw row{.options = &options};
  backend_->draw({.x = kernels::ConstRows(x.data(), 1, 2000, 2000), .rows = std::span(&row, 1)});
  EXPECT_FALSE(backend_->finish());
}

TEST_F(CudaDraw, ABatchGivesTokensWhenAllItsChunksAreDrawn) {
  const auto tiny = testing::open_tiny(
      std::string(tests::kSourceDir) + "/tests/data/archs/llama-dense.gguf", *backend_);
  ASSERT_TRUE(tiny) << tiny.error().message;
  const auto context = tiny->model->new_context(testing::float_cache(2));
  ASSERT_TRUE(context) << context.error().message;
  SamplingOptions options;
  options.seed = 7;
  options.top_k = 9;
  const std::vector<TokenId> text = {3, 17, 64};
  std::vector<TokenId> tokens;
  for (const bool all : {false, true}) {
    auto chain = Chain::make(options, tiny->model->spec().n_vocab);
    ASSERT_TRUE(chain);
    const Needs needs = chain->needs(text);
    runtime::Batch batch;
    for (const bool first : {true, false}) {
      const auto sequence = (*context)->open_sequence();
      ASSERT_TRUE(sequence);
      batch.chunks.push_back({.sequence = *sequence, .tokens = text});
      batch.chunks.back().best = {needs.n_best, needs.named};
      if (all || first) batch.chunks.back().draw = row_of(*chain, needs);
    }
    const auto logits = (*context)->forward(batch);
    ASSERT_TRUE(logits) << logits.error().message;
    for (const auto& chunk : batch.chunks) (*context)->close_sequence(chunk.sequence);
    ASSERT_EQ(logits->drawn, all);
    sampling::Workspace memory(tiny->model->spec().n_vocab);
    for (int64_t row = 0; row < 2; ++row) {
      Chain copy = *chain;
      const auto token = all ? copy.take(logits->row_ids(row)[0], logits->row(row)[0])
                             : copy.next(logits->row_ids(row), logits->row(row), text, memory);
      ASSERT_TRUE(token);
      tokens.push_back(*token);
    }
  }
  for (const TokenId token : tokens) EXPECT_EQ(token, tokens[0]);
}

}  // namespace
}  // namespace llmrun
