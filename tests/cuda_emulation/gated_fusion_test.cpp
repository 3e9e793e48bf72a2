// Gate, up and the activation in one launch: the same bits as apart, whatever the type, and only
// where the ops say that nothing else can be meant.
#include <gtest/gtest.h>

#include "cuda_emulation/block.h"
#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

constexpr int64_t kOut = 96;

struct Form {
  Activation activation = Activation::kSilu;
  float limit = 0.0F;
  bool swiglu_oai = false;
};

class GatedFusion : public ::testing::Test {
 protected:
  void SetUp() override {
    auto backend = make_backend("cuda", {});
    ASSERT_TRUE(backend) << backend.error().message;
    backend_ = std::move(*backend);
    ASSERT_TRUE(backend_->reserve(16, 1024));
    auto x = random_.values(kHidden);  // from now on activations leave quantised rows
    std::vector<float> y(kOut);
    multiply({&down_}, const_rows(x, 1, kHidden), {y.data()});
  }

  void multiply(const std::vector<const PackedWeight*>& weights, const ConstRows& x,
                const std::vector<float*>& y) {
    std::vector<MatmulOutput> outputs;
    for (size_t i = 0; i < weights.size(); ++i) {
      MatmulOutput output;
      output.weight = weights[i]->weight;
      output.bias = biases_.data();
      output.y = y[i];
      output.y_stride = output.weight.n_out;
      output.accumulate = accumulate_;
      outputs.push_back(output);
    }
    MatmulParams params;
    params.x = x;
    params.outputs = outputs;
    backend_->ops().matmul(params);
  }

  enum class Place : uint8_t { kGate, kUp, kElsewhere };
  struct Result {
    std::vector<float> gate, up, y, out;
    size_t launches = 0;
    bool operator==(const Result& o) const {
      return same_bits(gate, o.gate) && same_bits(up, o.up) && same_bits(y, o.y) &&
             same_bits(out, o.out);
    }
  };
  // Gate, up, activation and down for n rows, with an op between that changes nothing, or without.
  Result run(const PackedWeight& gate, const PackedWeight& up, int64_t n, const Form& form,
             bool apart, Place place = Place::kUp) {
    const int64_t n_in = gate.weight.n_in;
    const int64_t width = gate.weight.n_out;
    const std::vector<float> x = Random(3).values(n * n_in);
    Result result;
    result.gate.assign(static_cast<size_t>(n * width), 1.0F);
    result.up = result.y = result.gate;
    result.out.assign(static_cast<size_t>(n * kOut), 1.0F);
    const size_t before = cuda_emulation::launch_count();
    backend_->begin_step();
    multiply({&up, &gate}, const_rows(x, n, n_in), {result.up.data(), result.gate.data()});
    if (apart) pause();
    GatedActivationParams act;
    act.activation = form.activation;
    act.limit = form.limit;
    act.swiglu_oai = form.swiglu_oai;
    act.gate = const_rows(result.gate, n, width);
    act.up = const_rows(result.up, n, width);
    std::vector<float>& y = place == Place::kGate ? result.gate
                            : place == Place::kUp ? result.up
                                                  : result.y;
    act.y = rows(y, n, width);
    backend_->ops().gated_activation(act);
    if (width == kHidden) multiply({&down_}, act.y, {result.out.data()});
    EXPECT_TRUE(backend_->finish());
    result.launches = cuda_emulation::launch_count() - before;
    return result;
  }
  void pause() {
    ScaleParams params;
    params.x = rows(other_, 1, 32);
    backend_->ops().scale(params);
  }

  static constexpr int64_t kHidden = 160;
  Random random_{1};
  std::unique_ptr<Backend> backend_;
  bool accumulate_ = false;
  std::vector<float> other_ = random_.values(32);
  std::vector<float> biases_ = random_.values(4096);
  PackedWeight down_{TensorType::Q8_0, kOut, kHidden, 1, random_};
};

TEST_F(GatedFusion, IsOneLaunchWithTheSameBitsForEveryType) {
  for (const TensorType type : all_types()) {
    const bool is_float = quant::traits(type).is_float;
    const int64_t block = quant::traits(type).block_size;
    const int64_t n_in = is_float ? 523 : block < 256 ? 3 * block : block;
    for (const int64_t width : {kHidden, int64_t{37}}) {
      const PackedWeight gate(type, width, n_in, 1, random_), up(type, width, n_in, 1, random_);
      for (const int64_t n : {1, 2, 5, 8}) {
        SCOPED_TRACE(testing::Message()
                     << quant::traits(type).name << ", " << n << " rows of " << width);
        const Form form{n % 2 == 0 ? Activation::kGelu : Activation::kSilu};
        const Result together = run(gate, up, n, form, false);
        const Result apart = run(gate, up, n, form, true);
        EXPECT_TRUE(together == apart);
        const size_t others = (is_float ? 0U : 1U) + (width == kHidden ? 1U : 0U);
        EXPECT_EQ(together.launches, others + 1);
        EXPECT_EQ(apart.launches, others + 3);
      }
    }
  }
}

// Wide enough for the pieces of 32 outputs that weights of 16 bits are then cut into.
TEST_F(GatedFusion, TakesManyOutputs) {
  for (const TensorType type : {TensorType::F16, TensorType::BF16, TensorType::Q4_K}) {
    const PackedWeight gate(type, 2085, 256, 1, random_), up(type, 2085, 256, 1, random_);
    const Result together = run(gate, up, 3, {}, false);
    EXPECT_TRUE(together == run(gate, up, 3, {}, true)) << quant::traits(type).name;
    EXPECT_EQ(together.launches, quant::traits(type).is_float ? 1U : 2U);
  }
}

TEST_F(GatedFusion, KnowsTheFormsOfActivations) {
  const PackedWeight gate(TensorType::Q4_K, kHidden, 256, 1, random_);
  const PackedWeight up(TensorType::Q4_K, kHidden, 256, 1, random_);
  for (const Form& form : {Form{Activation::kRelu2}, Form{Activation::kSilu, 0.5F},
                           Form{Activation::kSilu, 7.0F, true}}) {
    for (const Place place : {Place::kGate, Place::kUp}) {
      const Result together = run(gate, up, 2, form, false, place);
      EXPECT_TRUE(together == run(gate, up, 2, form, true, place));
      EXPECT_EQ(together.launches, 3U);
    }
  }
}

TEST_F(GatedFusion, LeavesOtherPairsApart) {
  const PackedWeight gate(TensorType::Q4_K, kHidden, 256, 1, random_);
  const PackedWeight up(TensorType::Q4_K, kHidden, 256, 1, random_);
  const PackedWeight other(TensorType::Q6_K, kHidden, 256, 1, random_);
  const auto expect = [&](const Result& result, const Result& want, size_t launches) {
    EXPECT_TRUE(result == want);
    EXPECT_EQ(result.launches, launches);
  };
  // Of two types; of many rows; written elsewhere; added to what was there.
  expect(run(gate, other, 2, {}, false), run(gate, other, 2, {}, true), 5);
  expect(run(gate, up, 9, {}, false), run(gate, up, 9, {}, true), 4);
  expect(run(gate, up, 2, {}, false, Place::kElsewhere),
         run(gate, up, 2, {}, true, Place::kElsewhere), 4);
  accumulate_ = true;
  expect(run(gate, up, 2, {}, false), run(gate, up, 2, {}, true), 4);
}

// Without room for the quantised rows of both ends: apart, rather than moving what is read.
TEST_F(GatedFusion, NeedsRoom) {
  auto backend = make_backend("cuda", {});
  ASSERT_TRUE(backend);
  backend_ = std::move(*backend);
  const PackedWeight gate(TensorType::Q4_K, kHidden, 256, 1, random_);
  const PackedWeight up(TensorType::Q4_K, kHidden, 256, 1, random_);
  const Result first = run(gate, up, 8, {}, false);
  EXPECT_EQ(first.launches, 4U);
  ASSERT_TRUE(backend_->reserve(8, 256));  // what a plan promises is enough
  const Result second = run(gate, up, 8, {}, false);
  EXPECT_TRUE(first == second);
  EXPECT_EQ(second.launches, 3U);
}

}  // namespace
}  // namespace llmrun::kernels
