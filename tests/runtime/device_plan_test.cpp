// The plan for a card: on 10,000 random models, cards and contexts the parts are the promise, the
// promise is never more than the card has, and no larger plan would have fitted.
#include "runtime/device_plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace llmrun::runtime {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class RandomNeeds {
 public:
  uint64_t below(uint64_t n) { return engine_() % n; }
  // Of every size: as many below 1 MiB as between 1 and 2 GiB.
  uint64_t bytes() { return below(uint64_t{1} << (10 + below(22))); }
  LayerNeed layer() {
    LayerNeed need{bytes(), 0, bytes()};
    need.read_bytes = below(need.weight_bytes + 1);
    return need;
  }
  ModelNeed model() {
    ModelNeed need;
    for (uint64_t n = 1 + below(130); n > 0; --n) need.layers.push_back(layer());
    need.input = layer();
    need.output = layer();
    need.input.cache_bytes = need.output.cache_bytes = 0;
    need.n_tensors = below(2000);
    need.activation_bytes = bytes();
    need.workspace_bytes = bytes();
    need.table_bytes = below(4096);
    return need;
  }
  // Fast beside the memory of its machine, with up to `most_bytes` beyond the least.
  DeviceRequest card(uint64_t most_bytes) {
    DeviceRequest request;
    request.memory_bytes = 700 * kMiB + below(most_bytes);
    request.bytes_per_second = 1e12;
    return request;
  }
  std::vector<DeviceRequest> cards(uint64_t most, uint64_t most_bytes) {
    std::vector<DeviceRequest> requests(1 + below(most));
    for (DeviceRequest& request : requests) request = card(most_bytes);
    return requests;
  }
  // With weights that several share, and layers that no card can run.
  ModelNeed odd_model() {
    ModelNeed need = model();
    if (below(2) == 0) need.tied_bytes = bytes();
    if (below(2) == 0) need.shared_bytes = bytes();
    if (below(3) == 0) {
      for (LayerNeed& layer : need.layers) layer.host_only = below(10) == 0;
    }
    return need;
  }
  // Also with experts, in most layers or in none, of which a token reads a share.
  ModelNeed mixed_model() {
    ModelNeed need = odd_model();
    if (below(4) == 0) return need;
    const uint64_t share = 1 + below(32);
    for (LayerNeed& layer : need.layers) {
      if (below(8) == 0) continue;
      layer.expert_bytes = bytes();
      layer.expert_read_bytes = layer.expert_bytes / share;
      layer.weight_bytes += layer.expert_bytes;
      layer.read_bytes += layer.expert_read_bytes;
    }
    return need;
  }

 private:
  std::mt19937_64 engine_{42};
};

double tokens_per_second(const DivisionPlan& plan, const std::vector<double>& card_speeds,
                         double host_speed) {
  return most_tokens_per_second(plan.reads, card_speeds, host_speed);
}
// As the cards of RandomNeeds are, without what crosses.
double seconds_of(const DivisionPlan& plan) {
  const std::vector<double> speeds(plan.cards.size(), 1e12);
  return read_seconds(plan.reads, speeds, 5e10).value_or(-1);
}

uint64_t sum_of(const DevicePlan& plan) {
  uint64_t sum = 0;
  for (const DevicePart& part : plan.parts) sum += part.bytes;
  return sum;
}

// Bytes that have to lie somewhere.
uint64_t weights_and_caches(const ModelNeed& need) {
  uint64_t sum = need.input.weight_bytes + need.output.weight_bytes;
  for (const LayerNeed& layer : need.layers) sum += layer.weight_bytes + layer.cache_bytes;
  return sum;
}
uint64_t part(const DevicePlan& plan, std::string_view name) {
  for (const DevicePart& part : plan.parts) {
    if (part.component == name) return part.bytes;
  }
  return 0;
}

TEST(DevicePlan, PartsAreThePromiseAndNeverMoreThanTheCard) {
  RandomNeeds random;
  int n_whole = 0, n_split = 0, n_none = 0;
  for (int i = 0; i < 10000; ++i) {
    const ModelNeed need = random.model();
    DeviceRequest request = random.card(uint64_t{160} << 30);
    const DevicePlan plan = plan_device(need, request);
    ASSERT_EQ(sum_of(plan), plan.total_bytes);
    ASSERT_LE(plan.total_bytes, request.memory_bytes);
    ASSERT_TRUE(plan.fits);
    // Nothing is forgotten and nothing counted twice.
    ASSERT_EQ(part(plan, "weights") + part(plan, "cache") + plan.host_bytes,
              weights_and_caches(need));
    ASSERT_EQ(plan.whole, plan.n_layers == plan.n_layers_all);
    if (plan.n_layers < plan.n_layers_all) {
      request.layers = plan.n_layers + 1;
      ASSERT_FALSE(plan_device(need, request).fits) << "one more layer would have fitted";
    }
    (plan.whole ? n_whole : plan.n_layers > 0 ? n_split : n_none)++;
  }
  // The three cases are all there.
  EXPECT_GT(n_whole, 500);
  EXPECT_GT(n_split, 500);
  EXPECT_GT(n_none, 10);
}

// What a plan says of a card, from the layers it gives it.
void check_card(const ModelNeed& need, const DivisionPlan& plan, int card) {
  const DevicePlan& own = plan.cards[static_cast<size_t>(card)];
  const bool has_first = plan.layers.front() == card, has_last = plan.layers.back() == card;
  uint64_t weights =
      (has_first ? need.input.weight_bytes : 0) + (has_last ? need.output.weight_bytes : 0);
  uint64_t cache = 0;
  int64_t n = 0, n_cpu_experts = 0;
  for (size_t i = 0; i < need.layers.size(); ++i) {
    if (plan.layers[i] != card) continue;
    ASSERT_FALSE(need.layers[i].host_only);
    weights += need.layers[i].weight_bytes;
    cache += need.layers[i].cache_bytes;
    ++n;
    if (!plan.cpu_experts[i]) continue;
    weights -= need.layers[i].expert_bytes;
    ++n_cpu_experts;
  }
  ASSERT_EQ(own.n_layers, n);
  ASSERT_EQ(own.n_cpu_experts, n_cpu_experts);
  ASSERT_EQ(part(own, "weights"), weights);
  ASSERT_EQ(part(own, "cache"), cache);
  uint64_t copies = 0;  // a card with some of the layers has what the others use as well
  if (n > 0 && (n < own.n_layers_all || n_cpu_experts > 0)) copies += need.shared_bytes;
  if (has_first && !has_last) copies += need.tied_bytes;
  ASSERT_EQ(part(own, "copies"), copies);
  ASSERT_EQ(sum_of(own), own.total_bytes);
  ASSERT_LE(own.total_bytes, own.memory_bytes);
  ASSERT_TRUE(own.fits);
}

// The sum over the cards and main memory, and that the layers of a card follow one another.
void check_division(const ModelNeed& need, const DivisionPlan& plan, size_t n_cards) {
  ASSERT_TRUE(plan.fits);
  ASSERT_EQ(plan.cards.size(), n_cards);
  ASSERT_EQ(plan.layers.size(), need.layers.size());
  uint64_t everywhere = plan.host_bytes;
  int64_t n_layers = 0, n_cpu_experts = 0;
  for (size_t card = 0; card < n_cards; ++card) {
    check_card(need, plan, static_cast<int>(card));
    if (::testing::Test::HasFatalFailure()) return;
    const DevicePlan& own = plan.cards[card];
    everywhere += part(own, "weights") + part(own, "cache");
    n_layers += own.n_layers;
    n_cpu_experts += own.n_cpu_experts;
  }
  // Nothing is forgotten and nothing counted twice.
  ASSERT_EQ(everywhere, weights_and_caches(need));
  ASSERT_EQ(n_layers, plan.n_layers);
  ASSERT_EQ(n_cpu_experts, plan.n_cpu_experts);
  std::vector<int> on_cards;
  for (const int card : plan.layers) {
    if (card != kHost) on_cards.push_back(card);
  }
  ASSERT_TRUE(std::is_sorted(on_cards.begin(), on_cards.end()));
  ASSERT_EQ(plan.whole,
            plan.n_layers == static_cast<int64_t>(need.layers.size()) && plan.n_cpu_experts == 0);
}

TEST(DivisionPlan, EveryCardsPartsAreItsPromiseAndNeverMoreThanItHas) {
  RandomNeeds random;
  int n_whole = 0, n_split = 0, n_none = 0, n_several = 0;
  for (int i = 0; i < 10000; ++i) {
    const ModelNeed need = random.odd_model();
    const std::vector<DeviceRequest> cards = random.cards(4, uint64_t{60} << 30);
    const DivisionPlan plan = plan_division(need, cards, std::nullopt);
    check_division(need, plan, cards.size());
    if (HasFatalFailure()) FAIL() << "of plan " << i;
    const auto n_used = std::count_if(plan.cards.begin(), plan.cards.end(),
                                      [](const DevicePlan& card) { return card.n_layers > 0; });
    const auto n_able = std::count_if(need.layers.begin(), need.layers.end(),
                                      [](const LayerNeed& layer) { return !layer.host_only; });
    if (plan.n_layers + 1 < n_able) {
      ASSERT_FALSE(plan_division(need, cards, plan.n_layers + 1).fits)
          << "one more layer would have fitted in plan " << i;
    }
    (plan.whole ? n_whole : plan.n_layers > 0 ? n_split : n_none)++;
    n_several += n_used > 1 ? 1 : 0;
  }
  EXPECT_GT(n_whole, 500);
  EXPECT_GT(n_split, 500);
  EXPECT_GT(n_none, 10);
  EXPECT_GT(n_several, 500);
}

// Experts that stay in main memory: the same promises, as few of them as the card forces out, and
// never slower than whole layers there, or all experts.
TEST(DivisionPlan, ExpertsStayInMainMemoryWhereThatIsFaster) {
  RandomNeeds random;
  int n_whole = 0, n_layers_only = 0, n_experts_only = 0, n_both = 0;
  for (int i = 0; i < 10000; ++i) {
    const ModelNeed need = random.mixed_model();
    const std::vector<DeviceRequest> cards = random.cards(3, uint64_t{25} << 30);
    const DivisionPlan plan = plan_division(need, cards, std::nullopt);
    check_division(need, plan, cards.size());
    if (HasFatalFailure()) FAIL() << "of plan " << i;
    for (const int64_t n : {int64_t{0}, need.n_expert_layers()}) {
      const DivisionPlan other = plan_division(need, cards, std::nullopt, n);
      check_division(need, other, cards.size());
      if (HasFatalFailure()) FAIL() << "of plan " << i << " without experts of " << n;
      ASSERT_LE(seconds_of(plan), seconds_of(other) * (1 + 1e-12)) << i;
    }
    if (cards.size() == 1 && plan.n_cpu_experts > 0) {
      size_t last = need.layers.size() - 1;
      while (!plan.cpu_experts[last]) --last;
      const auto n =
          std::count_if(need.layers.begin(), need.layers.begin() + static_cast<ptrdiff_t>(last),
                        [](const LayerNeed& layer) { return layer.expert_bytes > 0; });
      ASSERT_FALSE(plan_division(need, cards, plan.n_layers, n).fits)
          << "fewer experts out would have fitted in plan " << i;
    }
    const auto n_able = std::count_if(need.layers.begin(), need.layers.end(),
                                      [](const LayerNeed& layer) { return !layer.host_only; });
    const bool all_layers = plan.n_layers == n_able;
    (plan.n_cpu_experts > 0 ? (all_layers ? n_experts_only : n_both)
                            : (all_layers ? n_whole : n_layers_only))++;
  }
  EXPECT_GT(n_whole, 500);
  EXPECT_GT(n_layers_only, 500);
  EXPECT_GT(n_experts_only, 500);
  EXPECT_GT(n_both, 500);
}

// 8 layers of 2,000 MiB, of which 1,800 are experts; a card with room for 3 layers.
TEST(DivisionPlan, SmallPartsOfAllLayersGoBeforeExperts) {
  ModelNeed need;
  need.layers.resize(8, {2000 * kMiB, 300 * kMiB, 0, false, 1800 * kMiB, 100 * kMiB});
  const std::vector<DeviceRequest> cards = {{uint64_t{8} << 30, 1e12, {}}};
  const DivisionPlan layers = plan_division(need, cards, std::nullopt, 0);
  EXPECT_EQ(layers.n_layers, 3);
  EXPECT_EQ(layers.n_cpu_experts, 0);
  EXPECT_EQ(layers.host_bytes, 5 * 2000 * kMiB);
  const DivisionPlan best = plan_division(need, cards, std::nullopt);
  EXPECT_EQ(best.n_layers, 8);
  EXPECT_EQ(best.n_cpu_experts, 5);
  EXPECT_EQ(best.host_bytes, 5 * 1800 * kMiB);
  EXPECT_FALSE(best.whole);
  EXPECT_THAT(best.cards[0].parts[1].detail, HasSubstr("without the experts of 5"));
  const std::vector<bool> first_five = {true, true, true, true, true, false, false, false};
  EXPECT_EQ(best.cpu_experts, first_five);
  EXPECT_GT(tokens_per_second(best, {1e12}, 5e10), 2 * tokens_per_second(layers, {1e12}, 5e10));
  // As asked for, whether it fits or not.
  EXPECT_EQ(plan_division(need, cards, 8, 7).n_cpu_experts, 7);
  EXPECT_FALSE(plan_division(need, cards, 8, 4).fits);
}

TEST(DivisionPlan, NumbersOfExpertsThatAreNotThereAreRefused) {
  ModelNeed need;
  need.layers.resize(3, {kMiB, kMiB, 0});
  EXPECT_TRUE(check_cpu_experts(need, std::nullopt));
  const auto none = check_cpu_experts(need, 0);  // an option without effect
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUsage);
  EXPECT_THAT(none.error().message, HasSubstr("the model has no experts"));
  need.layers[2].expert_bytes = 1000;
  EXPECT_TRUE(check_cpu_experts(need, 1));
  const auto many = check_cpu_experts(need, 2);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, ErrorCode::kUsage);
  EXPECT_THAT(many.error().message, HasSubstr("--cpu-experts is 2, and 1 layers"));
}

TEST(DivisionPlan, CardsShareByTheirMemory) {
  ModelNeed need;
  need.layers.resize(30, {100 * kMiB, 100 * kMiB, 0});
  const std::vector<DeviceRequest> cards = {{uint64_t{8} << 30, 0, {}},
                                            {uint64_t{16} << 30, 0, {}}};
  const DivisionPlan plan = plan_division(need, cards, std::nullopt);
  EXPECT_TRUE(plan.whole);
  EXPECT_EQ(plan.cards[0].n_layers, 10);
  EXPECT_EQ(plan.cards[1].n_layers, 20);
  EXPECT_EQ(plan.layers.front(), 0);
}

TEST(DivisionPlan, WhatNoCardCanRunStaysOnTheHost) {
  ModelNeed need;
  need.layers.resize(4, {kMiB, kMiB, 0});
  need.layers[2].host_only = true;
  const std::vector<DeviceRequest> cards = {{uint64_t{8} << 30, 0, {}}};
  const DivisionPlan plan = plan_division(need, cards, std::nullopt);
  EXPECT_EQ(plan.layers, (std::vector<int>{0, 0, kHost, 0}));
  EXPECT_FALSE(plan.whole);
  EXPECT_EQ(plan.n_layers, 3);
}

TEST(DevicePlan, MoreLayersTakeMoreAndAreFaster) {
  RandomNeeds random;
  for (int i = 0; i < 200; ++i) {
    const ModelNeed need = random.model();
    const DeviceRequest request{uint64_t{1} << 40, 1e12, std::nullopt};
    DivisionPlan before;
    for (size_t n = 0; n <= need.layers.size(); ++n) {
      const DivisionPlan plan =
          plan_division(need, std::span(&request, 1), static_cast<int64_t>(n));
      if (n > 0) {
        EXPECT_GE(plan.cards[0].total_bytes, before.cards[0].total_bytes);
        EXPECT_LE(plan.host_bytes, before.host_bytes);
        EXPECT_LE(seconds_of(plan), seconds_of(before) * (1 + 1e-12));
      }
      before = plan;
    }
  }
}

TEST(DevicePlan, SpeedIsBandwidthOverBytes) {
  ModelNeed need;
  need.layers = {{1000, 600, 50}, {1000, 600, 50}};
  need.output = {200, 200, 0};
  const std::vector<DeviceRequest> card = {{uint64_t{1} << 40, 1500.0, {}}};
  const DivisionPlan whole = plan_division(need, card, std::nullopt);
  EXPECT_DOUBLE_EQ(tokens_per_second(whole, {1500.0}, 0.0), 1.0);
  const DivisionPlan split = plan_division(need, card, 1);
  EXPECT_EQ(tokens_per_second(split, {1500.0}, 0.0), 0.0);  // that of main memory is needed too
  EXPECT_DOUBLE_EQ(tokens_per_second(split, {1500.0}, 650.0),
                   1.0 / (850.0 / 1500.0 + 1.0 + kCrossingSeconds));
}

// Layers of 100 bytes that a token reads, and 900 of experts, of which it reads 90: the layers on
// two cards, the experts of the first two in main memory.
TEST(DivisionPlan, ATokenReadsEveryPlaceInTurnAndCrossesBetweenThem) {
  ModelNeed need;
  need.layers.resize(4, {1000, 190, 10, false, 900, 90});
  const std::vector<DeviceRequest> cards = {{uint64_t{1} << 40, 100.0, {}},
                                            {uint64_t{1} << 40, 200.0, {}}};
  const DivisionPlan plan = plan_division(need, cards, std::nullopt, 2);
  EXPECT_EQ(plan.layers, (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(plan.reads.cards, (std::vector<uint64_t>{420, 200}));
  EXPECT_EQ(plan.cards[1].read_bytes, 200U);
  EXPECT_EQ(plan.reads.host, 180U);
  EXPECT_EQ(plan.reads.n_crossings, 5);  // twice there and back, and to the second card
  EXPECT_DOUBLE_EQ(tokens_per_second(plan, {100.0, 200.0}, 10.0),
                   1.0 / (4.2 + 1.0 + 18.0 + 5 * kCrossingSeconds));
  const DivisionPlan half = plan_division(need, cards, 2, 0);
  EXPECT_EQ(half.reads.host, 400U);
  EXPECT_EQ(half.reads.n_crossings, 2);
}

TEST(DevicePlan, SizesThatOverflowDoNotFit) {
  ModelNeed need;
  need.layers = {{UINT64_MAX, 1, 1}, {UINT64_MAX, 1, 1}};
  const DevicePlan plan = plan_device(need, {uint64_t{80} << 30, 1e12, 2});
  EXPECT_FALSE(plan.fits);
  EXPECT_EQ(plan.total_bytes, UINT64_MAX);
}

TEST(DeviceProfiles, AreFoundByNameHoweverItIsWritten) {
  EXPECT_EQ(find_device_profile("RTX 4090")->memory_bytes, uint64_t{24} << 30);
  EXPECT_EQ(find_device_profile("h100")->name, "h100");
  const auto unknown = find_device_profile("voodoo2");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(unknown.error().message, HasSubstr("rtx4090"));
  for (const DeviceProfile& profile : device_profiles()) {
    EXPECT_EQ(find_device_profile(profile.name)->title, profile.title);
    EXPECT_GE(profile.memory_bytes, uint64_t{8} << 30);
    EXPECT_GT(profile.bytes_per_second, 1e11);
  }
}

}  // namespace
}  // namespace llmrun::runtime
