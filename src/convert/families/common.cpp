// The shared steps.
#include "convert/families/common.h"

#include "base/error.h"

namespace llmrun::convert {

std::string block(int64_t layer, std::string_view name) {
  return fmt::format("blk.{}.{}", layer, name);
}

std::string Decoder::layer(int64_t i, std::string_view name) const {
  return fmt::format("{}layers.{}.{}", base, i, name);
}

void rename_layers(Conversion& c, int64_t n_layers, std::string_view layers,
                   std::initializer_list<Rename> renames) {
  for (int64_t i = 0; i < n_layers && c.ok(); ++i) {
    for (const Rename& one : renames) {
      c.rename(fmt::format("{}.{}.{}", layers, i, one.from), block(i, one.to), one.precision);
    }
  }
}

void stack_experts(Conversion& c, int64_t n_experts, const std::string& from, std::string_view part,
                   const std::string& to, const std::vector<int64_t>& shape) {
  std::vector<Rows> matrices;
  for (int64_t e = 0; e < n_experts && c.ok(); ++e) {
    matrices.push_back(c.take(fmt::format("{}.{}.{}.weight", from, e, part), shape));
  }
  if (c.ok()) c.add(to + ".weight", stacked(std::move(matrices)));
}

namespace {

int64_t integer_or(const Config& config, const char* key, int64_t fallback, Range range) {
  return fallback > 0 ? config.integer(key, fallback, range) : config.integer(key, range);
}

}  // namespace

Decoder start_decoder(Conversion& c, std::string architecture, HeadSizes head_sizes,
                      const DecoderDefaults& defaults) {
  const Config& config = c.config();
  c.set_architecture(std::move(architecture));
  Decoder d;
  d.n_layers = config.integer("num_hidden_layers", {1, kMaxLayers});
  d.d_model = config.integer("hidden_size", kWidths);
  d.n_ff = config.integer("intermediate_size", kWidths);
  d.n_heads = integer_or(config, "num_attention_heads", defaults.n_heads, {1, kMaxHeads});
  d.n_kv_heads =
      config.integer("num_key_value_heads",
                     defaults.n_kv_heads > 0 ? defaults.n_kv_heads : d.n_heads, {1, kMaxHeads});
  const int64_t even_share = std::max(int64_t{1}, d.d_model / d.n_heads);
  d.head_dim =
      config.integer("head_dim", defaults.head_dim > 0 ? defaults.head_dim : even_share, kWidths);
  c.set_integer("block_count", d.n_layers);
  c.set_integer("context_length", integer_or(config, "max_position_embeddings", defaults.context,
                                             {1, kMaxPositions}));
  c.set_integer("embedding_length", d.d_model);
  c.set_integer("feed_forward_length", d.n_ff);
  c.set_integer("attention.head_count", d.n_heads);
  c.set_number("attention.layer_norm_rms_epsilon", config.number("rms_norm_eps", 1e-6));
  if (head_sizes == HeadSizes::kWrite) {
    c.set_integer("attention.head_count_kv", d.n_kv_heads);
    c.set_integer("attention.key_length", d.head_dim);
    c.set_integer("attention.value_length", d.head_dim);
  }
  if (!c.has("model.embed_tokens.weight") && c.has("embed_tokens.weight")) d.base.clear();
  // Buffers that old versions of transformers stored with the weights.
  c.drop_endings({"rotary_emb.inv_freq"});
  return d;
}

void add_frame(Conversion& c, const Decoder& decoder, float norm_addend) {
  c.rename(decoder.base + "embed_tokens", "token_embd");
  add_norm(c, decoder.base + "norm", "output_norm", norm_addend);
  const bool tied = c.config().flag("tie_word_embeddings", !c.has("lm_head.weight"));
  if (tied) {
    c.drop_endings({"lm_head.weight"});
  } else {
    c.rename("lm_head", "output");
  }
}

void add_norm(Conversion& c, const std::string& from, const std::string& to, float addend) {
  Rows rows = c.take(from + ".weight");
  c.add(to + ".weight", addend == 0.0F ? std::move(rows) : shifted(std::move(rows), addend));
}

void rename_attention(Conversion& c, const Decoder& decoder, QkNorms norms) {
  rename_layers(c, decoder.n_layers, decoder.layers(),
                {{"input_layernorm", "attn_norm"},
                 {"self_attn.q_proj", "attn_q"},
                 {"self_attn.k_proj", "attn_k"},
                 {"self_attn.v_proj", "attn_v"},
                 {"self_attn.o_proj", "attn_output"}});
  if (norms == QkNorms::kNone) return;
  rename_layers(c, decoder.n_layers, decoder.layers(),
                {{"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"}});
}

void rename_gated_ffn(Conversion& c, const Decoder& decoder) {
  rename_layers(c, decoder.n_layers, decoder.layers(),
                {{"post_attention_layernorm", "ffn_norm"},
                 {"mlp.gate_proj", "ffn_gate"},
                 {"mlp.up_proj", "ffn_up"},
                 {"mlp.down_proj", "ffn_down"}});
}

void require_text(const Config& config, const char* key, std::string_view only) {
  const std::string found = config.text(key, only);
  if (found == only) return;
  config.fail(ErrorCode::kUnsupported, fmt::format("{} is \"{}\"; only \"{}\" can be converted",
                                                   key, found.substr(0, 64), only));
}

void require_integer(const Config& config, const char* key, int64_t only) {
  const int64_t found = config.integer(key, only, {INT32_MIN, INT32_MAX});
  if (found == only) return;
  config.fail(ErrorCode::kUnsupported,
              fmt::format("{} is {}; only {} can be converted", key, found, only));
}

void require_flag(const Config& config, const char* key, bool fallback, bool only) {
  if (config.flag(key, fallback) == only) return;
  config.fail(ErrorCode::kUnsupported,
              fmt::format("{} is {}; only {} can be converted", key, !only, only));
}

}  // namespace llmrun::convert
