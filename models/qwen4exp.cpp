// Qwen 4 (experimental): Qwen 3.5 MoE with hyper-connections in place of norms and residuals, and
// embeddings of the last tokens in one layer. The sparse index of its long-context form is refused.
#include <algorithm>

#include "base/error.h"
#include "models/common.h"

namespace llmrun::models {
namespace {

constexpr runtime::Range kAnyInteger{INT64_MIN, INT64_MAX};

class HyperMixes {
 public:
  HyperMixes(ModelMetadata& m, const NormStyle& style)
      : m_(m),
        style_(style),
        n_streams_(m.required_integer("hyper_connection.count", {2, 64})),
        rank_(m.required_integer("hyper_connection.low_rank", kCounts)) {}

  [[nodiscard]] int64_t n_streams() const { return n_streams_; }
  [[nodiscard]] Norm stream_norm(const std::string& name) const {
    return head_norm(style_, name, n_streams_, m_.d_model(), true);
  }
  [[nodiscard]] runtime::HyperMix mix(const std::string& name, bool inject = true) const {
    const int64_t width = n_streams_ * m_.d_model();
    runtime::HyperMix mix{.norm = stream_norm(name + "_norm"),
                          .down = linear(name + "_down", width, rank_),
                          .up = linear(name + "_up", rank_, width),
                          .inject = {}};
    if (inject) mix.inject = linear(name + "_inject", width, n_streams_);
    return mix;
  }

 private:
  ModelMetadata& m_;
  NormStyle style_;
  int64_t n_streams_;
  int64_t rank_;
};

// The arrays of the hash: as many numbers as there are, and rows within the table.
void check_ngrams(ModelMetadata& m, const runtime::NgramEmbedding& ngram) {
  const auto n_heads = static_cast<size_t>((ngram.order - 1) * ngram.heads_per_order);
  const int64_t n_rows = ngram.table.shape[1];
  bool fits = ngram.multipliers.size() >= static_cast<size_t>(ngram.order) &&
              ngram.offsets.size() >= n_heads && ngram.row_counts.size() >= n_heads;
  for (size_t h = 0; fits && h < n_heads; ++h) {
    fits = ngram.row_counts[h] <= n_rows && ngram.offsets[h] <= n_rows - ngram.row_counts[h];
  }
  if (fits && static_cast<int64_t>(n_heads) * ngram.width == m.d_model()) return;
  m.fail(ErrorCode::kBadModel,
         fmt::format("the n-gram embedding (ple.*) does not fit: {} heads of {} values for {}, {} "
                     "multipliers, {} offsets, {} sizes, a table of {} rows",
                     n_heads, ngram.width, m.d_model(), ngram.multipliers.size(),
                     ngram.offsets.size(), ngram.row_counts.size(), n_rows));
}

runtime::NgramEmbedding ngram_embedding(ModelMetadata& m, int64_t layer, const HyperMixes& hyper) {
  const auto name = [&](std::string_view part) { return block(layer, part); };
  const std::string table = "per_layer_token_embd.weight";
  const runtime::Range rows{0, INT32_MAX};
  const int64_t width = hyper.n_streams() * m.d_model();
  runtime::NgramEmbedding ngram;
  ngram.width = m.required_integer("embedding_length_per_layer_input", kCounts);
  ngram.table = tensor(table, {ngram.width, std::max(int64_t{1}, m.tensor_dim(table, 1))});
  ngram.order = m.required_integer("ple.ngram_size", {2, 16});
  ngram.heads_per_order = m.required_integer("ple.heads_per_ngram", {1, runtime::kMaxHeads});
  ngram.end = static_cast<TokenId>(m.required_integer("ple.eos_token_id", rows));
  ngram.multipliers = m.integers("ple.layer_multipliers", kAnyInteger);
  ngram.offsets = m.integers("ple.head_offsets", rows);
  ngram.row_counts = m.integers("ple.head_vocab_sizes", {1, INT32_MAX});
  check_ngrams(m, ngram);
  ngram.key = linear(name("ple_key"), m.d_model(), width);
  ngram.value = linear(name("ple_value"), m.d_model(), m.d_model());
  ngram.key_norm = hyper.stream_norm(name("ple_norm_key"));
  ngram.query_norm = hyper.stream_norm(name("ple_norm_query"));
  ngram.conv_norm = hyper.stream_norm(name("ple_norm_conv"));
  ngram.conv = convolution(
      name("ple_conv1d"), m.required_integer("ple.conv_kernel", {1, kernels::kMaxConvTaps}), width);
  return ngram;
}

void refuse_sparse_index(ModelMetadata& m) {
  for (const int64_t ratio : m.integers("attention.compress_ratios", {0, runtime::kMaxContext})) {
    if (ratio == 0) continue;
    m.fail(ErrorCode::kUnsupported,
           "qwen4exp.attention.compress_ratios asks for the sparse attention index, which this "
           "build cannot run; use a file without it");
  }
}

}  // namespace

ModelSpec build_qwen4exp(ModelMetadata& m) {
  const NormStyle style = rms_norm(m);
  const HyperMixes hyper(m, style);
  ModelSpec spec = decoder(m, style);
  spec.n_streams = hyper.n_streams();
  spec.head.norm.reset();
  spec.head.mix = hyper.mix("output_hc", false);
  refuse_sparse_index(m);
  const int rope =
      add_rope(m, spec, {.split_halves = true, .sections = runtime::RopeSections::kInterleaved});
  const AttentionOptions options{.rope = rope, .bias = Presence::kNever, .qk_norm = QkNorm::kHead};
  const MoeOptions experts = qwen_experts(m);
  const std::vector<bool> recurrent = recurrent_layers(m, 4);
  const std::vector<int64_t> with_ngrams = m.integers("ple.layers", {0, runtime::kMaxLayers});
  for_each_layer(m, spec, [&](int64_t i, LayerSpec& layer) {
    if (std::find(with_ngrams.begin(), with_ngrams.end(), i) != with_ngrams.end()) {
      layer.ngram = ngram_embedding(m, i, hyper);
    }
    layer.mixer_mix = hyper.mix(block(i, "hc_attn"));
    layer.ffn_mix = hyper.mix(block(i, "hc_ffn"));
    if (recurrent[static_cast<size_t>(i)]) {
      layer.mixer = delta_net(m, i, {.gate = Activation::kSigmoid});
    } else {
      layer.mixer = gated_attention(m, i, options);
    }
    layer.ffn = moe_ffn(m, i, experts);
  });
  return spec;
}

}  // namespace llmrun::models
