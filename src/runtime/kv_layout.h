// Where the keys and values of each layer lie in the pages of the cache. Layers that see all of a
// text have pages of their own, and so have those with a sliding window: pages that a window has
// left behind go back to the pool, so such a layer takes memory for its window only. Where layers
// are divided among devices, so is every page: each device has the part of its layers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/ops.h"
#include "runtime/layer_devices.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

enum PageGroup : uint8_t { kWholeGroup, kWindowGroup };
inline constexpr size_t kPageGroups = 2;
using PageCounts = std::array<int64_t, kPageGroups>;  // one number per group

struct KvLayout {
  struct Layer {
    KvShape shape;
    PageGroup group = kWholeGroup;
    size_t k_offset = 0;  // in the device's part of a page
    size_t v_offset = 0;
    uint8_t device = 0;
  };
  using PageBytes = std::array<size_t, kPageGroups>;
  std::vector<Layer> layers;  // with shares: those of the first, then those of the second, …
  size_t n_shares = 1;        // devices that have heads of every layer
  PageBytes page_bytes{};     // over all devices
  std::vector<PageBytes> device_bytes;  // of the part of a page that each device has
  // Tokens before the next one that the widest window sees, it included; 0: no layer has pages in
  // the window group.
  int64_t window = 0;
};

// What pages are for: kPass pages live for one pass that reads whole sequences, so that each layer
// may write over the layer before it, and a page is as large as the largest layer only.
enum class PageUse : uint8_t { kSequence, kPass };
// A window that is no shorter than the context is none.
KvLayout kv_layout(const ModelSpec& spec, kernels::CacheType k_type, kernels::CacheType v_type,
                   int64_t context_tokens, PageUse use = PageUse::kSequence,
                   const LayerDevices& devices = {});

// Adds the heads of one more device to a layout of the same layers.
void add_share(KvLayout& layout, const KvLayout& share);

constexpr int64_t pages_for(int64_t n_tokens) {
  return (n_tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}
// Tokens behind a window that stay, so that a sequence can go back a little (rejected drafts).
inline constexpr int64_t kWindowSlack = kernels::kPageTokens;
// Pages of the window group that a sequence holds at most between two passes.
constexpr int64_t window_pages(int64_t window) { return pages_for(window + kWindowSlack) + 1; }

}  // namespace llmrun::runtime
