// Fills the position tables of a model: rotary angles, linear biases and rates of decay, in backend
// memory.
#include <algorithm>
#include <span>

#include "base/error.h"
#include "runtime/arena.h"
#include "runtime/pass.h"
#include "runtime/rope_table.h"

namespace llmrun::runtime {
namespace {

struct Table {
  const float** where = nullptr;
  std::vector<float> values;
};

std::vector<float> frequencies(const Rope& rope, const Weights& weights, const TensorDecl& scaled) {
  // rope_freqs wins over the long and short factors.
  const TensorDecl& factors = Weights::has(rope.factors) ? rope.factors : scaled;
  const float* const data = weights.host_vector(factors);
  const auto n_pairs = static_cast<size_t>(rope.n_dims / 2);
  return rope_frequencies(rope,
                          data == nullptr ? std::span<const float>() : std::span(data, n_pairs));
}

std::vector<float> layer_slopes(const Mixer& mixer) {
  const auto* const attention = std::get_if<Attention>(&mixer);
  if (attention != nullptr && attention->alibi_max_bias != 0.0F) {
    return alibi_slopes(attention->n_heads, attention->alibi_max_bias);
  }
  const auto* const lightning = std::get_if<LightningAttention>(&mixer);
  if (lightning != nullptr) return lightning_slopes(lightning->n_heads, lightning->slope_scale);
  return {};
}

}  // namespace

Result<PositionTables> make_position_tables(const ModelSpec& spec, const Weights& weights,
                                            kernels::Backend& backend) {
  PositionTables tables;
  tables.frequencies.resize(spec.ropes.size());
  tables.long_frequencies.resize(spec.ropes.size());
  tables.slopes.resize(spec.layers.size());
  std::vector<Table> wanted;
  for (size_t i = 0; i < spec.ropes.size(); ++i) {
    const Rope& rope = spec.ropes[i];
    wanted.push_back({&tables.frequencies[i], frequencies(rope, weights, rope.factors_short)});
    wanted.push_back({&tables.long_frequencies[i], frequencies(rope, weights, rope.factors_long)});
  }
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    std::vector<float> slopes = layer_slopes(spec.layers[i].mixer);
    if (!slopes.empty()) wanted.push_back({&tables.slopes[i], std::move(slopes)});
  }
  Arena measure;
  for (const Table& table : wanted) measure.array<float>(static_cast<int64_t>(table.values.size()));
  if (measure.peak() == 0) return tables;
  LLMRUN_ASSIGN(tables.buffer, backend.allocate(measure.peak()));
  Arena arena(tables.buffer->data(), tables.buffer->size());
  for (const Table& table : wanted) {
    auto* const to = arena.array<float>(static_cast<int64_t>(table.values.size()));
    const auto at = static_cast<size_t>(reinterpret_cast<std::byte*>(to) - tables.buffer->data());
    tables.buffer->write(at, table.values.data(), table.values.size() * sizeof(float));
    *table.where = to;
  }
  return tables;
}

}  // namespace llmrun::runtime
