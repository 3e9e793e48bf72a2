// Steps that several families share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "convert/conversion.h"

namespace llmrun::convert {

// "blk.3.attn_q".
std::string block(int64_t layer, std::string_view name);

// ---- tensors -----------------------------------------------------------------------------------

// One weight, and its bias when there is one, of every layer.
struct Rename {
  std::string_view from;  // under "<layers>.<i>."
  std::string_view to;    // under "blk.<i>."
  Precision precision = Precision::kWanted;
};
void rename_layers(Conversion& c, int64_t n_layers, std::string_view layers,
                   std::initializer_list<Rename> renames);

// "<from>.<e>.<part>.weight" of all experts become one tensor "<to>.weight".
void stack_experts(Conversion& c, int64_t n_experts, const std::string& from, std::string_view part,
                   const std::string& to, const std::vector<int64_t>& shape);

// ---- decoders ----------------------------------------------------------------------------------

// What the config.json of nearly every decoder says.
struct Decoder {
  int64_t n_layers = 0;
  int64_t d_model = 0;
  int64_t n_ff = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  // What the names of its tensors begin with, except the head's; embedding models have "".
  std::string base = "model.";

  [[nodiscard]] std::string layers() const { return base + "layers"; }
  [[nodiscard]] std::string layer(int64_t i, std::string_view name) const;
};
// Latent attention writes the sizes of heads itself.
enum class HeadSizes : uint8_t { kWrite, kLeaveOut };
// What a config.json may leave out because transformers' class has it as a default; 0: it may not.
struct DecoderDefaults {
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;  // 0: as many as heads
  int64_t head_dim = 0;    // 0: hidden_size / heads
  int64_t context = 0;
};
// Reads these and writes their keys, with eps from rms_norm_eps.
Decoder start_decoder(Conversion& c, std::string architecture,
                      HeadSizes head_sizes = HeadSizes::kWrite,
                      const DecoderDefaults& defaults = {});

// Embedding, last norm (its weights plus `norm_addend`) and, unless it is tied, the head.
void add_frame(Conversion& c, const Decoder& decoder, float norm_addend = 0.0F);

// "<from>.weight" plus `addend`: Gemma stores its norms around 0.
void add_norm(Conversion& c, const std::string& from, const std::string& to, float addend);

// The first norm and the projections of attention, under the names of most folders.
enum class QkNorms : uint8_t { kNone, kHeads };
void rename_attention(Conversion& c, const Decoder& decoder, QkNorms norms = QkNorms::kNone);
// The second norm and a gated feed-forward, likewise.
void rename_gated_ffn(Conversion& c, const Decoder& decoder);

// ---- mistakes ----------------------------------------------------------------------------------

// Another value under the key than this (which is also the default) is a mistake: the runtime has
// no such variant.
void require_text(const Config& config, const char* key, std::string_view only);
void require_integer(const Config& config, const char* key, int64_t only);
void require_flag(const Config& config, const char* key, bool fallback, bool only);

}  // namespace llmrun::convert
