// gpt-oss: attention sinks, and experts in MXFP4 whose gate and up rows alternate.
#include "base/error.h"
#include "convert/families/common.h"
#include "convert/families/rope.h"
#include "convert/families/windows.h"
#include "convert/mxfp4.h"

namespace llmrun::convert {
namespace {

struct Experts {
  int64_t n = 0;
  int64_t width = 0;
  int64_t d_model = 0;
};

// Which rows of an expert's matrix: all, or those of every second row from `first` on.
struct RowChoice {
  int64_t first = 0;
  int64_t step = 1;
};

// [n, n_rows * step, n_columns] of the folder becomes [n, n_rows, n_columns].
void add_expert_matrix(Conversion& c, const std::string& from, const std::string& to, int64_t n,
                       int64_t n_rows, int64_t n_columns, RowChoice choice) {
  const auto source = [=](int64_t row) {
    return row / n_rows * (n_rows * choice.step) + row % n_rows * choice.step + choice.first;
  };
  const std::vector<int64_t> shape{n, n_rows, n_columns};
  const int64_t all_rows = n_rows * choice.step;
  if (c.has(from + "_blocks")) {
    add_mxfp4(c, from, to + ".weight", {n, all_rows, n_columns}, shape, source);
  } else {  // a copy that was unpacked, with inputs first
    Rows rows = transposed(c.take(from, {n, n_columns, all_rows}));
    if (c.ok()) c.add(to + ".weight", reshaped(reordered(std::move(rows), source), shape));
  }
  Rows bias = reshaped(c.take(from + "_bias", {n, all_rows}), {n * all_rows, 1});
  if (!c.ok()) return;
  c.add(to + ".bias", reshaped(reordered(std::move(bias), source), {n, n_rows}),
        Precision::kFloat32);
}

void add_experts(Conversion& c, const std::string& from, int64_t i, const Experts& e) {
  const std::string gate_up = from + ".gate_up_proj";
  add_expert_matrix(c, gate_up, block(i, "ffn_gate_exps"), e.n, e.width, e.d_model, {0, 2});
  add_expert_matrix(c, gate_up, block(i, "ffn_up_exps"), e.n, e.width, e.d_model, {1, 2});
  add_expert_matrix(c, from + ".down_proj", block(i, "ffn_down_exps"), e.n, e.d_model, e.width,
                    {0, 1});
}

}  // namespace

void convert_gpt_oss(Conversion& c) {
  const Decoder d = start_decoder(c, "gpt-oss");
  const Config& config = c.config();
  Experts e;
  e.n = config.integer("num_local_experts", {1, kMaxExperts});
  e.width = d.n_ff;
  e.d_model = d.d_model;
  c.set_integer("expert_count", e.n);
  c.set_integer("expert_used_count", config.integer("num_experts_per_tok", {1, e.n}));
  c.set_integer("expert_feed_forward_length", e.width);
  add_windows(c, d, 2);
  if (config.number("swiglu_limit", 7.0) != 7.0) {
    c.fail(ErrorCode::kUnsupported, "swiglu_limit is not 7; GGUF has no key for another limit");
  }
  add_frame(c, d);
  add_rope(c, d.head_dim);
  rename_attention(c, d);
  rename_layers(c, d.n_layers, d.layers(),
                {{"post_attention_layernorm", "post_attention_norm"},
                 {"mlp.router", "ffn_gate_inp", Precision::kFloat32}});
  for (int64_t i = 0; i < d.n_layers && c.ok(); ++i) {
    c.add(block(i, "attn_sinks.weight"), c.take(d.layer(i, "self_attn.sinks"), {d.n_heads}));
    add_experts(c, d.layer(i, "mlp.experts"), i, e);
  }
}

}  // namespace llmrun::convert
