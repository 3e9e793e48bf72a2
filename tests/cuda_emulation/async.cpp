// Barriers, copies and products of warp groups.
#include "cuda_emulation/async.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda_emulation/cuda.h"

namespace cuda_emulation {
namespace {

constexpr int32_t kGarbage = 0x5a5a5a5a;

// What lies in the 8 bytes of a barrier.
struct Barrier {
  uint16_t count;  // of arrivals that end a phase
  uint16_t missing : 15;
  uint16_t phase : 1;
  int32_t bytes;  // that have been expected and have not come
};
static_assert(sizeof(Barrier) == sizeof(uint64_t));

Barrier get(const uint64_t* at) {
  Barrier barrier;
  std::memcpy(static_cast<void*>(&barrier), at, sizeof(barrier));
  return barrier;
}
void set(uint64_t* at, Barrier barrier) {
  if (barrier.missing == 0 && barrier.bytes == 0) {
    barrier.phase ^= 1;
    barrier.missing = barrier.count & 0x7fff;
    notify();
  }
  std::memcpy(at, static_cast<const void*>(&barrier), sizeof(barrier));
}

struct Copy {
  void* to;
  const void* from;
  uint32_t bytes;
  uint64_t* barrier;
};
struct Product {
  unsigned thread;
  int32_t* d;
  uint64_t a, b;
  bool committed;
};

// What has begun and not ended in the block that runs.
struct State {
  uint64_t block = 0;
  std::vector<Copy> copies;
  std::vector<Product> products;
};
State& state() {
  static State instance;
  if (instance.block != block_number()) instance = {block_number(), {}, {}};
  return instance;
}

bool has_ended(const void* barrier, uint32_t parity) {
  return get(static_cast<const uint64_t*>(barrier)).phase != parity;
}

// The copies that the barrier counts.
void land(uint64_t* barrier) {
  std::vector<Copy>& copies = state().copies;
  for (size_t i = 0; i < copies.size();) {
    if (copies[i].barrier != barrier) {
      ++i;
      continue;
    }
    std::memcpy(copies[i].to, copies[i].from, copies[i].bytes);
    Barrier counts = get(barrier);
    counts.bytes -= static_cast<int32_t>(copies[i].bytes);
    copies.erase(copies.begin() + static_cast<ptrdiff_t>(i));
    set(barrier, counts);
  }
}

// Bits [from, from + 14) of a descriptor, which are sixteenths.
uint32_t field(uint64_t descriptor, unsigned from) {
  return static_cast<uint32_t>(descriptor >> from & 0x3fffU) << 4;
}
int8_t value_at(uint64_t descriptor, uint32_t row, uint32_t byte) {
  const uint32_t at = field(descriptor, 0) + byte / 16 * field(descriptor, 16) +
                      row / 8 * field(descriptor, 32) + row % 8 * 16 + byte % 16;
  return static_cast<int8_t>(*shared_byte(at));
}

// The 32 lanes' part of a product that all of them have asked for.
void make_product(void* const* frames, unsigned) {
  const auto* const first = static_cast<const Product*>(frames[0]);
  int8_t left[16][32], right[64][32];
  const uint32_t row0 = first->thread / 32 % 4 * 16;
  for (uint32_t k = 0; k < 32; ++k) {
    for (uint32_t m = 0; m < 16; ++m) left[m][k] = value_at(first->a, row0 + m, k);
    for (uint32_t n = 0; n < 64; ++n) right[n][k] = value_at(first->b, n, k);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto* const product = static_cast<const Product*>(frames[lane]);
    if (product->a != first->a || product->b != first->b) {
      fail("lanes of a warp group name different matrices");
    }
    for (int i = 0; i < 32; ++i) {
      const int m = lane / 4 + i / 2 % 2 * 8;
      const int n = i / 4 * 8 + lane % 4 * 2 + i % 2;
      int32_t sum = 0;
      for (int k = 0; k < 32; ++k) sum += left[m][k] * right[n][k];
      product->d[i] = sum;
    }
  }
}

}  // namespace

uint32_t shared_address(const void* p) { return static_cast<uint32_t>(shared_offset(p)); }

// ---- barriers ----------------------------------------------------------------------------------

void barrier_init(uint64_t* barrier, uint32_t count) {
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("a barrier that is not aligned");
  shared_address(barrier);
  set(barrier, {static_cast<uint16_t>(count), static_cast<uint16_t>(count & 0x7fff), 0, 0});
}

void barrier_arrive(uint64_t* barrier, uint32_t bytes) {
  Barrier counts = get(barrier);
  if (counts.count == 0xffff) fail("an arrival at a barrier that was not made");
  if (counts.missing == 0) fail("more arrivals than a phase of a barrier has");
  counts.missing = static_cast<uint16_t>(counts.missing - 1) & 0x7fff;
  counts.bytes += static_cast<int32_t>(bytes);
  set(barrier, counts);
}

void barrier_wait(uint64_t* barrier, uint32_t parity, const Location& where) {
  if (get(barrier).count == 0xffff) fail("a wait for a barrier that was not made");
  while (!has_ended(barrier, parity)) {
    land(barrier);
    if (!has_ended(barrier, parity)) wait_for_notice("mbarrier.try_wait", where);
  }
}

// ---- copies ------------------------------------------------------------------------------------

void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
  if (reinterpret_cast<uintptr_t>(from) % 16 != 0 || shared_address(to) % 16 != 0 ||
      bytes % 16 != 0) {
    fail("a bulk copy that is not aligned");
  }
  std::memset(to, 0x5a, bytes);
  state().copies.push_back({to, from, bytes, barrier});
  notify();  // who waits for the barrier brings it
}

// ---- products ----------------------------------------------------------------------------------

void wgmma_m64n64k32_s8(int32_t (&d)[32], uint64_t a, uint64_t b, const Location& where) {
  if (blockDim.x % 128 != 0) fail("a product of a warp group that is none");
  if ((a | b) >> 46 != 0) fail("a descriptor with bits that are not modelled");
  meet(~0U, "wgmma.mma_async", where, nullptr, [](void* const*, unsigned) {});
  std::fill(std::begin(d), std::end(d), kGarbage);
  state().products.push_back({threadIdx.x, d, a, b, false});
}

void wgmma_commit() {
  for (Product& product : state().products) {
    if (product.thread == threadIdx.x) product.committed = true;
  }
}

void wgmma_wait(const Location& where) {
  for (;;) {
    std::vector<Product>& products = state().products;
    const auto next = std::find_if(products.begin(), products.end(), [](const Product& product) {
      return product.thread == threadIdx.x && product.committed;
    });
    if (next == products.end()) return;
    Product product = *next;
    products.erase(next);
    meet(~0U, "wgmma.wait_group", where, &product, make_product);
  }
}

}  // namespace cuda_emulation
