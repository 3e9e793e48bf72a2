// Queries and keys rotated, and keys and values written, in one launch: the same bits as apart.
#include <gtest/gtest.h>

#include "cuda_emulation/block.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

struct Shape {
  int64_t n_heads = 6, n_kv_heads = 2, dim = 24;
  int64_t first_dim = 0, n_pairs = 12;
  bool split_halves = true;
  bool latent = false;
  CacheType type = CacheType::kF16;
};

// Sequences of some tokens each, whose rows lie one after the other.
class CudaRotation : public ::testing::Test {
 protected:
  // What a run leaves.
  struct Results {
    std::vector<float> q, k;
    std::vector<std::byte> pages;
    size_t n_launches = 0;
  };

  void SetUp() override {
    auto backend = make_backend("cuda", {});
    ASSERT_TRUE(backend) << backend.error().message;
    backend_ = std::move(*backend);
  }
  // An op between two that would be one; it changes nothing.
  void pause() {
    ScaleParams params;
    params.x = rows(other_, 1, 32);
    backend_->ops().scale(params);
  }
  // n_written: of how many sequences keys and values are written in the first call; the others come
  // in a second one.
  Results run(const Shape& shape, const std::vector<int64_t>& tokens, bool apart,
              size_t n_written = SIZE_MAX) {
    Random random(7);
    int64_t n = 0;
    std::vector<int32_t> positions;
    for (const int64_t count : tokens) {
      for (int64_t i = 0; i < count; ++i) positions.push_back(static_cast<int32_t>(kFirst + i));
      n += count;
    }
    const int64_t k_width = shape.n_kv_heads * shape.dim;
    Results results;
    results.q = random.values(n * shape.n_heads * shape.dim);
    results.k = random.values(n * k_width);
    const std::vector<float> v = random.values(n * k_width);
    std::vector<float> frequencies = random.values(shape.n_pairs);
    frequencies[1] = 0.0F;
    // Pages of every sequence, of keys and of values.
    const size_t tile = static_cast<size_t>(kPageTokens) * cache_row_bytes(shape.type, shape.dim);
    const size_t page = tile * static_cast<size_t>(shape.n_kv_heads);
    results.pages.resize(tokens.size() * 2 * kPages * page);
    std::vector<std::byte*> pages;
    for (size_t i = 0; i < tokens.size() * 2 * kPages; ++i) {
      pages.push_back(results.pages.data() + i * page);
    }
    std::vector<KvWriteParams> writes;
    int64_t row = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      KvWriteParams write;
      write.k = {results.k.data() + row * k_width, tokens[i], k_width, k_width};
      if (!shape.latent) write.v = {v.data() + row * k_width, tokens[i], k_width, k_width};
      write.n_kv_heads = shape.n_kv_heads;
      write.k_dim = write.v_dim = shape.dim;
      write.k_type = write.v_type = shape.type;
      write.pages = {std::span(pages).subspan(2 * kPages * i, kPages),
                     std::span(pages).subspan(2 * kPages * i + kPages, kPages)};
      write.first_position = kFirst;
      writes.push_back(write);
      row += tokens[i];
    }
    const auto rotate = [&](std::vector<float>& x, int64_t n_heads) {
      RopeParams rope;
      rope.x = rows(x, n, n_heads * shape.dim);
      rope.n_heads = n_heads;
      rope.head_stride = shape.dim;
      rope.first_dim = shape.first_dim;
      rope.n_pairs = shape.n_pairs;
      rope.split_halves = shape.split_halves;
      rope.positions = positions;
      rope.frequencies = frequencies.data();
      rope.magnitude = 1.25F;
      backend_->ops().rope(rope);
    };
    const size_t before = cuda_emulation::launch_count();
    backend_->begin_step();
    rotate(results.q, shape.n_heads);
    if (apart) pause();
    rotate(results.k, shape.n_kv_heads);
    if (apart) pause();
    n_written = std::min(n_written, writes.size());
    backend_->ops().kv_write(std::span(writes).first(n_written));
    if (n_written < writes.size()) backend_->ops().kv_write(std::span(writes).subspan(n_written));
    EXPECT_TRUE(backend_->finish());
    results.n_launches = cuda_emulation::launch_count() - before;
    return results;
  }
  void compare(const Shape& shape, const std::vector<int64_t>& tokens) {
    const Results together = run(shape, tokens, false);
    const Results apart = run(shape, tokens, true);
    EXPECT_EQ(together.n_launches, 1U);
    EXPECT_EQ(apart.n_launches, 5U) << "two pauses";
    EXPECT_TRUE(same_bits(together.q, apart.q));
    EXPECT_TRUE(same_bits(together.k, apart.k));
    EXPECT_TRUE(together.pages == apart.pages);
    EXPECT_NE(together.pages, std::vector<std::byte>(together.pages.size()));
  }

  static constexpr int64_t kFirst = 60;  // the tokens lie on two pages
  static constexpr size_t kPages = 3;
  std::unique_ptr<Backend> backend_;
  std::vector<float> other_ = std::vector<float>(32, 1.0F);
};

TEST_F(CudaRotation, OfAllCacheTypesIsOneLaunch) {
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kBf16,
                               CacheType::kFp8E4m3, CacheType::kInt8}) {
    Shape shape;
    shape.type = type;
    compare(shape, {1, 1});
    compare(shape, {9, 1, 70});  // a block takes all heads of a token
  }
}

TEST_F(CudaRotation, OfPartsOfHeadsIsOneLaunch) {
  Shape shape;
  shape.first_dim = 3;
  shape.n_pairs = 7;
  shape.split_halves = false;
  compare(shape, {2, 3});
  shape.n_kv_heads = 1;
  shape.latent = true;
  compare(shape, {2, 3});
  shape.dim = 150;  // more pairs than a warp has lanes
  shape.n_pairs = 70;
  shape.split_halves = true;
  compare(shape, {1, 66});
}

TEST_F(CudaRotation, IsNotJoinedByAWriteOfFewerRows) {
  const Shape shape;
  const Results parts = run(shape, {2, 3, 1}, false, 2);
  const Results apart = run(shape, {2, 3, 1}, true);
  EXPECT_EQ(parts.n_launches, 3U) << "both ropes, and two writes";
  EXPECT_TRUE(same_bits(parts.k, apart.k));
  EXPECT_TRUE(parts.pages == apart.pages);
}

// Rows that are rotated twice are rotated one after the other.
TEST_F(CudaRotation, OfTheSameRowsIsNotMadeAtOnce) {
  const std::vector<int32_t> positions = {3};
  const std::vector<float> frequencies = {0.5F, 0.25F};
  std::vector<float> x = Random(8).values(8), want = x;
  RopeParams rope;
  rope.n_heads = 2;
  rope.head_stride = 4;
  rope.n_pairs = 2;
  rope.positions = positions;
  rope.frequencies = frequencies.data();
  const auto rotate = [&](std::vector<float>& to, int64_t column) {
    rope.x = {to.data() + column, 1, 8 - column, 8};
    backend_->ops().rope(rope);
  };
  const size_t before = cuda_emulation::launch_count();
  backend_->begin_step();
  rotate(x, 0);
  rotate(x, 0);
  EXPECT_TRUE(backend_->finish());
  EXPECT_EQ(cuda_emulation::launch_count() - before, 2U);
  rotate(want, 0);  // outside of a step nothing is joined
  rotate(want, 0);
  EXPECT_TRUE(same_bits(x, want));
}

}  // namespace
}  // namespace llmrun::kernels
