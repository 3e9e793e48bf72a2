// The feed-forward of few tokens: gate, up and the activation are one launch where they can be,
// with the bits of the three ops one after the other.
#include <gtest/gtest.h>

#include <array>

#include "cuda_emulation/block.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

constexpr int64_t kHidden = 160;

class CudaFeedForward : public ::testing::Test {
 protected:
  void SetUp() override { open(16, 1024); }

  void open(int64_t max_tokens, int64_t max_width) {
    auto backend = make_backend("cuda", {});
    ASSERT_TRUE(backend) << backend.error().message;
    backend_ = std::move(*backend);
    ASSERT_TRUE(backend_->reserve(max_tokens, max_width));
  }

  struct Weights {
    const PackedWeight &gate, &up, &down;
  };
  // Where the activation writes.
  enum class Place : uint8_t { kGate, kUp, kElsewhere };
  struct Result {
    std::vector<float> y;
    size_t launches = 0;
  };
  // Of n tokens, as one op or as its three parts, in a step.
  Result run(const Weights& w, int64_t n, bool together, GatedActivationParams activation = {},
             Place place = Place::kUp) {
    const int64_t width = w.gate.weight.n_out;
    const int64_t n_out = w.down.weight.n_out;
    const std::vector<float> x = Random(3).values(n * w.gate.weight.n_in);
    std::vector<float> gate(static_cast<size_t>(n * width), 1.0F), up(gate), elsewhere(gate);
    std::array<MatmulOutput, 2> inner = {
        {{.weight = w.gate.weight, .bias = biases_.data(), .y = gate.data(), .y_stride = width},
         {.weight = w.up.weight, .scale = &scale_, .y = up.data(), .y_stride = width}}};
    activation.gate = const_rows(gate, n, width);
    activation.up = const_rows(up, n, width);
    activation.y = rows(place == Place::kGate ? gate
                        : place == Place::kUp ? up
                                              : elsewhere,
                        n, width);
    Result result;
    result.y.assign(static_cast<size_t>(n * n_out), 1.0F);
    const MatmulOutput down = {
        .weight = w.down.weight, .y = result.y.data(), .y_stride = n_out, .accumulate = true};
    const size_t before = cuda_emulation::launch_count();
    Ops& ops = backend_->ops();
    backend_->begin_step();
    const FeedForwardParams params = {.x = const_rows(x, n, w.gate.weight.n_in),
                                      .inner = inner,
                                      .activation = activation,
                                      .down = down};
    together ? ops.feed_forward(params) : ops.Ops::feed_forward(params);
    EXPECT_TRUE(backend_->finish());
    result.launches = cuda_emulation::launch_count() - before;
    return result;
  }
  // The same bits both ways; `launches` of the op, or `apart` of its parts.
  void expect_launches(size_t launches, size_t apart, const Weights& w, int64_t n,
                       const GatedActivationParams& activation = {}, Place place = Place::kUp) {
    const Result together = run(w, n, true, activation, place);
    const Result parts = run(w, n, false, activation, place);
    EXPECT_TRUE(same_bits(together.y, parts.y));
    EXPECT_EQ(together.launches, launches);
    EXPECT_EQ(parts.launches, apart);
  }

  Random random_{1};
  std::unique_ptr<Backend> backend_;
  float scale_ = 0.75F;
  std::vector<float> biases_ = random_.values(4096);
  PackedWeight gate_{TensorType::Q4_K, kHidden, 256, 1, random_};
  PackedWeight up_{TensorType::Q4_K, kHidden, 256, 1, random_};
  PackedWeight other_{TensorType::Q6_K, kHidden, 256, 1, random_};
  PackedWeight down_{TensorType::Q8_0, 96, kHidden, 1, random_};
};

// Of every type, of widths that fill no block, into weights that read int8 and into others.
TEST_F(CudaFeedForward, JoinsFewTokensForEveryType) {
  const PackedWeight odd_down(TensorType::F16, 33, 37, 1, random_);
  for (const TensorType type : all_types()) {
    const auto& traits = quant::traits(type);
    const int64_t block = traits.block_size;
    const int64_t n_in = traits.is_float ? 523 : block < 256 ? 3 * block : block;
    for (const bool is_odd : {false, true}) {
      const PackedWeight& down = is_odd ? odd_down : down_;
      const int64_t width = down.weight.n_in;
      const PackedWeight gate(type, width, n_in, 1, random_), up(type, width, n_in, 1, random_);
      for (const int64_t n : {1, 2, 5, 8}) {
        SCOPED_TRACE(testing::Message() << traits.name << ", " << n << " rows of " << width);
        GatedActivationParams activation;
        activation.activation = n % 2 == 0 ? Activation::kGelu : Activation::kSilu;
        const size_t to_int8 = traits.is_float ? 0 : 1;
        expect_launches(to_int8 + 2, to_int8 + 3, {gate, up, down}, n, activation);
      }
    }
  }
}

// Wide enough for the pieces of 32 outputs that weights of 16 bits are then cut into.
TEST_F(CudaFeedForward, JoinsManyOutputs) {
  const PackedWeight down(TensorType::BF16, 17, 2085, 1, random_);
  for (const TensorType type : {TensorType::F16, TensorType::BF16, TensorType::Q4_K}) {
    SCOPED_TRACE(quant::traits(type).name);
    const PackedWeight gate(type, 2085, 256, 1, random_), up(type, 2085, 256, 1, random_);
    const size_t to_int8 = quant::traits(type).is_float ? 0 : 1;
    expect_launches(to_int8 + 2, to_int8 + 3, {gate, up, down}, 3);
  }
}

TEST_F(CudaFeedForward, JoinsEveryFormOfActivation) {
  std::array<GatedActivationParams, 3> forms;
  forms[0].activation = Activation::kRelu2;
  forms[1].limit = 0.5F;
  forms[2].limit = 7.0F;
  forms[2].swiglu_oai = true;
  for (const GatedActivationParams& form : forms) {
    for (const Place place : {Place::kGate, Place::kUp, Place::kElsewhere}) {
      expect_launches(3, 4, {gate_, up_, down_}, 2, form, place);
    }
  }
}

TEST_F(CudaFeedForward, LeavesOthersApart) {
  expect_launches(5, 5, {gate_, other_, down_}, 2);  // two types
  expect_launches(5, 5, {other_, gate_, down_}, 8);
  expect_launches(4, 4, {gate_, up_, down_}, 9);  // more tokens
  expect_launches(4, 4, {gate_, up_, down_}, 35);
  expect_launches(0, 0, {gate_, up_, down_}, 0);
}

// Rows of the op before are still there in int8, unless scratch has no room for more behind them.
TEST_F(CudaFeedForward, ReadsWhatANormLeft) {
  const auto run_behind_norm = [&](int64_t n, bool together) {
    std::vector<float> x = Random(2).values(n * 256), factors = Random(4).values(256), normed(x);
    std::vector<float> gate(static_cast<size_t>(n * kHidden)), up(gate);
    std::vector<float> y(static_cast<size_t>(n * 96));
    const std::array<MatmulOutput, 2> inner = {
        {{.weight = gate_.weight, .y = gate.data(), .y_stride = kHidden},
         {.weight = up_.weight, .y = up.data(), .y_stride = kHidden}}};
    GatedActivationParams activation;
    activation.gate = const_rows(gate, n, kHidden);
    activation.up = const_rows(up, n, kHidden);
    activation.y = rows(up, n, kHidden);
    const size_t before = cuda_emulation::launch_count();
    backend_->begin_step();
    Ops& ops = backend_->ops();
    ops.norm({.x = const_rows(x, n, 256),
              .y = rows(normed, n, 256),
              .group = 256,
              .weight = factors.data(),
              .weight_size = 256});
    const FeedForwardParams params = {
        .x = const_rows(normed, n, 256),
        .inner = inner,
        .activation = activation,
        .down = {.weight = down_.weight, .y = y.data(), .y_stride = 96}};
    together ? ops.feed_forward(params) : ops.Ops::feed_forward(params);
    EXPECT_TRUE(backend_->finish());
    return Result{y, cuda_emulation::launch_count() - before};
  };
  const Result parts = run_behind_norm(8, false);
  const auto expect = [&](size_t launches) {
    const Result together = run_behind_norm(8, true);
    EXPECT_TRUE(same_bits(together.y, parts.y));
    EXPECT_EQ(together.launches, launches);
  };
  open(8, 256);  // what a plan promises is enough
  expect(4);     // the norm did not know that rows would be read in int8
  expect(3);
  open(0, 0);
  run_behind_norm(1, true);
  expect(4);  // what the norm left would have been lost
  expect(3);
}

}  // namespace
}  // namespace llmrun::kernels
