// Which layers slide: layer_types, or one full layer in every few.
#include "convert/families/windows.h"

#include "base/error.h"

namespace llmrun::convert {
namespace {

// From layer_types; empty when config.json does not list them.
std::vector<bool> windowed_layers(const Conversion& c, const Decoder& d) {
  std::vector<bool> windowed;
  for (const std::string& type : c.config().texts("layer_types")) {
    windowed.push_back(type == "sliding_attention");
    if (type == "sliding_attention" || type == "full_attention") continue;
    c.fail(ErrorCode::kUnsupported,
           fmt::format("layers of the type \"{}\" cannot be converted", type.substr(0, 64)));
  }
  if (!windowed.empty() && static_cast<int64_t>(windowed.size()) != d.n_layers) {
    c.fail(ErrorCode::kBadModel, fmt::format("layer_types lists {} layers, the model has {}",
                                             windowed.size(), d.n_layers));
  }
  return windowed;
}

}  // namespace

void leave_out_window(Conversion& c) {
  const Config& config = c.config();
  const int64_t window = config.integer("sliding_window", 0, {0, kMaxPositions});
  const bool in_use = config.flag("use_sliding_window", true);
  if (window == 0 || !in_use ||
      window >= config.integer("max_position_embeddings", 0, {0, kMaxPositions}))
    return;
  c.warn(
      fmt::format("the sliding window of {} tokens is left out: every layer sees the whole "
                  "context",
                  window));
}

void add_windows(Conversion& c, const Decoder& d, int64_t period) {
  const Config& config = c.config();
  const int64_t window = config.integer("sliding_window", 0, {0, kMaxPositions});
  if (window == 0) return;
  c.set_integer("attention.sliding_window", window);
  std::vector<bool> windowed = windowed_layers(c, d);
  const char* key =
      config.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  const int64_t own_period = config.integer(key, period, {1, kMaxLayers});
  const auto by_period = [](int64_t layer, int64_t n) { return layer % n != n - 1; };
  bool is_default = true;
  gguf::ArrayBuilder flags(gguf::ValueType::kBool);
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    const bool slides =
        windowed.empty() ? by_period(i, own_period) : windowed[static_cast<size_t>(i)];
    is_default = is_default && slides == by_period(i, period);
    flags.add(slides);
  }
  if (!is_default) {
    c.writer().add_metadata(c.architecture() + ".attention.sliding_window_pattern", flags);
  }
}

}  // namespace llmrun::convert
