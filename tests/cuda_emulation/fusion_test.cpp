// Launches that do the work of several: as many as there should be, and the same bits as apart.
#include <gtest/gtest.h>

#include <array>

#include "cuda_emulation/block.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

constexpr int64_t kWidth = 256;
constexpr int64_t kHidden = 320;

class CudaFusion : public ::testing::Test {
 protected:
  void SetUp() override {
    auto backend = make_backend("cuda", {});
    ASSERT_TRUE(backend) << backend.error().message;
    backend_ = std::move(*backend);
    ASSERT_TRUE(backend_->reserve(20, kHidden));
    // Activations leave quantised rows once such weights have been seen.
    multiply({&down_}, hidden_, {&x_});
  }

  static size_t launches() { return cuda_emulation::launch_count(); }
  [[nodiscard]] Rows rows_of(std::vector<float>& v, int64_t width) const {
    return rows(v, static_cast<int64_t>(v.size()) / width, width);
  }

  void norm(std::vector<float>& x, std::vector<float>& y) {
    NormParams params;
    params.x = rows_of(x, kWidth);
    params.y = rows_of(y, kWidth);
    params.group = kWidth;
    params.weight = factors_.data();
    params.weight_size = kWidth;
    backend_->ops().norm(params);
  }
  void multiply(const std::vector<const PackedWeight*>& weights, std::vector<float>& x,
                const std::vector<std::vector<float>*>& y, bool add = false) {
    std::vector<MatmulOutput> outputs;
    for (size_t i = 0; i < weights.size(); ++i) {
      MatmulOutput output;
      output.weight = weights[i]->weight;
      output.y = y[i]->data();
      output.y_stride = weights[i]->weight.n_out;
      output.accumulate = add;
      outputs.push_back(output);
    }
    MatmulParams params;
    params.x = rows_of(x, weights[0]->weight.n_in);
    params.outputs = outputs;
    backend_->ops().matmul(params);
  }
  [[nodiscard]] GatedActivationParams activation(std::vector<float>& gate,
                                                 std::vector<float>& up) const {
    GatedActivationParams params;
    params.gate = rows_of(gate, kHidden);
    params.up = rows_of(up, kHidden);
    params.y = rows_of(up, kHidden);
    return params;
  }
  // An op between two that would be one; it changes nothing.
  void pause() {
    ScaleParams params;
    params.x = rows_of(other_, kWidth);
    backend_->ops().scale(params);
  }

  Random random_{1};
  std::unique_ptr<Backend> backend_;
  std::vector<float> factors_ = random_.values(kWidth);
  std::vector<float> other_ = random_.values(kWidth);
  std::vector<float> x_ = random_.values(3 * kWidth);
  std::vector<float> hidden_ = random_.values(3 * kHidden);
  PackedWeight q_{TensorType::Q4_K, 96, kWidth, 1, random_};
  PackedWeight k_{TensorType::Q4_K, 33, kWidth, 1, random_};
  PackedWeight v_{TensorType::Q6_K, 33, kWidth, 1, random_};
  PackedWeight half_{TensorType::F16, 33, kWidth, 1, random_};
  PackedWeight gate_{TensorType::Q4_K, kHidden, kWidth, 1, random_};
  PackedWeight up_{TensorType::Q4_K, kHidden, kWidth, 1, random_};
  PackedWeight down_{TensorType::Q8_0, kWidth, kHidden, 1, random_};
};

TEST_F(CudaFusion, NormsAndActivationsLeaveQuantisedRows) {
  for (const int64_t n : {1, 20}) {
    const auto run = [&](bool apart) {
      std::vector<float> x = Random(2).values(n * kWidth);
      std::vector<float> normed(x.size());
      std::vector<float> gate(static_cast<size_t>(n * kHidden)), up(gate.size());
      norm(x, normed);
      if (apart) pause();
      multiply({&gate_, &up_}, normed, {&gate, &up});
      backend_->ops().gated_activation(activation(gate, up));
      if (apart) pause();
      multiply({&down_}, up, {&x}, true);
      return x;
    };
    const size_t before = launches();
    const auto together = run(false);
    const size_t middle = launches();
    const auto apart = run(true);
    EXPECT_TRUE(same_bits(together, apart)) << n;
    EXPECT_EQ(middle - before, 4U) << "norm, gate and up, activation, down";
    EXPECT_EQ(launches() - middle, 8U) << "two pauses, and two of rows to int8";
  }
}

TEST_F(CudaFusion, OtherRowsAreNotTakenForThem) {
  std::vector<float> x = Random(2).values(4 * kWidth);
  std::vector<float> first(2 * kWidth), want(4 * 33), got(want.size());
  multiply({&k_}, x, {&want});
  std::vector<float> half(x.begin(), x.begin() + 2 * kWidth);
  norm(half, first);  // another place
  multiply({&k_}, x, {&got});
  EXPECT_TRUE(same_bits(got, want));
  // The same place, but less of it.
  NormParams params;
  params.x = rows(half, 2, kWidth);
  std::vector<float> y = x;
  params.y = rows(y, 2, kWidth);
  params.group = kWidth;
  backend_->ops().norm(params);
  multiply({&k_}, y, {&got});
  pause();
  std::vector<float> copy = y;
  multiply({&k_}, copy, {&want});
  EXPECT_TRUE(same_bits(got, want));
}

TEST_F(CudaFusion, WeightsOfOneTypeAreOneLaunch) {
  for (const int64_t n : {2, 20}) {
    std::vector<float> x = Random(3).values(n * kWidth);
    const auto run = [&](const std::vector<const PackedWeight*>& weights, size_t n_launches) {
      std::vector<std::vector<float>> together, alone;
      for (const PackedWeight* weight : weights) {
        together.emplace_back(static_cast<size_t>(n * weight->weight.n_out));
      }
      alone = together;
      std::vector<std::vector<float>*> to;
      for (auto& y : together) to.push_back(&y);
      const size_t before = launches();
      multiply(weights, x, to);
      EXPECT_EQ(launches() - before, n_launches);
      for (size_t i = 0; i < weights.size(); ++i) {
        multiply({weights[i]}, x, {&alone[i]});
        EXPECT_TRUE(same_bits(together[i], alone[i])) << i << " of " << n << " rows";
      }
    };
    run({&q_, &k_}, 2);        // and one of rows to int8
    run({&q_, &k_, &v_}, 3);   // two types
    run({&q_, &v_, &k_}, 3);   // whatever their order
    run({&half_, &half_}, 1);  // nothing to quantise
    run({&gate_, &k_, &up_, &q_}, 2);
  }
}

// Two products that add to the same rows come one after the other.
TEST_F(CudaFusion, SumsAreNotMadeAtOnce) {
  std::vector<float> x = Random(4).values(2 * kWidth);
  std::vector<float> sum(2 * 33, 1.0F), want(sum);
  const size_t before = launches();
  multiply({&k_, &k_}, x, {&sum, &sum}, true);
  EXPECT_EQ(launches() - before, 3U);
  multiply({&k_}, x, {&want}, true);
  multiply({&k_}, x, {&want}, true);
  EXPECT_TRUE(same_bits(sum, want));
}

// The next token of two answers, one layer of it.
class CudaLayer : public CudaFusion {
 protected:
  static constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 64, kAnswers = 2;

  // With an op between attention and its output that changes nothing, or without.
  std::vector<float> run(const PackedWeight& value, bool apart) {
    std::vector<float> x = Random(5).values(kAnswers * kWidth), normed(x);
    std::vector<float> q(kAnswers * kHeads * kDim), heads(q);
    std::vector<float> k(kAnswers * kKvHeads * kDim), v(k);
    std::vector<float> gate(kAnswers * kHidden), up(gate);
    backend_->begin_step();
    norm(x, normed);
    multiply({&query_, &key_, &value}, normed, {&q, &k, &v});
    rotate(q, kHeads);
    rotate(k, kKvHeads);
    attend(q, k, v, heads);
    if (apart) pause();
    multiply({&out_}, heads, {&x}, true);
    norm(x, normed);
    const std::array<MatmulOutput, 2> inner = {
        {{.weight = gate_.weight, .y = gate.data(), .y_stride = kHidden},
         {.weight = up_.weight, .y = up.data(), .y_stride = kHidden}}};
    backend_->ops().feed_forward(
        {.x = rows_of(normed, kWidth),
         .inner = inner,
         .activation = activation(gate, up),
         .down = {.weight = down_.weight, .y = x.data(), .y_stride = kWidth, .accumulate = true}});
    EXPECT_TRUE(backend_->finish());
    return x;
  }

  void rotate(std::vector<float>& x, int64_t n_heads) {
    RopeParams rope;
    rope.x = rows_of(x, n_heads * kDim);
    rope.n_heads = n_heads;
    rope.head_stride = kDim;
    rope.n_pairs = kDim / 2;
    rope.positions = positions_;
    rope.frequencies = frequencies_.data();
    backend_->ops().rope(rope);
  }
  void attend(std::vector<float>& q, std::vector<float>& k, std::vector<float>& v,
              std::vector<float>& heads) {
    const auto one_of = [&](std::vector<float>& all, int64_t i) {
      const auto width = static_cast<int64_t>(all.size()) / kAnswers;
      return Rows{all.data() + i * width, 1, width, width};
    };
    std::vector<KvWriteParams> writes(kAnswers);
    std::vector<AttentionParams> attentions(kAnswers);
    for (int64_t i = 0; i < kAnswers; ++i) {
      const PageTable pages{std::span(pages_).subspan(static_cast<size_t>(2 * i), 1),
                            std::span(pages_).subspan(static_cast<size_t>(2 * i + 1), 1)};
      KvWriteParams& write = writes[static_cast<size_t>(i)];
      write.k = one_of(k, i);
      write.v = one_of(v, i);
      write.n_kv_heads = kKvHeads;
      write.k_dim = write.v_dim = kDim;
      write.pages = pages;
      AttentionParams& attention = attentions[static_cast<size_t>(i)];
      attention.q = one_of(q, i);
      attention.y = one_of(heads, i);
      attention.n_heads = kHeads;
      attention.n_kv_heads = kKvHeads;
      attention.k_dim = attention.v_dim = kDim;
      attention.pages = pages;
      attention.n_keys = 1;
    }
    backend_->ops().kv_write(writes);
    backend_->ops().attention(attentions);
  }

  PackedWeight query_{TensorType::Q4_K, kHeads* kDim, kWidth, 1, random_};
  PackedWeight key_{TensorType::Q4_K, kKvHeads* kDim, kWidth, 1, random_};
  PackedWeight other_value_{TensorType::Q6_K, kKvHeads* kDim, kWidth, 1, random_};
  PackedWeight out_{TensorType::Q4_K, kWidth, kHeads* kDim, 1, random_};
  std::vector<int32_t> positions_ = std::vector<int32_t>(kAnswers, 0);
  std::vector<float> frequencies_ = std::vector<float>(kDim / 2, 0.5F);
  std::vector<std::byte> page_memory_ =
      std::vector<std::byte>(2 * kAnswers * 2 * kKvHeads * kPageTokens * kDim);
  std::vector<std::byte*> pages_ = [this] {
    std::vector<std::byte*> pages;
    for (size_t i = 0; i < 2 * kAnswers; ++i) {
      pages.push_back(page_memory_.data() + i * page_memory_.size() / (2 * kAnswers));
    }
    return pages;
  }();
};

TEST_F(CudaLayer, OfADenseModelTakesNineLaunches) {
  for (const PackedWeight* value : {&key_, &other_value_}) {
    const size_t before = launches();
    const auto together = run(*value, false);
    // Norm, q and k and v, ropes and the cache, attention and its merge, output; norm, gate and up
    // and the activation, down.
    const size_t n_types = value == &key_ ? 1 : 2;
    EXPECT_EQ(launches() - before, 8 + n_types);
    const size_t middle = launches();
    EXPECT_TRUE(same_bits(together, run(*value, true)));
    EXPECT_EQ(launches() - middle, 8 + n_types + 2) << "a pause, and rows to int8";
  }
}

}  // namespace
}  // namespace llmrun::kernels
