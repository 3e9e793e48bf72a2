// Groups the layers and gives each its place in a page.
#include "runtime/kv_layout.h"

#include <algorithm>

namespace llmrun::runtime {
namespace {

constexpr size_t kSectionAlignment = 64;

size_t section_bytes(int64_t n_heads, kernels::CacheType type, int64_t dim) {
  if (n_heads == 0 || dim == 0) return 0;
  const size_t bytes =
      static_cast<size_t>(n_heads * kernels::kPageTokens) * kernels::cache_row_bytes(type, dim);
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

// Tokens that a query of the layer sees at most, itself included; 0: all.
int64_t window_of(const LayerSpec& layer) {
  const auto* attention = std::get_if<Attention>(&layer.mixer);
  if (attention == nullptr) return 0;
  if (attention->window > 0 && attention->chunk > 0) {
    return std::min(attention->window, attention->chunk);
  }
  return std::max(attention->window, attention->chunk);
}

}  // namespace

KvLayout kv_layout(const ModelSpec& spec, kernels::CacheType k_type, kernels::CacheType v_type,
                   int64_t context_tokens, PageUse use, const LayerDevices& devices) {
  KvLayout layout;
  layout.device_bytes.resize(devices.count);
  const bool may_forget = spec.causal && use == PageUse::kSequence;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const LayerSpec& layer = spec.layers[i];
    const KvShape shape = kv_shape(layer);
    const int64_t window = window_of(layer);
    const bool forgets = may_forget && window > 0 && shape.n_kv_heads > 0 &&
                         window_pages(window) < pages_for(context_tokens);
    const PageGroup group = forgets ? kWindowGroup : kWholeGroup;
    if (forgets) layout.window = std::max(layout.window, window);
    const uint8_t device = devices[i];
    size_t& page_bytes = layout.device_bytes[device][group];
    const size_t k_offset = use == PageUse::kPass ? 0 : page_bytes;
    const size_t v_offset = k_offset + section_bytes(shape.n_kv_heads, k_type, shape.k_dim);
    const size_t end = v_offset + section_bytes(shape.n_kv_heads, v_type, shape.v_dim);
    page_bytes = std::max(page_bytes, end);
    layout.layers.push_back({shape, group, k_offset, v_offset, device});
  }
  for (const KvLayout::PageBytes& bytes : layout.device_bytes) {
    for (size_t group = 0; group < kPageGroups; ++group) layout.page_bytes[group] += bytes[group];
  }
  return layout;
}

void add_share(KvLayout& layout, const KvLayout& share) {
  for (KvLayout::Layer layer : share.layers) {
    layer.device = static_cast<uint8_t>(layout.n_shares);
    layout.layers.push_back(layer);
  }
  ++layout.n_shares;
  layout.device_bytes.push_back(share.page_bytes);
  for (size_t group = 0; group < kPageGroups; ++group) {
    layout.page_bytes[group] += share.page_bytes[group];
  }
}

}  // namespace llmrun::runtime
