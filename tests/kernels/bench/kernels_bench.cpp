// Speed of the kernels on the shapes of real models: GB/s of weights read and Gop/s (a multiply
// and an add are two), per tensor type, tokens and threads. LLMRUN_CPU chooses the target.
//   kernels_bench --benchmark_filter='matmul/Q4_1/.*'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels {
namespace {

std::vector<float> random_values(int64_t n) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = normal(engine);
  return v;
}

// One row is quantised and repeated: the kernels do not look at the values.
std::vector<std::byte> packed(TensorType type, int64_t n_out, int64_t n_in) {
  const size_t row_bytes = quant::row_bytes(type, n_in).value();
  std::vector<std::byte> bytes(row_bytes * static_cast<size_t>(n_out));
  quant::quantize_row(type, random_values(n_in).data(), n_in, bytes.data());
  for (int64_t row = 1; row < n_out; ++row) {
    std::memcpy(bytes.data() + static_cast<size_t>(row) * row_bytes, bytes.data(), row_bytes);
  }
  return bytes;
}

struct MatmulShape {
  int64_t n_out, n_in, n_tokens;
  int n_matrices;  // different ones in turn, so that weights come from memory as in a model
  int threads;
};

void matmul(benchmark::State& state, TensorType type, const MatmulShape& shape) {
  BackendOptions options;
  options.threads = shape.threads;
  auto backend = make_backend("cpu", options);
  if (!backend) {
    state.SkipWithError(backend.error().message.c_str());
    return;
  }
  const std::vector<float> x = random_values(shape.n_tokens * shape.n_in);
  std::vector<float> y(static_cast<size_t>(shape.n_tokens * shape.n_out));
  std::vector<std::vector<std::byte>> weights;
  for (int i = 0; i < shape.n_matrices; ++i) {
    weights.push_back(packed(type, shape.n_out, shape.n_in));
  }
  MatmulOutput output;
  output.weight.type = type;
  output.weight.n_out = shape.n_out;
  output.weight.n_in = shape.n_in;
  output.weight.row_bytes = quant::row_bytes(type, shape.n_in).value();
  output.y = y.data();
  output.y_stride = shape.n_out;
  MatmulParams params;
  params.x = ConstRows(x.data(), shape.n_tokens, shape.n_in, shape.n_in);
  params.outputs = std::span<const MatmulOutput>(&output, 1);
  size_t next = 0;
  for (auto _ : state) {
    output.weight.data = weights[next].data();
    next = (next + 1) % weights.size();
    (*backend)->ops().matmul(params);
    benchmark::DoNotOptimize(y.data());
    benchmark::ClobberMemory();
  }
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(
      rounds * static_cast<double>(weights[0].size()) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["Gop/s"] = benchmark::Counter(
      rounds * 2e-9 * static_cast<double>(shape.n_out * shape.n_in * shape.n_tokens),
      benchmark::Counter::kIsRate);
}

struct AttentionShape {
  int64_t n_heads, n_kv_heads, k_dim, v_dim;
  bool latent = false;  // the values are the first v_dim dims of the keys
};

// Several layers in turn, so that the cache comes from memory as in a model. Keys and values are
// read once for all heads at best; a multiply and an add are two operations.
void attention(benchmark::State& state, const AttentionShape& shape, CacheType type,
               int64_t n_tokens, int64_t n_keys, int threads) {
  auto backend = make_backend("cpu", {.threads = threads, .cpu_target = {}});
  if (!backend) {
    state.SkipWithError(backend.error().message.c_str());
    return;
  }
  const int64_t n_pages = (n_keys + kPageTokens - 1) / kPageTokens;
  const auto tile_bytes = [&](int64_t dim) {
    return static_cast<size_t>(shape.n_kv_heads * kPageTokens) * cache_row_bytes(type, dim);
  };
  const size_t page_bytes = tile_bytes(shape.k_dim) + (shape.latent ? 0 : tile_bytes(shape.v_dim));
  const size_t layer_bytes = static_cast<size_t>(n_pages) * page_bytes;
  const auto n_layers =
      static_cast<int64_t>(std::max<size_t>(2, (size_t{128} << 20) / layer_bytes));
  std::vector<std::byte> memory(static_cast<size_t>(n_layers) * layer_bytes);
  const std::vector<float> q = random_values(n_tokens * shape.n_heads * shape.k_dim);
  std::vector<float> y(static_cast<size_t>(n_tokens * shape.n_heads * shape.v_dim));
  AttentionParams p;
  p.q = ConstRows(q.data(), n_tokens, shape.n_heads * shape.k_dim, shape.n_heads * shape.k_dim);
  p.y = Rows{y.data(), n_tokens, shape.n_heads * shape.v_dim, shape.n_heads * shape.v_dim};
  p.n_heads = shape.n_heads;
  p.n_kv_heads = shape.n_kv_heads;
  p.k_dim = shape.k_dim;
  p.v_dim = shape.v_dim;
  p.k_type = p.v_type = type;
  p.v_in_k = shape.latent;
  p.first_position = n_keys - n_tokens;
  p.n_keys = n_keys;
  std::vector<std::byte*> k(static_cast<size_t>(n_pages)), v(k.size());
  p.pages = {k, v};
  int64_t layer = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < k.size(); ++i) {
      k[i] = memory.data() + static_cast<size_t>(layer) * layer_bytes + i * page_bytes;
      v[i] = k[i] + tile_bytes(shape.k_dim);
    }
    layer = (layer + 1) % n_layers;
    (*backend)->ops().attention(p);
    benchmark::ClobberMemory();
  }
  const auto rounds = static_cast<double>(state.iterations());
  double seen = 0;  // keys, by all tokens
  for (int64_t t = 0; t < n_tokens; ++t) seen += static_cast<double>(p.first_position + t + 1);
  state.counters["GB/s"] = benchmark::Counter(rounds * static_cast<double>(layer_bytes) * 1e-9,
                                              benchmark::Counter::kIsRate);
  state.counters["Gop/s"] = benchmark::Counter(
      rounds * 2e-9 * seen * static_cast<double>(shape.n_heads * (shape.k_dim + shape.v_dim)),
      benchmark::Counter::kIsRate);
}

void register_attention() {
  const AttentionShape smollm2{9, 3, 64, 64};
  const AttentionShape gemma3{4, 1, 256, 256};
  const AttentionShape qwen2{12, 2, 128, 128};
  const AttentionShape deepseek2{16, 1, 576, 512, true};
  const auto add = [](const std::string& name, const AttentionShape& shape, CacheType type,
                      int64_t n_tokens, int64_t n_keys) {
    for (const int threads : {1, 2}) {
      const std::string label = "attention/" + name + "/tokens:" + std::to_string(n_tokens) +
                                "/keys:" + std::to_string(n_keys) +
                                "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(label.c_str(), attention, shape, type, n_tokens, n_keys, threads)
          ->UseRealTime();
    }
  };
  for (const int64_t n_keys : {128, 512, 4096}) {
    add("smollm2", smollm2, CacheType::kF16, 1, n_keys);
    add("gemma3", gemma3, CacheType::kF16, 1, n_keys);
  }
  for (const int64_t n_keys : {512, 4096, 16384}) add("qwen2", qwen2, CacheType::kF16, 1, n_keys);
  add("qwen2_f32", qwen2, CacheType::kF32, 1, 4096);
  add("qwen2_bf16", qwen2, CacheType::kBf16, 1, 4096);
  add("qwen2_int8", qwen2, CacheType::kInt8, 1, 4096);
  add("qwen2_fp8", qwen2, CacheType::kFp8E4m3, 1, 4096);
  add("deepseek2", deepseek2, CacheType::kF16, 1, 4096);
  for (const int64_t n_keys : {512, 4096}) {
    add("smollm2", smollm2, CacheType::kF16, 512, n_keys);
    add("gemma3", gemma3, CacheType::kF16, 512, n_keys);
    add("qwen2", qwen2, CacheType::kF16, 512, n_keys);
  }
  add("deepseek2", deepseek2, CacheType::kF16, 64, 4096);
  add("qwen2", qwen2, CacheType::kF16, 8, 4096);
}

// Updates of state values per second, `heads` states of dim x dim values.
void count_updates(benchmark::State& state, int64_t n_tokens, int64_t n_heads, int64_t dim) {
  state.counters["Gupdates/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * n_tokens * n_heads * dim * dim) * 1e-9,
      benchmark::Counter::kIsRate);
}

void delta_rule(benchmark::State& state, int64_t n_tokens, int64_t n_heads, int64_t dim) {
  auto backend = make_backend("cpu", {.threads = 2, .cpu_target = {}});
  const int64_t width = n_heads * dim;
  const std::vector<float> x = random_values(n_tokens * width);
  const std::vector<float> decay(static_cast<size_t>(n_tokens * width), -0.5F);
  std::vector<float> y(x.size()), memory(static_cast<size_t>(width * dim));
  DeltaRuleParams p;
  p.q = p.k = p.v = ConstRows(x.data(), n_tokens, width, width);
  p.log_decay = ConstRows(decay.data(), n_tokens, n_heads, width);
  p.beta = ConstRows(decay.data(), n_tokens, n_heads, width);
  p.y = Rows{y.data(), n_tokens, width, width};
  p.n_heads = p.n_k_heads = n_heads;
  p.k_dim = p.v_dim = dim;
  p.state = memory.data();
  for (auto _ : state) {
    std::fill(memory.begin(), memory.end(), 0.0F);  // else random keys let it grow without end
    (*backend)->ops().delta_rule(p);
    benchmark::ClobberMemory();
  }
  count_updates(state, n_tokens, n_heads, dim);
}

void state_space(benchmark::State& state, int64_t n_tokens, int64_t n_heads, int64_t dim) {
  auto backend = make_backend("cpu", {.threads = 2, .cpu_target = {}});
  const int64_t width = n_heads * dim;
  const std::vector<float> x = random_values(n_tokens * width);
  const std::vector<float> dt(static_cast<size_t>(n_tokens * n_heads), 0.5F);
  const std::vector<float> a(static_cast<size_t>(n_heads), -0.5F);
  std::vector<float> y(x.size()), memory(static_cast<size_t>(width * dim));
  StateSpaceParams p;
  p.x = ConstRows(x.data(), n_tokens, width, width);
  p.b = p.c = ConstRows(x.data(), n_tokens, dim, width);
  p.dt = ConstRows(dt.data(), n_tokens, n_heads, n_heads);
  p.y = Rows{y.data(), n_tokens, width, width};
  p.n_heads = n_heads;
  p.head_dim = p.n_state = dim;
  p.a = a.data();
  p.state = memory.data();
  for (auto _ : state) {
    (*backend)->ops().state_space(p);
    benchmark::ClobberMemory();
  }
  count_updates(state, n_tokens, n_heads, dim);
}

void register_all() {
  for (int i = 0; i < quant::kTensorTypeCount; ++i) {
    const auto type = static_cast<TensorType>(i);
    const std::string name(quant::traits(type).name);
    for (const int64_t n_tokens : {1, 2, 4, 8, 16, 512}) {
      for (const int threads : {1, 2}) {
        const bool prompt = n_tokens >= 16;
        const MatmulShape shape{2048, 1536, n_tokens, prompt ? 1 : 32, threads};
        const std::string label = "matmul/" + name + "/tokens:" + std::to_string(n_tokens) +
                                  "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(label.c_str(), matmul, type, shape)->UseRealTime();
      }
    }
  }
  register_attention();
  for (const int64_t n_tokens : {1, 512}) {
    const std::string tokens = std::to_string(n_tokens);
    benchmark::RegisterBenchmark(("delta_rule/" + tokens).c_str(), delta_rule, n_tokens, 32, 128)
        ->UseRealTime();
    benchmark::RegisterBenchmark(("state_space/" + tokens).c_str(), state_space, n_tokens, 32, 128)
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace llmrun::kernels

int main(int argc, char** argv) {
  llmrun::kernels::register_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
