// Llama and Mistral. Their GGUF files rotate neighbouring values, the folders the two halves of a
// head: so the rows of queries and keys change places.
#include "convert/families/common.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"

namespace llmrun::convert {
namespace {

// Row 2i of a head is row i, row 2i + 1 is row i + head_dim / 2.
Rows interleaved(Rows rows, int64_t head_dim) {
  return reordered(std::move(rows), [head_dim](int64_t row) {
    const int64_t in_head = row % head_dim;
    return row - in_head + in_head / 2 + in_head % 2 * (head_dim / 2);
  });
}

void add_rotated(Conversion& c, const std::string& from, const std::string& to, int64_t n_heads,
                 const Decoder& d) {
  const int64_t n_rows = n_heads * d.head_dim;
  c.add(to + ".weight", interleaved(c.take(from + ".weight", {n_rows, d.d_model}), d.head_dim));
  if (!c.has(from + ".bias")) return;
  Rows bias = reshaped(c.take(from + ".bias", {n_rows}), {n_rows, 1});
  c.add(to + ".bias", reshaped(interleaved(std::move(bias), d.head_dim), {n_rows}));
}

}  // namespace

void convert_llama(Conversion& c) {
  const Decoder d = start_decoder(c, "llama");
  require_text(c.config(), "hidden_act", "silu");
  leave_out_window(c);
  if (d.head_dim % 2 != 0) c.fail(ErrorCode::kBadModel, "head_dim is odd; rotary heads are even");
  add_frame(c, d);
  add_rope(c, d.head_dim, RopeFactors::kAll);
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    add_rotated(c, d.layer(i, "self_attn.q_proj"), block(i, "attn_q"), d.n_heads, d);
    add_rotated(c, d.layer(i, "self_attn.k_proj"), block(i, "attn_k"), d.n_kv_heads, d);
  }
  rename_layers(c, d.n_layers, d.layers(),
                {{"input_layernorm", "attn_norm"},
                 {"self_attn.v_proj", "attn_v"},
                 {"self_attn.o_proj", "attn_output"}});
  rename_gated_ffn(c, d);
}

}  // namespace llmrun::convert
