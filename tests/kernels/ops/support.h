// What the op tests share: random rows, packed weights, the targets of this machine.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels {

// Values of every size, as activations have: mostly near 1, some outliers, some zeros.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float value() {
    const float v = normal_(engine_);
    const uint32_t kind = engine_() % 64;
    return kind == 0 ? 8.0F * v : kind == 1 ? 0.0F : v;
  }
  std::vector<float> values(int64_t n) {
    std::vector<float> result(static_cast<size_t>(n));
    for (float& v : result) v = value();
    return result;
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint32_t>(n)); }

 private:
  std::mt19937 engine_;
  std::normal_distribution<float> normal_;
};

// A stack of random matrices, packed. Some types are slow to quantise: a few rows are, and repeat
// in another order.
struct PackedWeight {
  std::vector<std::byte> bytes;
  Weight weight;
  PackedWeight(TensorType type, int64_t n_out, int64_t n_in, int64_t n_matrices, Random& random) {
    const size_t row_bytes = quant::row_bytes(type, n_in).value();
    const int64_t n_rows = n_out * n_matrices;
    bytes.resize(static_cast<size_t>(n_rows) * row_bytes);
    constexpr int64_t kDistinct = 11;
    for (int64_t row = 0; row < n_rows; ++row) {
      std::byte* target = bytes.data() + static_cast<size_t>(row) * row_bytes;
      if (row < kDistinct) {
        const std::vector<float> values = random.values(n_in);
        quant::quantize_row(type, values.data(), n_in, target);
      } else {
        const int64_t from = random.below(kDistinct);
        std::memcpy(target, bytes.data() + static_cast<size_t>(from) * row_bytes, row_bytes);
      }
    }
    weight.data = bytes.data();
    weight.type = type;
    weight.n_out = n_out;
    weight.n_in = n_in;
    weight.n_matrices = n_matrices;
    weight.row_bytes = row_bytes;
  }
};

inline std::vector<TensorType> all_types() {
  std::vector<TensorType> types;
  for (int i = 0; i < quant::kTensorTypeCount; ++i) types.push_back(static_cast<TensorType>(i));
  return types;
}

inline ConstRows const_rows(const std::vector<float>& v, int64_t n, int64_t width) {
  return ConstRows(v.data(), n, width, width);
}
inline Rows rows(std::vector<float>& v, int64_t n, int64_t width) {
  return Rows{v.data(), n, width, width};
}

// ---- devices.cpp, of which every program of tests has its own ----------------------------------

// What there is to test, by name: the CPU targets of this build, or the GPU.
std::vector<std::string> target_names();
// Why this machine cannot run it; empty when it can.
std::string why_not(const std::string& target);
std::unique_ptr<Backend> target_backend(const std::string& target, int threads);

// The same bytes, so that 0 and -0 differ and equal NaNs do not.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// A test that runs once for each compiled target; one that this machine lacks is skipped by name.
class OnEachTarget : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string missing = why_not(GetParam());
    if (!missing.empty()) {
      GTEST_SKIP() << "skipped: target " << GetParam() << " needs " << missing;
    }
  }
  [[nodiscard]] std::unique_ptr<Backend> backend(int threads = 1) const {
    return target_backend(GetParam(), threads);
  }
};
#define LLMRUN_ON_EACH_TARGET(suite)                     \
  INSTANTIATE_TEST_SUITE_P(                              \
      Targets, suite, testing::ValuesIn(target_names()), \
      [](const testing::TestParamInfo<std::string>& parameter) { return parameter.param; })

}  // namespace llmrun::kernels
