// The feed-forward as one op: the bits of its products and its activation one after the other, for
// every type, with any number of tokens and threads.
#include <array>

#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

using FeedForward = OnEachTarget;

// Weights, biases and input of a feed-forward; both ways of computing it.
class Case {
 public:
  Case(TensorType inner, TensorType last, int64_t n_in, int64_t n_ff, int64_t n_out, bool is_gated,
       Random& random)
      : gate_(inner, n_ff, n_in, 1, random),
        up_(inner, n_ff, n_in, 1, random),
        down_(last, n_out, n_ff, 1, random),
        biases_(random.values(n_ff)),
        is_gated_(is_gated) {}

  // `together`: as one op; else as three.
  std::vector<float> compute(Ops& ops, const std::vector<float>& x, bool together) const {
    const int64_t n_in = gate_.weight.n_in;
    const int64_t n_ff = down_.weight.n_in;
    const int64_t n_out = down_.weight.n_out;
    const int64_t n = static_cast<int64_t>(x.size()) / n_in;
    std::vector<float> gate(static_cast<size_t>(n * n_ff));
    std::vector<float> up = gate;
    std::vector<float> y(static_cast<size_t>(n * n_out), 0.25F);
    std::array<MatmulOutput, 2> inner;
    inner[0] = {.weight = gate_.weight, .bias = biases_.data(), .y = gate.data(), .y_stride = n_ff};
    inner[1] = {.weight = up_.weight, .y = up.data(), .y_stride = n_ff};
    FeedForwardParams p;
    p.x = const_rows(x, n, n_in);
    p.inner = std::span<const MatmulOutput>(inner).first(is_gated_ ? 2 : 1);
    p.activation.activation = is_gated_ ? Activation::kSilu : Activation::kGelu;
    p.activation.limit = is_gated_ ? 3.0F : 0.0F;
    p.activation.gate = const_rows(gate, n, n_ff);
    if (is_gated_) p.activation.up = const_rows(up, n, n_ff);
    p.activation.y = rows(is_gated_ ? up : gate, n, n_ff);
    p.down = {.weight = down_.weight, .y = y.data(), .y_stride = n_out, .accumulate = true};
    if (together) {
      ops.feed_forward(p);
    } else {
      ops.matmul({.x = p.x, .outputs = p.inner});
      ops.gated_activation(p.activation);
      ops.matmul({.x = p.activation.y, .outputs = {&p.down, 1}});
    }
    return y;
  }

 private:
  PackedWeight gate_, up_, down_;
  std::vector<float> biases_;
  bool is_gated_;
};

TEST_P(FeedForward, HasTheBitsOfItsPartsForEveryType) {
  Random random(21);
  const auto one = backend(1);
  const auto three = backend(3);
  for (const TensorType type : all_types()) {
    const int64_t n_ff = quant::traits(type).block_size > 32 ? 512 : 352;
    const Case of_type(type, type, 256, n_ff, 37, true, random);
    for (const int64_t n : {1, 3, 21}) {
      SCOPED_TRACE(testing::Message() << quant::traits(type).name << ", " << n << " tokens");
      const std::vector<float> x = random.values(n * 256);
      const std::vector<float> want = of_type.compute(one->ops(), x, false);
      EXPECT_TRUE(same_bits(want, of_type.compute(one->ops(), x, true)));
      EXPECT_TRUE(same_bits(want, of_type.compute(three->ops(), x, true)));
    }
  }
}

// Types that need differently quantised rows, floats before blocks and blocks before floats.
TEST_P(FeedForward, HasTheBitsOfItsPartsForMixedTypesAndManyTokens) {
  Random random(22);
  const auto two = backend(2);
  const std::array<std::array<TensorType, 2>, 5> types = {{{TensorType::Q4_K, TensorType::Q8_0},
                                                           {TensorType::Q5_0, TensorType::Q6_K},
                                                           {TensorType::F16, TensorType::Q4_K},
                                                           {TensorType::Q4_K, TensorType::BF16},
                                                           {TensorType::F32, TensorType::F32}}};
  for (const auto& [inner, last] : types) {
    for (const bool is_gated : {true, false}) {
      const Case mixed(inner, last, 256, 512, 50, is_gated, random);
      for (const int64_t n : {1, 8, 9, 300, 513}) {
        SCOPED_TRACE(testing::Message() << quant::traits(inner).name << ", "
                                        << quant::traits(last).name << ", " << n << " tokens");
        const std::vector<float> x = random.values(n * 256);
        EXPECT_TRUE(
            same_bits(mixed.compute(two->ops(), x, false), mixed.compute(two->ops(), x, true)));
      }
    }
  }
}

LLMRUN_ON_EACH_TARGET(FeedForward);

}  // namespace
}  // namespace llmrun::kernels
