// Row-wise ops on every target against the reference, and the same bits on any number of threads
// and for any number of rows.
#include <cmath>

#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

using RowOps = OnEachTarget;

// Largest difference, relative to the largest magnitude of `want` (at least 1).
double error_of(const std::vector<float>& got, const std::vector<float>& want) {
  double scale = 1;
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(want[i])));
    error = std::max(error, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
  }
  return error / scale;
}

// Runs fn(ops, rows [begin, end), y) for the whole, for each row alone and on several threads.
// All must give the same bits; the result must be within `tolerance` of the reference.
template <typename Fn>
void check(const std::string& target, int64_t n, int64_t width, double tolerance, Random& random,
           const Fn& fn) {
  const std::vector<float> start = random.values(n * width);
  std::vector<float> want = start;
  fn(make_reference_backend()->ops(), int64_t{0}, n, want);
  std::vector<float> got = start;
  fn(target_backend(target, 1)->ops(), int64_t{0}, n, got);
  EXPECT_LE(error_of(got, want), tolerance);
  std::vector<float> threaded = start;
  fn(target_backend(target, 3)->ops(), int64_t{0}, n, threaded);
  EXPECT_TRUE(same_bits(got, threaded)) << "on three threads";
  std::vector<float> alone = start;
  const auto backend = target_backend(target, 2);
  for (int64_t row = 0; row < n; ++row) fn(backend->ops(), row, row + 1, alone);
  EXPECT_TRUE(same_bits(got, alone)) << "row by row";
}

Rows part(std::vector<float>& v, int64_t begin, int64_t end, int64_t width) {
  return Rows{v.data() + begin * width, end - begin, width, width};
}
ConstRows part(const std::vector<float>& v, int64_t begin, int64_t end, int64_t width) {
  return ConstRows(v.data() + begin * width, end - begin, width, width);
}

TEST_P(RowOps, Norm) {
  Random random(1);
  for (const NormKind kind : {NormKind::kRms, NormKind::kLayer, NormKind::kLength}) {
    for (const int64_t group : {1, 7, 16, 64, 131, 576}) {
      for (const int64_t groups : {1, 3}) {
        const int64_t width = group * groups;
        for (const bool shared : {true, false}) {
          const std::vector<float> weight = random.values(shared ? group : width);
          const std::vector<float> bias = random.values(shared ? group : width);
          SCOPED_TRACE(testing::Message() << "group " << group << " of " << width);
          check(GetParam(), 40, width, 2e-6, random,
                [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
                  NormParams p;
                  p.kind = kind;
                  p.y = part(y, begin, end, width);
                  p.x = p.y;
                  p.group = group;
                  p.weight = weight.data();
                  p.bias = kind == NormKind::kLayer ? bias.data() : nullptr;
                  p.weight_size = shared ? group : width;
                  ops.norm(p);
                });
        }
      }
    }
  }
}

TEST_P(RowOps, Rope) {
  Random random(2);
  for (const bool split : {true, false}) {
    for (const int64_t pairs : {1, 5, 32, 70}) {
      const int64_t head = 2 * pairs + 3;
      const int64_t width = 4 * head;
      std::vector<float> frequencies(static_cast<size_t>(pairs));
      for (size_t i = 0; i < frequencies.size(); ++i) {
        frequencies[i] = std::pow(10000.0F, -static_cast<float>(i) / static_cast<float>(pairs));
      }
      if (pairs > 4) frequencies[3] = 0.0F;
      std::vector<int32_t> positions;
      for (int32_t t = 0; t < 37; ++t) positions.push_back(t < 20 ? t : t * 3541);
      SCOPED_TRACE(testing::Message() << pairs << " pairs, split " << split);
      check(GetParam(), 37, width, 2e-6, random,
            [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
              RopeParams p;
              p.x = part(y, begin, end, width);
              p.n_heads = 4;
              p.head_stride = head;
              p.first_dim = 2;
              p.n_pairs = pairs;
              p.split_halves = split;
              p.positions = std::span<const int32_t>(positions).subspan(
                  static_cast<size_t>(begin), static_cast<size_t>(end - begin));
              p.frequencies = frequencies.data();
              p.magnitude = 1.2F;
              ops.rope(p);
            });
    }
  }
}

TEST_P(RowOps, GatedActivation) {
  Random random(3);
  for (const Activation activation :
       {Activation::kNone, Activation::kSilu, Activation::kGelu, Activation::kGeluErf,
        Activation::kGeluQuick, Activation::kRelu, Activation::kRelu2, Activation::kSigmoid,
        Activation::kTanh, Activation::kSoftplus, Activation::kExp}) {
    for (const int64_t width : {1, 13, 333, 1536}) {
      const std::vector<float> up = random.values(50 * width);
      for (const int mode : {0, 1, 2, 3, 4, 5}) {
        SCOPED_TRACE(testing::Message() << "activation " << static_cast<int>(activation)
                                        << " width " << width << " mode " << mode);
        check(GetParam(), 50, width, 2e-6, random,
              [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
                GatedActivationParams p;
                p.activation = activation;
                p.y = part(y, begin, end, width);
                p.gate = p.y;
                if (mode != 1) p.up = part(up, begin, end, width);
                if (mode >= 2 && mode <= 4) p.limit = 0.7F;
                p.swiglu_oai = mode == 3;
                p.limit_activated = mode == 4;
                if (mode == 5) p.gate_cap = 1.5F;
                if (mode == 5 && width != 13) p.up_cap = 2.5F;
                ops.gated_activation(p);
              });
      }
    }
  }
}

TEST_P(RowOps, ActivationsOfExtremeValues) {
  const std::vector<float> x = {-1000.0F, -90.0F, -20.0F, -5.0F, -0.625F, -1e-3F, -1e-30F, 0.0F,
                                1e-30F,   1e-3F,  0.625F, 5.0F,  20.0F,   88.0F,  1000.0F, 3.0F};
  for (const Activation activation :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluErf, Activation::kSigmoid,
        Activation::kTanh, Activation::kSoftplus, Activation::kExp, Activation::kReciprocal}) {
    const auto run = [&](Ops& ops) {
      std::vector<float> y = x;
      GatedActivationParams p;
      p.activation = activation;
      p.y = rows(y, 1, static_cast<int64_t>(y.size()));
      p.gate = p.y;
      ops.gated_activation(p);
      return y;
    };
    const auto want = run(make_reference_backend()->ops());
    const auto got = run(backend()->ops());
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isinf(want[i])) {
        EXPECT_EQ(got[i], want[i]) << static_cast<int>(activation) << " of " << x[i];
      } else {
        EXPECT_NEAR(got[i], want[i], 1e-37 + 3e-6 * std::abs(static_cast<double>(want[i])))
            << static_cast<int>(activation) << " of " << x[i];
      }
    }
  }
}

TEST_P(RowOps, AddMultiplyScale) {
  Random random(4);
  for (const int64_t width : {1, 12, 576, 9000}) {
    const std::vector<float> x = random.values(9 * width);
    const std::vector<float> factors = random.values(9);
    check(GetParam(), 9, width, 1e-6, random,
          [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
            AddParams add;
            add.x = part(x, begin, end, width);
            add.y = part(y, begin, end, width);
            ops.add(add);
            add.x_scale = 0.3F;
            add.y_scale = 1.7F;
            ops.add(add);
            for (const int64_t repeat : {int64_t{1}, int64_t{12}, width}) {
              if (width % repeat != 0) continue;
              MultiplyParams multiply;
              multiply.x = ConstRows(x.data() + begin * width, end - begin, width / repeat, width);
              multiply.y = add.y;
              multiply.repeat = repeat;
              multiply.activation = Activation::kSigmoid;
              ops.multiply(multiply);
              multiply.x.stride = 0;  // one row of factors for all
              multiply.x.data = x.data();
              ops.multiply(multiply);
            }
            ScaleParams scale;
            scale.x = add.y;
            scale.factor = 3.0F;
            scale.row_factor = factors.data() + begin;
            scale.clamp = 2.0F;
            scale.soft_cap = 1.5F;
            ops.scale(scale);
          });
  }
}

TEST_P(RowOps, CombineExperts) {
  Random random(5);
  for (const int64_t width : {5, 64, 700}) {
    const std::vector<float> x = random.values(20 * 3 * width);
    const std::vector<float> weights = random.values(20 * 3);
    for (const bool accumulate : {false, true}) {
      for (const bool weighted : {false, true}) {
        check(GetParam(), 20, width, 1e-6, random,
              [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
                CombineExpertsParams p;
                p.x = ConstRows(x.data() + begin * 3 * width, (end - begin) * 3, width, width);
                if (weighted) p.weights = weights.data() + begin * 3;
                p.n_used = 3;
                p.y = part(y, begin, end, width);
                p.accumulate = accumulate;
                ops.combine_experts(p);
              });
      }
    }
  }
}

TEST_P(RowOps, EmbedDecodesRows) {
  Random random(6);
  for (const TensorType type : {TensorType::F32, TensorType::Q8_0, TensorType::Q6_K}) {
    const PackedWeight table(type, 30, 256, 1, random);
    std::vector<int32_t> ids;
    for (int i = 0; i < 60; ++i) ids.push_back(static_cast<int32_t>(random.below(30)));
    const auto run = [&](Ops& ops) {
      std::vector<float> y(60 * 256);
      EmbedParams p;
      p.table = table.weight;
      p.ids = ids;
      p.scale = 2.5F;
      p.y = rows(y, 60, 256);
      ops.embed(p);
      return y;
    };
    EXPECT_TRUE(same_bits(run(backend(3)->ops()), run(make_reference_backend()->ops())));
  }
}

TEST_P(RowOps, GroupDot) {
  Random random(11);
  for (const int64_t group : {1, 13, 64, 333}) {
    for (const bool signed_root : {false, true}) {
      const int64_t width = 3 * group;
      const std::vector<float> a = random.values(40 * width);
      const std::vector<float> b = random.values(40 * width);
      SCOPED_TRACE(testing::Message() << "groups of " << group << ", root " << signed_root);
      check(GetParam(), 40, 3, signed_root ? 1e-3 : 1e-5, random,
            [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
              GroupDotParams p;
              p.a = part(a, begin, end, width);
              p.b = part(b, begin, end, width);
              p.group = group;
              p.scale = 0.3F;
              p.signed_root = signed_root;
              p.y = part(y, begin, end, 3);
              ops.group_dot(p);
            });
    }
  }
}

TEST_P(RowOps, MixRows) {
  Random random(12);
  for (const int64_t width : {1, 13, 1111}) {
    for (const int64_t n_mixed : {1, 2, 7}) {
      const std::vector<float> x = random.values(n_mixed * 40 * width);
      std::vector<float> scores = random.values(40 * n_mixed);
      scores[0] = 500.0F;  // would overflow without its largest taken off
      SCOPED_TRACE(testing::Message() << n_mixed << " rows of " << width);
      check(GetParam(), 40, width, 2e-6, random,
            [&](Ops& ops, int64_t begin, int64_t end, std::vector<float>& y) {
              MixRowsParams p;
              p.x = part(x, begin, end, width);
              p.x_step = 40 * width;
              p.scores = part(scores, begin, end, n_mixed);
              p.y = part(y, begin, end, width);
              ops.mix_rows(p);
            });
    }
  }
}

LLMRUN_ON_EACH_TARGET(RowOps);

struct Routed {
  std::vector<int32_t> experts;
  std::vector<float> weights;
};
Routed route(const std::vector<float>& logits, RouteParams p) {
  const auto n = static_cast<size_t>(p.n_used);
  Routed routed{std::vector<int32_t>(n), std::vector<float>(n)};
  p.logits = const_rows(logits, 1, static_cast<int64_t>(logits.size()));
  p.experts = routed.experts.data();
  p.weights = routed.weights.data();
  target_backend("plain", 1)->ops().route(p);
  return routed;
}

TEST(Route, SoftmaxBestFirstAndTiesToTheLower) {
  RouteParams p;
  p.n_used = 3;
  const Routed r = route({1.0F, 3.0F, 2.0F, 3.0F}, p);
  EXPECT_EQ(r.experts, (std::vector<int32_t>{1, 3, 2}));
  const double sum = std::exp(1.0) + std::exp(2.0) + 2 * std::exp(3.0);
  EXPECT_NEAR(r.weights[0], std::exp(3.0) / sum, 1e-6);
  EXPECT_NEAR(r.weights[2], std::exp(2.0) / sum, 1e-6);
  p.normalise = true;
  p.scale = 2.0F;
  const Routed n = route({1.0F, 3.0F, 2.0F, 3.0F}, p);
  EXPECT_NEAR(n.weights[0] + n.weights[1] + n.weights[2], 2.0, 1e-6);
}

TEST(Route, BiasChoosesButDoesNotWeigh) {
  RouteParams p;
  p.kind = RouterKind::kSigmoid;
  p.n_used = 1;
  const std::vector<float> bias = {0.0F, 0.0F, 1.0F};
  p.selection_bias = bias.data();
  const Routed r = route({1.0F, 0.5F, -1.0F}, p);
  EXPECT_EQ(r.experts[0], 2);
  EXPECT_NEAR(r.weights[0], 1.0 / (1.0 + std::exp(1.0)), 1e-6);
}

TEST(Route, SoftmaxAfterTopKSumsToOne) {
  RouteParams p;
  p.kind = RouterKind::kSoftmaxAfterTopK;
  p.n_used = 2;
  const Routed r = route({0.0F, 2.0F, 1.0F}, p);
  EXPECT_EQ(r.experts, (std::vector<int32_t>{1, 2}));
  EXPECT_NEAR(r.weights[0], std::exp(1.0) / (1.0 + std::exp(1.0)), 1e-6);
}

TEST(Route, OnlyTheBestGroupsAreEligible) {
  RouteParams p;
  p.kind = RouterKind::kSigmoid;
  p.n_used = 2;
  p.n_groups = 2;
  p.n_groups_used = 1;
  // Group 0 has the best expert, group 1 the best pair.
  const Routed r = route({3.0F, -5.0F, -5.0F, 2.0F, 2.5F, -5.0F}, p);
  EXPECT_EQ(r.experts, (std::vector<int32_t>{4, 3}));
}

TEST(Route, NotANumberStillGivesDifferentExperts) {
  RouteParams p;
  p.n_used = 3;
  const Routed r = route({NAN, NAN, NAN, NAN}, p);
  EXPECT_EQ(r.experts, (std::vector<int32_t>{0, 1, 2}));
}

}  // namespace
}  // namespace llmrun::kernels
