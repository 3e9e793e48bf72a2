// The table of block sizes, from the definition of the GGUF tensor types.
#include "gguf/type_sizes.h"

#include <algorithm>
#include <array>

namespace llmrun::gguf {
namespace {

// In order of the ids. Withdrawn: 4, 5, 31-33, 36-38. Only in memory, never in files: 9 (Q8_1),
// 15 (Q8_K).
constexpr std::array<TypeSize, 33> kTypes = {{
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},      {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},      {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},   {14, "Q6_K", 256, 210},
    {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},
    {25, "I16", 1, 2},        {26, "I32", 1, 4},        {27, "I64", 1, 8},
    {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},   {30, "BF16", 1, 2},
    {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18},
}};

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_upper(x) == to_upper(y); });
}

}  // namespace

const TypeSize* find_type_size(uint32_t id) {
  const auto* found =
      std::lower_bound(kTypes.begin(), kTypes.end(), id,
                       [](const TypeSize& type, uint32_t i) { return type.id < i; });
  return found != kTypes.end() && found->id == id ? &*found : nullptr;
}

std::string_view type_name(uint32_t id) {
  const TypeSize* type = find_type_size(id);
  return type == nullptr ? "unknown" : type->name;
}

std::optional<uint32_t> find_type_id(std::string_view name) {
  for (const TypeSize& type : kTypes) {
    if (equal_ignoring_case(type.name, name)) return type.id;
  }
  return std::nullopt;
}

}  // namespace llmrun::gguf
