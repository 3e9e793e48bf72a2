// How a model knows where a token stands: ropes, learned positions, sliding windows.
#pragma once

#include "models/common/tensors.h"

namespace llmrun::models {

enum class Factors : uint8_t {
  kNone,
  kRopeFreqs,      // rope_freqs.weight, when it is there
  kLongShort,      // rope_factors_long/short, when they are there
  kByScalingType,  // the latter with rope.scaling.type longrope; rope_freqs wins
};
struct RopeOptions {
  bool split_halves = false;
  Factors factors = Factors::kNone;
  int64_t n_dims = -1;           // -1: rope.dimension_count
  double base = 0.0;             // 0: rope.freq_base (10000)
  bool scaled = true;            // false: the rope.scaling keys do not apply,
  bool keep_magnitude = false;   // but for attn_factor
  bool yarn_beta_keys = false;   // yarn_beta_fast, yarn_beta_slow and yarn_log_multiplier are read
  float yarn_beta_fast = 32.0F;  // without the key
  runtime::RopeSections sections = runtime::RopeSections::kNone;
};
runtime::Rope rope(ModelMetadata& m, const RopeOptions& options);
// Adds it to the spec; the index is what attention() wants.
int add_rope(ModelSpec& spec, runtime::Rope rope);
int add_rope(ModelMetadata& m, ModelSpec& spec, const RopeOptions& options);

// Interleaved pairs; but halves with sections when rope.dimension_sections names at least two.
RopeOptions sectioned_rope(ModelMetadata& m);
// Halves, whose pairs follow sections when the file has rope.dimension_sections.
RopeOptions halves_with_sections(ModelMetadata& m, runtime::RopeSections kind);
// In halves, for layers with a window that have rope.freq_base_swa or 10000 as base and are not
// scaled (but for attn_factor).
RopeOptions own_window_rope(ModelMetadata& m, int64_t n_dims);
// rope.dimension_count_swa, the rotated dims of layers with a window.
int64_t window_rope_dims(ModelMetadata& m);
// rope.freq_base_swa, the base of layers with a window.
double window_rope_base(ModelMetadata& m, double fallback);
// The same, with rope.freq_base without it.
double window_rope_base(ModelMetadata& m);
// position_embd.weight, one row per position up to context_length.
void learned_positions(ModelMetadata& m, ModelSpec& spec);

// attention.sliding_window; 0: none.
int64_t window_size(ModelMetadata& m, int64_t fallback);
int64_t required_window(ModelMetadata& m);
// Which layers have the sliding window of attention.sliding_window.
class WindowPattern {
 public:
  enum class Full : uint8_t { kLast, kFirst };  // the full layer of every period
  // attention.sliding_window_pattern: one flag per layer, or a period n of which the last (or the
  // first) layer is full; 0: none is. `period` is used when there is no key.
  WindowPattern(ModelMetadata& m, int64_t window, int64_t period, Full full = Full::kLast);
  // The window of a layer in tokens; 0: it sees everything.
  [[nodiscard]] int64_t window(int64_t layer) const;
  [[nodiscard]] bool windowed(int64_t layer) const { return window(layer) > 0; }

 private:
  int64_t window_;
  int64_t period_;
  Full full_;
  std::vector<int64_t> flags_;
};

// The window and a flag for each layer, which both must be there.
WindowPattern required_pattern(ModelMetadata& m);

// The ropes of a model whose windowed layers have one of their own.
struct WindowRopes {
  int full = runtime::kNoRope;
  int windowed = runtime::kNoRope;
  [[nodiscard]] int of(const WindowPattern& pattern, int64_t layer) const {
    return pattern.windowed(layer) ? windowed : full;
  }
};
// Without a base of its own, `windowed` takes rope.freq_base_swa, or else rope.freq_base.
WindowRopes window_ropes(ModelMetadata& m, ModelSpec& spec, const RopeOptions& full,
                         RopeOptions windowed);
// Ropes that differ in the base alone.
WindowRopes window_ropes(ModelMetadata& m, ModelSpec& spec, const RopeOptions& both);

}  // namespace llmrun::models
