// GroveMoE: experts in groups that share an adjugate ("chunk") expert each; those of the chosen
// experts' groups run on what the experts gave.
#include <algorithm>

#include "base/error.h"
#include "models/common.h"

namespace llmrun::models {
namespace {

runtime::MoeFfn grove_experts(ModelMetadata& m, int64_t layer) {
  runtime::MoeFfn ffn = moe_ffn(m, layer, {.own_width = true});
  ffn.select_by_logit = true;
  runtime::ChunkExperts chunks;
  chunks.experts_per_chunk = m.required_integer("experts_per_group", {1, ffn.n_experts});
  const int64_t n_chunks = ffn.n_experts / chunks.experts_per_chunk;
  if (ffn.n_experts % chunks.experts_per_chunk != 0) {
    m.fail(ErrorCode::kBadModel, fmt::format("{} experts do not fill groups of {}", ffn.n_experts,
                                             chunks.experts_per_chunk));
  }
  chunks.n_used = std::min(ffn.n_used, n_chunks);
  chunks.n_ff = m.integer("expert_chunk_feed_forward_length", m.k_dim(), {1, runtime::kMaxWidth});
  chunks.scale = m.required_number("expert_group_scale");
  const auto matrices = [&](const char* name, int64_t n_in, int64_t n_out) {
    return linear(block(layer, name), n_in, n_out, Presence::kNever, n_chunks);
  };
  chunks.gate = matrices("ffn_gate_chexps", m.d_model(), chunks.n_ff);
  chunks.up = matrices("ffn_up_chexps", m.d_model(), chunks.n_ff);
  chunks.down = matrices("ffn_down_chexps", chunks.n_ff, m.d_model());
  ffn.chunks = std::move(chunks);
  return ffn;
}

}  // namespace

ModelSpec build_grovemoe(ModelMetadata& m) {
  return plain_decoder(m, rms_norm(m),
                       {.rope = {.split_halves = true},
                        .attention = {.qk_norm = QkNorm::kHead},
                        .ffn = [&](int64_t i) { return grove_experts(m, i); }});
}

}  // namespace llmrun::models
