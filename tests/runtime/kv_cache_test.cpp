// Page bookkeeping: what is taken comes back, what is shared is counted, nothing is lost.
#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace llmrun::runtime {
namespace {

constexpr int64_t kContext = 200;  // 4 pages
constexpr int64_t kSequences = 3;
constexpr int64_t kPages = 12;

ModelSpec two_layers() {
  ModelSpec spec;
  Attention attention;
  attention.n_heads = attention.n_kv_heads = 2;
  attention.k_dim = 8;
  attention.v_dim = 4;
  spec.layers.resize(2);
  for (LayerSpec& layer : spec.layers) layer.mixer = attention;
  return spec;
}

KvCache make_cache() {
  KvLayout layout =
      kv_layout(two_layers(), kernels::CacheType::kF32, kernels::CacheType::kF16, kContext);
  const auto backend = kernels::make_reference_backend();
  auto buffer = backend->allocate(layout.page_bytes[kWholeGroup] * kPages);
  return {std::move(layout), std::move(*buffer), {kPages, 0}, kSequences, kContext};
}

TEST(KvLayout, HasRoomForEveryLayer) {
  const KvLayout layout =
      kv_layout(two_layers(), kernels::CacheType::kF32, kernels::CacheType::kF16, kContext);
  constexpr size_t kKeys = 2 * 64 * 8 * 4, kValues = 2 * 64 * 4 * 2;
  EXPECT_EQ(layout.page_bytes[kWholeGroup], 2 * (kKeys + kValues));
  EXPECT_EQ(layout.layers[0].v_offset, kKeys);
  EXPECT_EQ(layout.layers[1].k_offset, kKeys + kValues);
}

TEST(KvCache, TakesAndReturnsPages) {
  KvCache cache = make_cache();
  EXPECT_EQ(cache.free_tokens(), kSequences * kContext);
  const auto id = cache.open().value();
  EXPECT_EQ(cache.pages_needed(id, 64)[kWholeGroup], 1);
  EXPECT_EQ(cache.pages_needed(id, 65)[kWholeGroup], 2);
  cache.append(id, 65);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages - 2);
  EXPECT_EQ(cache.pages_needed(id, 63)[kWholeGroup], 0);
  EXPECT_EQ(cache.table(id, 0).k_pages.size(), 2U);
  std::byte* const first_layer = cache.table(id, 0).k_pages[0];
  EXPECT_NE(first_layer, cache.table(id, 1).k_pages[0]);
  cache.truncate(id, 64);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages - 1);
  cache.close(id);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages);
  EXPECT_FALSE(cache.is_open(id));
  cache.close(id);  // harmless
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages);
}

TEST(KvCache, SharedPagesStayUntilTheLastOwnerCloses) {
  KvCache cache = make_cache();
  const auto parent = cache.open().value();
  cache.append(parent, 130);
  cache.table(parent, 0).k_pages[2][5] = std::byte{42};
  const auto child = cache.fork(parent, 130).value();
  EXPECT_EQ(cache.length(child), 130);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages - 4);  // two shared, and two ends
  EXPECT_EQ(cache.table(child, 0).k_pages[2][5], std::byte{42});
  cache.close(parent);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages - 3);
  cache.close(child);
  EXPECT_EQ(cache.free_pages()[kWholeGroup], kPages);
}

TEST(KvCache, WritesToASharedPageGoToACopy) {
  KvCache cache = make_cache();
  const auto parent = cache.open().value();
  cache.append(parent, 64);
  std::byte* const page = cache.table(parent, 0).k_pages[0];
  page[5] = std::byte{42};
  const auto child = cache.fork(parent, 64).value();
  EXPECT_EQ(cache.table(child, 0).k_pages[0], page);
  cache.truncate(child, 10);
  EXPECT_EQ(cache.pages_needed(child, 1)[kWholeGroup], 1);
  cache.append(child, 1);
  EXPECT_NE(cache.table(child, 0).k_pages[0], page);
  EXPECT_EQ(cache.table(child, 0).k_pages[0][5], std::byte{42});
  EXPECT_EQ(cache.table(parent, 0).k_pages[0], page);
}

// Random histories: the pages in use are exactly those that the sequences hold.
TEST(KvCache, LosesNothing) {
  KvCache cache = make_cache();
  std::mt19937 random(7);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(n));
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto id = static_cast<SequenceId>(below(kSequences));
    switch (below(4)) {
      case 0:
        if (!cache.is_open(id)) {
          (void)cache.open();
        } else {
          (void)cache.fork(id, below(kContext));
        }
        break;
      case 1:
        cache.close(id);
        break;
      case 2:
        cache.truncate(id, below(kContext));
        break;
      default: {
        if (!cache.is_open(id)) break;
        const int64_t room = kContext - cache.length(id);
        const int64_t n = room > 0 ? 1 + below(room) : 0;
        if (n > 0 && cache.pages_needed(id, n)[kWholeGroup] <= cache.free_pages()[kWholeGroup])
          cache.append(id, n);
      }
    }
    std::vector<std::byte*> used;
    for (SequenceId s = 0; s < kSequences; ++s) {
      if (!cache.is_open(s)) continue;
      const auto pages = cache.table(s, 0).k_pages;
      used.insert(used.end(), pages.begin(), pages.end());
    }
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    ASSERT_EQ(static_cast<int64_t>(used.size()) + cache.free_pages()[kWholeGroup], kPages);
  }
}

}  // namespace
}  // namespace llmrun::runtime
