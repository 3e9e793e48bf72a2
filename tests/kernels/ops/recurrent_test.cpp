// Recurrent ops on every target: near the reference, states too; the same bits however the tokens
// are cut into calls, on any number of threads, and independent of strides.
#include <cmath>
#include <functional>

#include "kernels/ops/support.h"

namespace llmrun::kernels {
namespace {

using RecurrentOps = OnEachTarget;

constexpr int64_t kTokens = 23;

struct Outcome {
  std::vector<float> y;
  std::vector<float> state;
};
// Runs tokens [begin, end), reading and writing the state.
using Call = std::function<void(Ops& ops, int64_t begin, int64_t end, Outcome& outcome)>;

Outcome run(Ops& ops, int64_t piece, int64_t y_width, int64_t state_size, const Call& call) {
  Outcome outcome;
  outcome.y.assign(static_cast<size_t>(kTokens * y_width), NAN);
  outcome.state.assign(static_cast<size_t>(state_size), 0.0F);
  for (int64_t t = 0; t < kTokens; t += piece) {
    call(ops, t, std::min(t + piece, kTokens), outcome);
  }
  return outcome;
}

double error_of(const std::vector<float>& got, const std::vector<float>& want) {
  double scale = 1e-3;
  double error = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    scale = std::max(scale, std::abs(static_cast<double>(want[i])));
    // Written so that a NaN counts as an error.
    const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (!(difference <= error)) error = difference;
  }
  return error / scale;
}

void check(const std::string& target, int64_t y_width, int64_t state_size, const Call& call) {
  const Outcome want = run(make_reference_backend()->ops(), kTokens, y_width, state_size, call);
  const Outcome got = run(target_backend(target, 1)->ops(), kTokens, y_width, state_size, call);
  EXPECT_LE(error_of(got.y, want.y), 1e-5);
  EXPECT_LE(error_of(got.state, want.state), 1e-5);
  for (const int64_t piece : {1, 2, 7, 16}) {
    const Outcome cut = run(target_backend(target, 3)->ops(), piece, y_width, state_size, call);
    EXPECT_TRUE(same_bits(got.y, cut.y)) << "pieces of " << piece;
    EXPECT_TRUE(same_bits(got.state, cut.state)) << "state after pieces of " << piece;
  }
}

// Rows [begin, end) of a matrix whose rows are `gap` floats longer than `width`.
ConstRows part(const std::vector<float>& v, int64_t begin, int64_t end, int64_t width,
               int64_t gap = 0) {
  return ConstRows(v.data() + begin * (width + gap), end - begin, width, width + gap);
}
Rows part(std::vector<float>& v, int64_t begin, int64_t end, int64_t width) {
  return Rows{v.data() + begin * width, end - begin, width, width};
}

TEST_P(RecurrentOps, CausalConv) {
  Random random(1);
  for (const int64_t n_channels : {1, 13, 64, 1111}) {
    for (const int64_t n_taps : {1, 3, 4, 64}) {
      for (const int64_t dilation : {1, 3}) {
        const std::vector<float> x = random.values(kTokens * (n_channels + 5));
        const std::vector<float> weight = random.values(n_channels * n_taps);
        const std::vector<float> bias = random.values(n_channels);
        const int64_t n_before = (n_taps - 1) * dilation;
        SCOPED_TRACE(testing::Message()
                     << n_channels << " channels, " << n_taps << " taps, dilation " << dilation);
        check(GetParam(), n_channels, n_before * (n_channels + 2),
              [&](Ops& ops, int64_t begin, int64_t end, Outcome& outcome) {
                CausalConvParams p;
                p.x = part(x, begin, end, n_channels, 5);
                p.y = part(outcome.y, begin, end, n_channels);
                p.weight = weight.data();
                p.bias = dilation == 1 ? bias.data() : nullptr;
                p.n_taps = n_taps;
                p.dilation = dilation;
                p.silu = n_taps == 4;
                p.state = outcome.state.data();
                p.state_stride = n_channels + 2;
                ops.causal_conv(p);
              });
      }
    }
  }
}

struct Heads {
  int64_t n = 0, dim = 0, n_groups = 0, n_state = 0;
};

TEST_P(RecurrentOps, StateSpace) {
  Random random(2);
  for (const Heads& h : {Heads{1, 1, 1, 1}, Heads{6, 5, 3, 7}, Heads{4, 32, 2, 128},
                         Heads{33, 1, 1, 16}, Heads{2, 64, 1, 19}, Heads{300, 1, 1, 16}}) {
    const int64_t width = h.n * h.dim;
    const int64_t n_b = h.n_groups * h.n_state;
    const std::vector<float> x = random.values(kTokens * width);
    const std::vector<float> b = random.values(kTokens * (n_b + 3));
    const std::vector<float> c = random.values(kTokens * n_b);
    std::vector<float> dt = random.values(kTokens * h.n);
    for (float& v : dt) v = std::abs(v);
    for (const bool per_state : {false, true}) {
      std::vector<float> a = random.values(per_state ? h.n * h.n_state : h.n);
      for (float& v : a) v = -std::abs(v);
      const std::vector<float> d = random.values(h.n);
      for (const bool is_plain : {false, true}) {  // without dt and d
        SCOPED_TRACE(testing::Message() << h.n << " x " << h.dim << ", state " << h.n_state
                                        << ", per state " << per_state << ", plain " << is_plain);
        check(GetParam(), width, width * h.n_state,
              [&](Ops& ops, int64_t begin, int64_t end, Outcome& outcome) {
                StateSpaceParams p;
                p.x = part(x, begin, end, width);
                if (!is_plain) p.dt = part(dt, begin, end, h.n);
                p.b = part(b, begin, end, n_b, 3);
                p.c = part(c, begin, end, n_b);
                p.y = part(outcome.y, begin, end, width);
                p.n_heads = h.n;
                p.head_dim = h.dim;
                p.n_groups = h.n_groups;
                p.n_state = h.n_state;
                p.a = a.data();
                p.a_per_state = per_state;
                p.d = is_plain ? nullptr : d.data();
                p.state = outcome.state.data();
                ops.state_space(p);
              });
      }
    }
  }
}

struct DeltaHeads {
  int64_t n = 0, n_k = 0, k_dim = 0, v_dim = 0;
};

TEST_P(RecurrentOps, DeltaRule) {
  Random random(3);
  for (const DeltaHeads& h : {DeltaHeads{1, 1, 1, 1}, DeltaHeads{6, 3, 7, 5},
                              DeltaHeads{4, 2, 128, 128}, DeltaHeads{3, 3, 36, 17}}) {
    std::vector<float> k = random.values(kTokens * h.n_k * h.k_dim);
    for (float& v : k) v /= std::sqrt(static_cast<float>(h.k_dim));  // else the sums explode
    const std::vector<float> q = random.values(kTokens * h.n_k * h.k_dim);
    const std::vector<float> v = random.values(kTokens * h.n * h.v_dim);
    std::vector<float> beta = random.values(kTokens * h.n);
    for (float& value : beta) value = 0.5F + 0.5F * std::tanh(value);
    for (const bool per_dim : {false, true}) {
      for (const bool tiled : {false, true}) {
        const int64_t n_decay = per_dim ? h.n * h.k_dim : h.n;
        std::vector<float> decay = random.values(kTokens * n_decay);
        for (float& value : decay) value = -std::abs(value);
        SCOPED_TRACE(testing::Message() << h.n << "/" << h.n_k << " heads of " << h.k_dim << " x "
                                        << h.v_dim << ", per dim " << per_dim << ", " << tiled);
        check(GetParam(), h.n * h.v_dim, h.n * h.v_dim * h.k_dim,
              [&](Ops& ops, int64_t begin, int64_t end, Outcome& outcome) {
                DeltaRuleParams p;
                p.q = part(q, begin, end, h.n_k * h.k_dim);
                p.k = part(k, begin, end, h.n_k * h.k_dim);
                p.v = part(v, begin, end, h.n * h.v_dim);
                p.log_decay = part(decay, begin, end, n_decay);
                p.beta = part(beta, begin, end, h.n);
                p.y = part(outcome.y, begin, end, h.n * h.v_dim);
                p.n_heads = h.n;
                p.n_k_heads = h.n_k;
                p.k_dim = h.k_dim;
                p.v_dim = h.v_dim;
                p.tiled_heads = tiled;
                p.scale = 0.3F;
                p.state = outcome.state.data();
                ops.delta_rule(p);
              });
      }
    }
  }
}

LLMRUN_ON_EACH_TARGET(RecurrentOps);

}  // namespace
}  // namespace llmrun::kernels
