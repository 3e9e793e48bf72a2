// Parts and their sum; the largest number of layers whose sum fits.
#include "runtime/device_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace llmrun::runtime {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
// What the driver takes for a context with our kernels, and keeps from programs. An assumption on
// the safe side, which a card has yet to confirm.
constexpr uint64_t kContextBytes = 600 * kMiB;
// The driver hands out memory in pieces of 2 MiB; a plan makes no more than 8 allocations.
constexpr uint64_t kRoundingBytes = 8 * 2 * kMiB;
constexpr uint64_t kTensorAlignment = 256;

// Saturates: sizes come from files.
uint64_t add(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

struct Sums {
  uint64_t weights = 0, cache = 0, read = 0;
  void include(const LayerNeed& need) {
    weights = add(weights, need.weight_bytes);
    cache = add(cache, need.cache_bytes);
    read = add(read, add(need.read_bytes, need.cache_bytes));
  }
};

// What one card holds.
struct Share {
  Sums sums;
  size_t n_layers = 0;
  bool input = false, output = false;
  uint64_t copies = 0;  // of weights that others have too
  [[nodiscard]] bool any() const { return n_layers > 0 || input || output; }
};

// What a pass takes of every card that has a layer, besides what is the layers' own.
uint64_t pass_bytes(const ModelNeed& need) {
  uint64_t bytes = device_rounding_bytes(need.n_tensors);
  for (const uint64_t more : {need.activation_bytes, need.workspace_bytes, need.table_bytes}) {
    bytes = add(bytes, more);
  }
  return bytes;
}

uint64_t total_of(const ModelNeed& need, const Share& share) {
  if (!share.any()) return kContextBytes;
  const uint64_t own = add(add(share.sums.weights, share.sums.cache), share.copies);
  return add(kContextBytes, add(own, pass_bytes(need)));
}

class Division {
 public:
  Division(const ModelNeed& need, std::span<const DeviceRequest> cards)
      : need_(need), cards_(cards) {}

  // The shares of the cards, and of the host at the end.
  [[nodiscard]] std::vector<Share> shares(const std::vector<int>& layers) const {
    std::vector<Share> shares(cards_.size() + 1);
    const auto at = [&](int card) -> Share& {
      return card == kHost ? shares.back() : shares[static_cast<size_t>(card)];
    };
    for (size_t i = 0; i < layers.size(); ++i) {
      at(layers[i]).sums.include(need_.layers[i]);
      ++at(layers[i]).n_layers;
    }
    const int first = layers.empty() ? 0 : layers.front();
    const int last = layers.empty() ? 0 : layers.back();
    at(first).sums.include(need_.input);
    at(first).input = true;
    at(last).sums.include(need_.output);
    at(last).output = true;
    if (first != last && first != kHost) at(first).copies = need_.tied_bytes;
    for (size_t i = 0; i < cards_.size(); ++i) {
      if (shares[i].n_layers == layers.size()) continue;
      shares[i].copies = add(shares[i].copies, need_.shared_bytes);
    }
    return shares;
  }

  [[nodiscard]] bool fits(const std::vector<Share>& shares) const {
    for (size_t i = 0; i < cards_.size(); ++i) {
      if (total_of(need_, shares[i]) > cards_[i].memory_bytes) return false;
    }
    return true;
  }

  // The last n layers that a card can run, on cards.
  [[nodiscard]] std::vector<int> divide(size_t n) const {
    std::vector<size_t> chosen;
    for (size_t i = need_.layers.size(); i-- > 0 && chosen.size() < n;) {
      if (!need_.layers[i].host_only) chosen.push_back(i);
    }
    std::vector<int> layers = by_memory(chosen);
    return cards_.size() == 1 || fits(shares(layers)) ? layers : greedily(chosen);
  }

  // As many as fit. All of them need no copies; below that, more layers never take less.
  [[nodiscard]] std::vector<int> divide_most() const {
    std::vector<int> best = divide(need_.layers.size());
    if (fits(shares(best))) return best;
    best = divide(0);
    size_t fitting = 0, too_many = need_.layers.size();
    while (too_many - fitting > 1) {
      const size_t n = fitting + (too_many - fitting) / 2;
      std::vector<int> layers = divide(n);
      if (fits(shares(layers))) {
        best = std::move(layers);
        fitting = n;
      } else {
        too_many = n;
      }
    }
    return best;
  }

 private:
  // `chosen` has the last layer first. Cards take theirs in proportion to what they have free.
  [[nodiscard]] std::vector<int> by_memory(const std::vector<size_t>& chosen) const {
    std::vector<int> layers(need_.layers.size(), kHost);
    const auto bytes_of = [&](size_t i) {
      return static_cast<double>(need_.layers[i].weight_bytes) +
             static_cast<double>(need_.layers[i].cache_bytes);
    };
    double all = 0.0, free = 0.0;
    for (const size_t i : chosen) all += bytes_of(i);
    for (const DeviceRequest& card : cards_) free += static_cast<double>(card.memory_bytes);
    int card = static_cast<int>(cards_.size()) - 1;
    double room = 0.0, taken = 0.0;  // of this card and those after it
    const auto open = [&] {
      room += all * static_cast<double>(cards_[static_cast<size_t>(card)].memory_bytes) / free;
    };
    open();
    for (const size_t i : chosen) {
      // To the card that has the layer's middle.
      while (card > 0 && taken + bytes_of(i) / 2 > room) {
        --card;
        open();
      }
      layers[i] = card;
      taken += bytes_of(i);
    }
    return layers;
  }

  // The last card takes what it can, then the one before it.
  [[nodiscard]] std::vector<int> greedily(const std::vector<size_t>& chosen) const {
    std::vector<int> layers(need_.layers.size(), kHost);
    int card = static_cast<int>(cards_.size()) - 1;
    for (const size_t i : chosen) {
      layers[i] = card;
      while (card > 0 && !fits(shares(layers))) layers[i] = --card;
    }
    return layers;
  }

  const ModelNeed& need_;
  std::span<const DeviceRequest> cards_;
};

DevicePlan describe(const ModelNeed& need, const DeviceRequest& card, const Share& share) {
  DevicePlan plan;
  const size_t n_all = need.layers.size();
  plan.n_layers = static_cast<int64_t>(share.n_layers);
  plan.n_layers_all = static_cast<int64_t>(n_all);
  plan.memory_bytes = card.memory_bytes;
  plan.whole = share.n_layers == n_all;
  const auto part = [&](const char* component, uint64_t bytes, std::string detail) {
    if (bytes == 0) return;
    plan.parts.push_back({component, bytes, std::move(detail)});
    plan.total_bytes = add(plan.total_bytes, bytes);
  };
  part("GPU context", kContextBytes, "what the driver takes for itself and our kernels");
  if (share.any()) {
    const char* const more = share.input && share.output ? ", embedding and head"
                             : share.output              ? " and the head"
                             : share.input               ? " and the embedding"
                                                         : "";
    part("weights", share.sums.weights,
         fmt::format("{} of {} layers{}", share.n_layers, n_all, more));
    part("copies", share.copies, "of weights that other devices have too");
    part("alignment", device_rounding_bytes(need.n_tensors),
         fmt::format("{} tensors of {} bytes each, pieces of 2 MiB", need.n_tensors,
                     kTensorAlignment));
    part("cache", share.sums.cache, "keys, values and states of these layers");
    part("activations", need.activation_bytes, "one forward pass");
    part("workspace", need.workspace_bytes, "scratch of the kernels, and the ring for uploads");
    part("position tables", need.table_bytes, "angles and slopes");
  }
  plan.fits = plan.total_bytes <= plan.memory_bytes;
  return plan;
}

// 0: the speed of something that is read is not known.
double most_tokens_per_second(std::span<const DeviceRequest> cards,
                              const std::vector<Share>& shares) {
  double seconds = 0.0;
  for (size_t i = 0; i < shares.size(); ++i) {
    const auto bytes = static_cast<double>(shares[i].sums.read);
    if (bytes == 0.0) continue;
    const double speed =
        i < cards.size() ? cards[i].bytes_per_second : cards[0].host_bytes_per_second;
    if (speed <= 0.0) return 0.0;
    seconds += bytes / speed;
  }
  return seconds > 0.0 ? 1.0 / seconds : 0.0;
}

}  // namespace

uint64_t device_context_bytes() { return kContextBytes; }
uint64_t device_rounding_bytes(uint64_t n_tensors) {
  return add(kRoundingBytes, n_tensors * kTensorAlignment);
}

DivisionPlan plan_division(const ModelNeed& need, std::span<const DeviceRequest> cards,
                           std::optional<int64_t> wanted) {
  const Division division(need, cards);
  const auto n_all = static_cast<int64_t>(need.layers.size());
  DivisionPlan plan;
  plan.layers = wanted
                    ? division.divide(static_cast<size_t>(std::clamp<int64_t>(*wanted, 0, n_all)))
                    : division.divide_most();
  const std::vector<Share> shares = division.shares(plan.layers);
  plan.host_bytes = add(shares.back().sums.weights, shares.back().sums.cache);
  plan.n_layers = n_all - static_cast<int64_t>(shares.back().n_layers);
  plan.whole = plan.n_layers == n_all;
  plan.fits = division.fits(shares);
  plan.most_tokens_per_second = most_tokens_per_second(cards, shares);
  for (size_t i = 0; i < cards.size(); ++i) {
    plan.cards.push_back(describe(need, cards[i], shares[i]));
  }
  return plan;
}

DevicePlan plan_device(const ModelNeed& need, const DeviceRequest& request) {
  DivisionPlan division = plan_division(need, std::span(&request, 1), request.layers);
  DevicePlan plan = std::move(division.cards[0]);
  plan.host_bytes = division.host_bytes;
  plan.most_tokens_per_second = division.most_tokens_per_second;
  return plan;
}

}  // namespace llmrun::runtime
