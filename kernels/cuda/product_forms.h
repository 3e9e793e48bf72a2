// By which kernel rows are multiplied with weights of blocks. All forms give the same bits, so
// which one it is is a matter of speed alone: a table, by shape and generation of card.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace llmrun::kernels::cuda {

// Products of more rows are the work of tiles, which are what the table is about.
inline constexpr int kDecodeRows = 8;

enum class ProductForm : uint8_t {
  kMma,         // tile.cuh: mma.sync, on every card
  kWarpGroups,  // tile_warpgroup.cuh: wgmma, and copies by the copy engine; on 9.0a
};

// The last rule that fits counts; without one it is kMma.
struct ProductFormRule {
  int capability;        // of the card: 90 is 9.0
  int64_t from_rows;     // of the input
  int64_t from_outputs;  // of all products of the input
  ProductForm form;
};
inline constexpr ProductFormRule kProductFormRules[] = {
    {90, kDecodeRows + 1, 1, ProductForm::kMma},  // no card has timed kWarpGroups yet
};
inline constexpr bool kAnyWarpGroups =
    std::any_of(std::begin(kProductFormRules), std::end(kProductFormRules),
                [](const auto& rule) { return rule.form == ProductForm::kWarpGroups; });

constexpr ProductForm product_form(int capability, int64_t n_rows, int64_t n_out) {
  ProductForm form = ProductForm::kMma;
  for (const ProductFormRule& rule : kProductFormRules) {
    if (capability == rule.capability && n_rows >= rule.from_rows && n_out >= rule.from_outputs) {
      form = rule.form;
    }
  }
  return form;
}

// Rows as warp groups read them: for kPackRows rows and kPackUnits units of 32 values a piece that
// one copy brings, of int8 values [kPackHalves][kPackRows][16], their scales [kPackHalves]
// [kPackRows], and the scales times the sums, the same. What is not there is zeros.
inline constexpr int kPackRows = 128;
inline constexpr int kPackUnits = 4;
inline constexpr int kPackHalves = 2 * kPackUnits;  // of 16 values
inline constexpr int kPackValues = kPackHalves * kPackRows * 16;
inline constexpr int kPieceBytes =
    kPackValues + 2 * kPackHalves * kPackRows * static_cast<int>(sizeof(float));
constexpr int64_t n_row_pieces(int64_t n_rows) { return (n_rows + kPackRows - 1) / kPackRows; }
constexpr int64_t n_unit_pieces(int64_t width) {
  return (width + 32 * kPackUnits - 1) / (32 * kPackUnits);
}
constexpr size_t packed_bytes(int64_t n_rows, int64_t width) {
  return static_cast<size_t>(n_row_pieces(n_rows) * n_unit_pieces(width)) * kPieceBytes;
}

}  // namespace llmrun::kernels::cuda
