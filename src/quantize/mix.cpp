// Applying the rules of a mix.
#include "quantize/mix.h"

#include <algorithm>
#include <array>

namespace llmrun::quantize {
namespace {

bool applies(Layers layers, int64_t layer, int64_t n) {
  switch (layers) {
    case Layers::kAll:
      return true;
    case Layers::kFirstTwo:
      return layer < 2;
    case Layers::kFirstFour:
      return layer < 4;
    case Layers::kFirst16th:
      return layer < n / 16;
    case Layers::kFirst8th:
      return layer < n / 8;
    case Layers::kMiddle:
      return layer >= n / 8 && layer < 7 * n / 8;
    case Layers::kMoreBits:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
  }
  return false;
}

bool applies(When when, const TensorContext& tensor) {
  switch (when) {
    case When::kAlways:
      return true;
    case When::kManyQueries:
      return tensor.many_queries;
    case When::kManyQueriesOrExperts:
      return tensor.many_queries || tensor.n_experts >= 4;
    case When::kEightExperts:
      return tensor.n_experts == 8;
    case When::kWithoutImportance:
      return !tensor.has_importance;
    case When::kWithImportance:
      return tensor.has_importance;
    case When::kStack:
      return tensor.is_stack;
  }
  return false;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return upper(x) == upper(y); });
}

// What to take for a type whose blocks do not divide a row: smaller blocks, no fewer bits.
TensorType smaller_blocks(TensorType type) {
  switch (type) {
    case TensorType::Q4_K:
      return TensorType::Q5_0;
    case TensorType::Q5_K:
      return TensorType::Q5_1;
    case TensorType::Q6_K:
      return TensorType::Q8_0;
    case TensorType::TQ1_0:
    case TensorType::TQ2_0:
    case TensorType::Q1_0:
    case TensorType::Q2_0:
    case TensorType::NVFP4:
      return TensorType::Q4_0;
    default:
      return quant::traits(type).block_size > 32 ? TensorType::IQ4_NL : TensorType::F16;
  }
}

}  // namespace

const Mix* find_mix(std::string_view name) {
  constexpr std::array<std::string_view, 3> kFamilies = {"Q3_K", "Q4_K", "Q5_K"};
  for (const std::string_view family : kFamilies) {
    if (same_name(name, family)) return find_mix(std::string(family) + "_M");
  }
  for (const Mix& mix : mixes()) {
    if (same_name(mix.name, name)) return &mix;
  }
  return nullptr;
}

TensorType choose_type(const Mix& mix, const TensorContext& tensor) {
  for (const Rule& rule : mix.rules) {
    if (rule.role != Role::kAny && rule.role != tensor.role) continue;
    if (!applies(rule.layers, tensor.layer, tensor.n_layers)) continue;
    if (applies(rule.when, tensor)) return rule.type;
  }
  return mix.base;
}

TensorType fitting_type(TensorType wanted, uint64_t row_length) {
  while (row_length % static_cast<uint64_t>(quant::traits(wanted).block_size) != 0) {
    wanted = smaller_blocks(wanted);
  }
  return wanted;
}

}  // namespace llmrun::quantize
