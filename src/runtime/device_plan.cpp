// Parts and their sum; the largest number of layers whose sum fits.
#include "runtime/device_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

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

// The experts of a layer, and what else it has.
LayerNeed experts_of(const LayerNeed& layer) {
  LayerNeed need;
  need.weight_bytes = layer.expert_bytes;
  need.read_bytes = layer.expert_read_bytes;
  return need;
}
LayerNeed without_experts(LayerNeed need) {
  need.weight_bytes -= need.expert_bytes;
  need.read_bytes -= need.expert_read_bytes;
  return need;
}

// What one card holds.
struct Share {
  Sums sums;
  size_t n_layers = 0;
  int64_t n_cpu_experts = 0;  // of these layers, those whose experts the host has
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
  // The experts of the first `cpu_experts` layers that have some stay in main memory.
  Division(const ModelNeed& need, std::span<const DeviceRequest> cards, int64_t cpu_experts)
      : need_(need), cards_(cards) {
    for (int64_t n = 0; first_with_experts_ < need.layers.size(); ++first_with_experts_) {
      if (need.layers[first_with_experts_].expert_bytes > 0 && n++ == cpu_experts) break;
    }
  }

  // Of a layer on a card.
  [[nodiscard]] bool experts_stay(size_t i) const {
    return i < first_with_experts_ && need_.layers[i].expert_bytes > 0;
  }

  // The shares of the cards, and of the host at the end.
  [[nodiscard]] std::vector<Share> shares(const std::vector<int>& layers) const {
    std::vector<Share> shares(cards_.size() + 1);
    const auto at = [&](int card) -> Share& {
      return card == kHost ? shares.back() : shares[static_cast<size_t>(card)];
    };
    for (size_t i = 0; i < layers.size(); ++i) {
      Share& share = at(layers[i]);
      ++share.n_layers;
      const bool divided = layers[i] != kHost && experts_stay(i);
      share.sums.include(divided ? without_experts(need_.layers[i]) : need_.layers[i]);
      if (!divided) continue;
      ++share.n_cpu_experts;
      shares.back().sums.include(experts_of(need_.layers[i]));
    }
    const int first = layers.empty() ? 0 : layers.front();
    const int last = layers.empty() ? 0 : layers.back();
    at(first).sums.include(need_.input);
    at(first).input = true;
    at(last).sums.include(need_.output);
    at(last).output = true;
    if (first != last && first != kHost) at(first).copies = need_.tied_bytes;
    for (size_t i = 0; i < cards_.size(); ++i) {
      if (shares[i].n_layers == layers.size() && shares[i].n_cpu_experts == 0) continue;
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
      const LayerNeed& whole = need_.layers[i];
      const LayerNeed layer = experts_stay(i) ? without_experts(whole) : whole;
      return static_cast<double>(layer.weight_bytes) + static_cast<double>(layer.cache_bytes);
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
  size_t first_with_experts_ = 0;  // of the layers that have theirs where they are
};

// A division that was made.
struct Divided {
  Divided(const Division& division, std::vector<int> of_layers)
      : layers(std::move(of_layers)), shares(division.shares(layers)), fits(division.fits(shares)) {
    for (size_t i = 0; i < layers.size(); ++i) {
      cpu_experts.push_back(layers[i] != kHost && division.experts_stay(i));
    }
  }
  [[nodiscard]] size_t n_on_cards() const { return layers.size() - shares.back().n_layers; }
  [[nodiscard]] TokenReads reads() const {
    TokenReads reads;
    for (const Share& share : shares) reads.cards.push_back(share.sums.read);
    reads.host = reads.cards.back();
    reads.cards.pop_back();
    for (size_t i = 0; i < layers.size(); ++i) {
      if (i > 0 && layers[i] != layers[i - 1]) ++reads.n_crossings;
      if (cpu_experts[i]) reads.n_crossings += 2;  // there and back
    }
    return reads;
  }

  std::vector<int> layers;
  std::vector<bool> cpu_experts;
  std::vector<Share> shares;
  bool fits;
};

class Planner {
 public:
  Planner(const ModelNeed& need, std::span<const DeviceRequest> cards,
          std::optional<int64_t> layers)
      : need_(need), cards_(cards) {
    const auto n_all = static_cast<int64_t>(need.layers.size());
    if (layers) layers_ = static_cast<size_t>(std::clamp<int64_t>(*layers, 0, n_all));
  }

  [[nodiscard]] Divided with_experts_out(int64_t cpu_experts) const {
    const Division division(need_, cards_, cpu_experts);
    return {division, layers_ ? division.divide(*layers_) : division.divide_most()};
  }

  // A card's memory is the faster one and a token reads the same bytes in all, so the best division
  // is the one in which it reads the least of main memory.
  [[nodiscard]] Divided best() const {
    Divided whole_layers = with_experts_out(0);
    const auto n_able =
        static_cast<size_t>(std::count_if(need_.layers.begin(), need_.layers.end(),
                                          [](const LayerNeed& layer) { return !layer.host_only; }));
    const bool all_there = whole_layers.n_on_cards() == std::min(n_able, layers_.value_or(n_able));
    const int64_t most = need_.n_expert_layers();
    if (most == 0 || (whole_layers.fits && all_there)) return whole_layers;
    Divided experts = fewest_experts_out(most);
    const bool better = experts.fits && experts.reads().host < whole_layers.reads().host;
    return better || !whole_layers.fits ? experts : whole_layers;
  }

 private:
  // With as many layers on cards as there can be without any experts.
  [[nodiscard]] Divided fewest_experts_out(int64_t most) const {
    Divided best = with_experts_out(most);
    if (!best.fits) return best;
    const size_t n_layers = best.n_on_cards();
    int64_t too_few = 0, enough = most;
    while (enough - too_few > 1) {
      const int64_t n = too_few + (enough - too_few) / 2;
      const Division division(need_, cards_, n);
      Divided divided(division, division.divide(n_layers));
      (divided.fits ? enough : too_few) = n;
      if (divided.fits) best = std::move(divided);
    }
    return best;
  }

  const ModelNeed& need_;
  std::span<const DeviceRequest> cards_;
  std::optional<size_t> layers_;
};

DevicePlan describe(const ModelNeed& need, const DeviceRequest& card, const Share& share) {
  DevicePlan plan;
  const size_t n_all = need.layers.size();
  plan.n_layers = static_cast<int64_t>(share.n_layers);
  plan.n_layers_all = static_cast<int64_t>(n_all);
  plan.n_cpu_experts = share.n_cpu_experts;
  plan.memory_bytes = card.memory_bytes;
  plan.whole = share.n_layers == n_all && share.n_cpu_experts == 0;
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
         fmt::format("{} of {} layers{}{}{}", share.n_layers, n_all, more,
                     share.n_cpu_experts == 0
                         ? ""
                         : fmt::format(", without the experts of {}", share.n_cpu_experts),
                     need.adapter_bytes == 0 ? "" : ", and what adapters have for them"));
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
  plan.read_bytes = share.sums.read;
  return plan;
}

}  // namespace

uint64_t device_context_bytes() { return kContextBytes; }
uint64_t device_rounding_bytes(uint64_t n_tensors) {
  return add(kRoundingBytes, n_tensors * kTensorAlignment);
}

int64_t ModelNeed::n_expert_layers() const {
  return std::count_if(layers.begin(), layers.end(),
                       [](const LayerNeed& layer) { return layer.expert_bytes > 0; });
}

Result<void> check_cpu_experts(const ModelNeed& need, std::optional<int64_t> wanted) {
  const int64_t most = need.n_expert_layers();
  if (!wanted) return {};
  if (most == 0) {
    return make_error(ErrorCode::kUsage,
                      "--cpu-experts has no effect: the model has no experts; --gpu-layers says "
                      "how many of its layers a GPU has");
  }
  if (*wanted >= 0 && *wanted <= most) return {};
  return make_error(
      ErrorCode::kUsage,
      "--cpu-experts is {}, and {} layers of the model have experts; give 0 to {}, or "
      "auto",
      *wanted, most, most);
}

DivisionPlan plan_division(const ModelNeed& need, std::span<const DeviceRequest> cards,
                           std::optional<int64_t> layers, std::optional<int64_t> cpu_experts) {
  const Planner planner(need, cards, layers);
  Divided divided = cpu_experts ? planner.with_experts_out(*cpu_experts) : planner.best();
  const std::vector<Share>& shares = divided.shares;
  DivisionPlan plan;
  plan.reads = divided.reads();
  plan.layers = std::move(divided.layers);
  plan.cpu_experts = std::move(divided.cpu_experts);
  plan.host_bytes = add(shares.back().sums.weights, shares.back().sums.cache);
  plan.n_layers = static_cast<int64_t>(plan.layers.size() - shares.back().n_layers);
  plan.n_cpu_experts = std::count(plan.cpu_experts.begin(), plan.cpu_experts.end(), true);
  plan.whole = shares.back().n_layers == 0 && plan.n_cpu_experts == 0;
  plan.fits = divided.fits;
  for (size_t i = 0; i < cards.size(); ++i) {
    plan.cards.push_back(describe(need, cards[i], shares[i]));
  }
  return plan;
}

DevicePlan plan_device(const ModelNeed& need, const DeviceRequest& request) {
  DivisionPlan division =
      plan_division(need, std::span(&request, 1), request.layers, request.cpu_experts);
  DevicePlan plan = std::move(division.cards[0]);
  plan.host_bytes = division.host_bytes;
  return plan;
}

}  // namespace llmrun::runtime
