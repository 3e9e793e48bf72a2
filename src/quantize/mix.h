// Mixes: what users call "Q4_K_M" is a type for most matrices and a few rules that give more bits
// to the matrices that need them. The rules are the ones that files of these names follow
// everywhere, so that a name means the same size and quality; they are data, in mix_table.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernels/tensor_type.h"
#include "quantize/tensor_role.h"

namespace llmrun::quantize {

using quant::TensorType;

// Which layers a rule is for, of n in all.
enum class Layers : uint8_t {
  kAll,
  kFirstTwo,
  kFirstFour,
  kFirst16th,
  kFirst8th,
  kMiddle,    // all but the first and the last eighth
  kMoreBits,  // the first and the last eighth, and every third between
};

// What else must hold.
enum class When : uint8_t {
  kAlways,
  kManyQueries,           // four or more query heads share a key head
  kManyQueriesOrExperts,  // that, or four or more experts
  kEightExperts,
  kWithoutImportance,
  kWithImportance,
  kStack,  // the tensor is a stack of experts
};

struct Rule {
  Role role;
  TensorType type;
  Layers layers = Layers::kAll;
  When when = When::kAlways;
};

struct Mix {
  std::string_view name;
  std::optional<uint32_t> file_type;  // the number of general.file_type, where there is one
  TensorType base;
  std::span<const Rule> rules;  // the first that applies wins; none: base
  std::string_view about;
};

std::span<const Mix> mixes();
// Upper and lower case are the same; "Q4_K" is Q4_K_M, as everywhere.
const Mix* find_mix(std::string_view name);

// What the rules ask about.
struct TensorContext {
  Role role = Role::kOther;
  int64_t layer = 0;  // its place among the layers that count for its role
  int64_t n_layers = 1;
  bool is_stack = false;
  bool many_queries = false;
  int64_t n_experts = 0;
  bool has_importance = false;
};
TensorType choose_type(const Mix& mix, const TensorContext& tensor);

// The type nearest to `wanted` whose blocks divide rows of `row_length` values.
TensorType fitting_type(TensorType wanted, uint64_t row_length);

}  // namespace llmrun::quantize
