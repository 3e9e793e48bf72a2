// Attention and the cache on every target: near the reference for every kind of mask and cache,
// and the same bits however a prompt is cut, whatever the threads.
#include <algorithm>
#include <cmath>

#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

using Attention = OnEachTarget;

struct Shape {
  int64_t n_heads = 6, n_kv_heads = 2, k_dim = 32, v_dim = 32;
  CacheType k_type = CacheType::kF16, v_type = CacheType::kF16;
  bool v_in_k = false;
  bool causal = true;
  int64_t window = 0, chunk = 0;
  float soft_cap = 0.0F;
  bool alibi = false, sinks = false;
};

// One sequence: q, k and v of n tokens, and pages for its cache.
class Sequence {
 public:
  Sequence(const Shape& shape, int64_t n, Random& random)
      : shape_(shape),
        n_(n),
        q_(random.values(n * shape.n_heads * shape.k_dim)),
        k_(random.values(n * shape.n_kv_heads * shape.k_dim)),
        v_(random.values(n * shape.n_kv_heads * shape.v_dim)),
        slopes_(Random(6).values(shape.n_heads)),
        sinks_(Random(7).values(shape.n_heads)) {
    const int64_t n_pages = (n + kPageTokens - 1) / kPageTokens;
    const auto rows = static_cast<size_t>(shape.n_kv_heads * kPageTokens);
    for (int64_t i = 0; i < n_pages; ++i) {
      // Bytes that are NaN in every type: no kernel may read what was not written.
      memory_.emplace_back(rows * cache_row_bytes(shape.k_type, shape.k_dim), std::byte{0xff});
      memory_.emplace_back(rows * cache_row_bytes(shape.v_type, shape.v_dim), std::byte{0xff});
    }
    for (size_t i = 0; i < memory_.size(); i += 2) {
      pages_k_.push_back(memory_[i].data());
      pages_v_.push_back(memory_[i + 1].data());
    }
  }

  // Writes and attends in pieces of `piece` tokens, from token `alone` on one by one.
  std::vector<float> run(Ops& ops, int64_t piece, int64_t alone = INT64_MAX) {
    std::vector<float> y = output();
    for (int64_t first = 0; first < n_;) {
      const int64_t n = first >= alone ? 1 : std::min({piece, n_ - first, alone - first});
      ops.kv_write(write_params(first, n));
      ops.attention(attention_params(first, n, y));
      first += n;
    }
    return y;
  }

  [[nodiscard]] int64_t size() const { return n_; }
  [[nodiscard]] std::vector<float> output() const {
    return std::vector<float>(static_cast<size_t>(n_ * shape_.n_heads * shape_.v_dim), NAN);
  }
  [[nodiscard]] KvWriteParams write_params(int64_t first, int64_t n) const {
    KvWriteParams w;
    w.k = at(k_, shape_.n_kv_heads * shape_.k_dim, first, n);
    if (!shape_.v_in_k) w.v = at(v_, shape_.n_kv_heads * shape_.v_dim, first, n);
    w.n_kv_heads = shape_.n_kv_heads;
    w.k_dim = shape_.k_dim;
    w.v_dim = shape_.v_dim;
    w.k_type = shape_.k_type;
    w.v_type = shape_.v_type;
    w.pages = {pages_k_, pages_v_};
    w.first_position = first;
    return w;
  }
  [[nodiscard]] AttentionParams attention_params(int64_t first, int64_t n,
                                                 std::vector<float>& y) const {
    AttentionParams p;
    p.q = at(q_, shape_.n_heads * shape_.k_dim, first, n);
    p.y = Rows{y.data() + first * shape_.n_heads * shape_.v_dim, n, shape_.n_heads * shape_.v_dim,
               shape_.n_heads * shape_.v_dim};
    p.n_heads = shape_.n_heads;
    p.n_kv_heads = shape_.n_kv_heads;
    p.k_dim = shape_.k_dim;
    p.v_dim = shape_.v_dim;
    p.k_type = shape_.k_type;
    p.v_type = shape_.v_type;
    p.v_in_k = shape_.v_in_k;
    p.pages = {pages_k_, pages_v_};
    p.first_position = first;
    p.n_keys = first + n;
    p.causal = shape_.causal;
    p.window = shape_.window;
    p.chunk = shape_.chunk;
    p.scale = 1.0F / std::sqrt(static_cast<float>(shape_.k_dim));
    p.soft_cap = shape_.soft_cap;
    if (shape_.alibi) p.alibi_slopes = slopes_.data();
    if (shape_.sinks) p.sinks = sinks_.data();
    return p;
  }

 private:
  static ConstRows at(const std::vector<float>& v, int64_t width, int64_t first, int64_t n) {
    return ConstRows(v.data() + first * width, n, width, width);
  }

  Shape shape_;
  int64_t n_;
  std::vector<float> q_, k_, v_;
  std::vector<float> slopes_, sinks_;  // of the layer: those of a call share them
  std::vector<std::vector<std::byte>> memory_;
  std::vector<std::byte*> pages_k_, pages_v_;
};

// Within 2e-5 of the result's scale (scores of outliers are large, and their exponent with them).
void expect_near(const std::vector<float>& got, const std::vector<float>& want) {
  double scale = 1;
  for (const float v : want) scale = std::max(scale, std::abs(static_cast<double>(v)));
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5 * scale) << i;
}

std::vector<Shape> shapes() {
  std::vector<Shape> list(1);
  const auto add = [&](auto change) {
    Shape shape;
    change(shape);
    list.push_back(shape);
  };
  for (const CacheType type :
       {CacheType::kF32, CacheType::kBf16, CacheType::kFp8E4m3, CacheType::kInt8}) {
    add([&](Shape& s) { s.k_type = s.v_type = type; });
  }
  add([](Shape& s) { s.k_type = CacheType::kInt8; });
  add([](Shape& s) { s.n_heads = 5, s.n_kv_heads = 1, s.k_dim = 20, s.v_dim = 12; });
  add([](Shape& s) { s.n_kv_heads = 6, s.k_dim = 64, s.v_dim = 48; });
  add([](Shape& s) {
    s.n_heads = 40, s.n_kv_heads = 1, s.k_dim = 72, s.v_dim = 64, s.v_in_k = true;
  });
  add([](Shape& s) { s.causal = false; });
  add([](Shape& s) { s.causal = false, s.window = 9; });  // 4 keys to either side
  add([](Shape& s) { s.causal = false, s.window = 150; });
  add([](Shape& s) { s.causal = false, s.alibi = true; });
  add([](Shape& s) { s.window = 1; });
  add([](Shape& s) { s.window = 70, s.sinks = true; });
  add([](Shape& s) { s.chunk = 50; });
  add([](Shape& s) { s.soft_cap = 2.0F; });
  add([](Shape& s) { s.alibi = true, s.sinks = true; });
  return list;
}

TEST_P(Attention, AgreesWithTheReference) {
  Random random(1);
  const auto cpu = backend(2);
  const auto reference = make_reference_backend();
  int index = 0;
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << "shape " << index++);
    for (const int64_t n : {1, 5, 64, 150}) {
      Sequence sequence(shape, n, random);
      const auto want = sequence.run(reference->ops(), n);
      const auto got = sequence.run(cpu->ops(), n);
      expect_near(got, want);
    }
  }
}

TEST_P(Attention, IsTheSameForAnyChunkingAndThreads) {
  Random random(2);
  const auto one = backend(1);
  const auto two = backend(2);
  const auto three = backend(3);
  int index = 0;
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << "shape " << index++);
    Sequence sequence(shape, 203, random);
    const auto whole = sequence.run(one->ops(), 203);
    EXPECT_TRUE(same_bits(whole, sequence.run(three->ops(), 203))) << "three threads";
    if (!shape.causal) continue;  // there a chunk does not see what comes after it
    for (const int64_t piece : {1, 2, 7, 64, 100}) {
      EXPECT_TRUE(same_bits(whole, sequence.run(two->ops(), piece))) << "pieces of " << piece;
    }
  }
}

// Beyond the segments (of 256 keys and more) whose partial results are merged, by one task or, for
// single tokens, by many.
TEST_P(Attention, LongContexts) {
  Random random(3);
  Shape shape;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.k_dim = shape.v_dim = 16;
  for (const int64_t window : {0, 1300}) {
    shape.window = window;
    Sequence sequence(shape, 2500, random);
    const auto got = sequence.run(backend(1)->ops(), 2500);
    EXPECT_TRUE(same_bits(got, sequence.run(backend(3)->ops(), 700)));
    EXPECT_TRUE(same_bits(got, sequence.run(backend(2)->ops(), 1030, 2300)));
    const auto want = sequence.run(make_reference_backend()->ops(), 2500);
    expect_near(got, want);
  }
  if (GetParam() == "cuda") return;  // minutes when a card is emulated
  // So long that segments double, for a query in the middle of a prompt.
  shape.window = 0;
  Sequence sequence(shape, 8300, random);
  const auto got = sequence.run(backend(2)->ops(), 8300);
  EXPECT_TRUE(same_bits(got, sequence.run(backend(3)->ops(), 8150, 8150)));
}

// Prompts and single tokens of sequences of all lengths in one call.
TEST_P(Attention, SequencesTogetherAreAsAlone) {
  Random random(5);
  const auto cpu = backend(3);
  for (const Shape& shape : shapes()) {
    if (!shape.causal) continue;
    std::vector<Sequence> sequences;
    for (const int64_t n : {1, 700, 33, 2, 450}) sequences.emplace_back(shape, n, random);
    std::vector<std::vector<float>> together;
    std::vector<KvWriteParams> writes;
    std::vector<AttentionParams> attentions;
    for (Sequence& sequence : sequences) together.push_back(sequence.run(cpu->ops(), 100));
    const auto alone = together;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t n = i % 2 == 0 ? 1 : std::min<int64_t>(sequences[i].size(), 40);
      const int64_t first = sequences[i].size() - n;
      writes.push_back(sequences[i].write_params(first, n));
      attentions.push_back(sequences[i].attention_params(first, n, together[i]));
      const auto written = static_cast<std::ptrdiff_t>(first * shape.n_heads * shape.v_dim);
      std::fill(together[i].begin() + written, together[i].end(), NAN);
    }
    cpu->ops().kv_write(writes);
    cpu->ops().attention(attentions);
    for (size_t i = 0; i < sequences.size(); ++i)
      EXPECT_TRUE(same_bits(together[i], alone[i])) << i;
  }
}

TEST_P(Attention, WritesTheSameBytesAsTheReference) {
  Random random(4);
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kBf16,
                               CacheType::kFp8E4m3, CacheType::kInt8}) {
    constexpr int64_t kDim = 35;
    std::vector<float> k = random.values(9 * 2 * kDim);
    k[3] = 1e6F;
    k[40] = 1e-9F;
    const auto write = [&](Ops& ops) {
      std::vector<std::byte> page(2 * kPageTokens * cache_row_bytes(type, kDim));
      std::byte* pages[] = {page.data()};
      KvWriteParams p;
      p.k = const_rows(k, 9, 2 * kDim);
      p.n_kv_heads = 2;
      p.k_dim = kDim;
      p.k_type = type;
      p.pages.k_pages = pages;
      p.first_position = 31;
      ops.kv_write(p);
      return page;
    };
    EXPECT_EQ(write(backend(2)->ops()), write(make_reference_backend()->ops()))
        << static_cast<int>(type);
  }
}

LLMRUN_ON_EACH_TARGET(Attention);

}  // namespace
}  // namespace llmrun::kernels
