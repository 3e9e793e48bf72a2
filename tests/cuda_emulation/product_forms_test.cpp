// Both kernels of prompts give the same bits: every type of blocks, shapes that fit no tile. Which
// one runs is what LLMRUN_CUDA_PRODUCTS says when the backend is made.
#include <cstdlib>

#include "kernels/ops/support.h"
#ifdef LLMRUN_CUDA_EMULATION
#include "cuda_emulation/block.h"
#endif

namespace llmrun::kernels {
namespace {

class ProductForms : public OnEachTarget {
 protected:
  void SetUp() override {
    OnEachTarget::SetUp();
    if (IsSkipped()) return;
    setenv("LLMRUN_CUDA_PRODUCTS", "wgmma", 1);
    auto made = make_backend("cuda", {});
    if (made) {
      warp_groups_ = std::move(*made);
      setenv("LLMRUN_CUDA_PRODUCTS", "mma", 1);
      mma_ = backend();
    }
    unsetenv("LLMRUN_CUDA_PRODUCTS");
    if (!made) GTEST_SKIP() << "skipped: " << made.error().message;
  }

  using Outputs = std::vector<std::vector<float>>;
  static Outputs products(Backend& backend, const std::vector<const PackedWeight*>& weights,
                          const ConstRows& x, const float* bias, bool accumulate) {
    Outputs y;
    std::vector<MatmulOutput> outputs;
    for (const PackedWeight* weight : weights) {
      MatmulOutput& output = outputs.emplace_back();
      output.weight = weight->weight;
      output.bias = bias;
      output.y = y.emplace_back(static_cast<size_t>(x.n * weight->weight.n_out), 0.25F).data();
      output.y_stride = weight->weight.n_out;
      output.accumulate = accumulate;
    }
    MatmulParams params;
    params.x = x;
    params.outputs = outputs;
    backend.ops().matmul(params);
    return y;
  }
  void expect_equal(const std::vector<const PackedWeight*>& weights, int64_t n,
                    bool accumulate = false) {
    const int64_t n_in = weights[0]->weight.n_in;
    const std::vector<float> x = random_.values(n * n_in);
    const ConstRows rows = const_rows(x, n, n_in);
    const float* const bias = n % 2 == 0 ? biases_.data() : nullptr;
    const Outputs want = products(*mma_, weights, rows, bias, accumulate);
    const Outputs got = products(*warp_groups_, weights, rows, bias, accumulate);
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_TRUE(same_bits(got[i], want[i])) << "weight " << i << ", " << n << " rows of " << n_in
                                              << ", " << weights[i]->weight.n_out << " outputs";
    }
  }

  Random random_{1};
  std::vector<float> biases_ = random_.values(512);
  std::unique_ptr<Backend> mma_, warp_groups_;
};

TEST_P(ProductForms, AreEqualBitForBitForEveryType) {
  struct Shape {
    int64_t n, n_out, n_blocks;
  };
  for (const TensorType type : all_types()) {
    if (quant::traits(type).is_float) continue;
    SCOPED_TRACE(quant::traits(type).name);
    const int64_t block = quant::traits(type).block_size;
    for (const auto& [n, n_out, n_blocks] :
         {Shape{9, 1, 1}, Shape{70, 65, 3}, Shape{130, 63, block < 256 ? 9 : 2}}) {
      const PackedWeight weight(type, n_out, n_blocks * block, 1, random_);
      expect_equal({&weight}, n);
    }
  }
}

TEST_P(ProductForms, AreEqualForSeveralWeightsAndSums) {
  const PackedWeight q(TensorType::Q4_K, 130, 512, 1, random_);
  const PackedWeight k(TensorType::Q4_K, 33, 512, 1, random_);
  const PackedWeight v(TensorType::Q6_K, 64, 512, 1, random_);
  const PackedWeight half(TensorType::F16, 20, 512, 1, random_);
  for (const int64_t n : {8, 64, 65, 128, 257}) expect_equal({&q, &v, &half, &k}, n);
  expect_equal({&q}, 40, true);
}

#ifdef LLMRUN_CUDA_EMULATION
// Rows to int8, packing, the product; few rows are never packed.
TEST_P(ProductForms, AreTheOnesThatWereNamed) {
  const PackedWeight weight(TensorType::Q4_K, 64, 256, 1, random_);
  const auto launches = [&](Backend& backend, int64_t n) {
    const std::vector<float> x = random_.values(n * 256);
    const size_t before = cuda_emulation::launch_count();
    products(backend, {&weight}, const_rows(x, n, 256), nullptr, false);
    return cuda_emulation::launch_count() - before;
  };
  EXPECT_EQ(launches(*mma_, 9), 2U);
  EXPECT_EQ(launches(*warp_groups_, 9), 3U);
  EXPECT_EQ(launches(*warp_groups_, 8), 2U);
}
#endif

// Rows that a norm has left quantised are packed from there.
TEST_P(ProductForms, AreEqualAfterANorm) {
  constexpr int64_t kWidth = 288, kRows = 37;
  const PackedWeight weight(TensorType::Q8_0, 48, kWidth, 1, random_);
  const std::vector<float> x = random_.values(kRows * kWidth);
  const auto run = [&](Backend& backend) {
    std::vector<float> y(x.size());
    EXPECT_TRUE(backend.reserve(64, 512));
    for (int i = 0; i < 2; ++i) {  // the first product tells norms to quantise
      NormParams norm;
      norm.x = const_rows(x, kRows, kWidth);
      norm.y = rows(y, kRows, kWidth);
      norm.group = kWidth;
      backend.ops().norm(norm);
      if (i == 0) products(backend, {&weight}, const_rows(y, kRows, kWidth), nullptr, false);
    }
    return products(backend, {&weight}, const_rows(y, kRows, kWidth), nullptr, false)[0];
  };
  EXPECT_TRUE(same_bits(run(*warp_groups_), run(*mma_)));
}

LLMRUN_ON_EACH_TARGET(ProductForms);

// ---- the choice --------------------------------------------------------------------------------

TEST(ProductFormChoice, AWrongNameIsAnError) {
  setenv("LLMRUN_CUDA_PRODUCTS", "fastest", 1);
  const auto backend = make_backend("cuda", {});
  unsetenv("LLMRUN_CUDA_PRODUCTS");
  ASSERT_FALSE(backend);
}

}  // namespace
}  // namespace llmrun::kernels
