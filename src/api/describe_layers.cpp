// The table of layers: what each mixer and feed-forward is, in words.
#include <fmt/format.h>

#include "api/open_file.h"

namespace llmrun {
namespace {

using runtime::Activation;

std::string_view gated_name(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return "SwiGLU";
    case Activation::kGelu:
    case Activation::kGeluErf:
    case Activation::kGeluQuick:
      return "GeGLU";
    case Activation::kRelu:
    case Activation::kRelu2:
      return "ReGLU";
    default:
      return "gated";
  }
}

std::string_view plain_name(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return "SiLU";
    case Activation::kGelu:
    case Activation::kGeluErf:
    case Activation::kGeluQuick:
      return "GELU";
    case Activation::kRelu:
      return "ReLU";
    case Activation::kRelu2:
      return "squared ReLU";
    default:
      return "plain";
  }
}

struct Describe {
  std::string operator()(const runtime::NoMixer&) const { return "none"; }
  std::string operator()(const runtime::LinearMixer&) const { return "one matrix"; }
  std::string operator()(const runtime::NoFfn&) const { return "none"; }
  std::string operator()(const runtime::Attention& a) const {
    const std::string width =
        a.k_dim == a.v_dim ? fmt::format("{}", a.k_dim) : fmt::format("{}/{}", a.k_dim, a.v_dim);
    return fmt::format("attention {} heads, {} KV heads, {} wide", a.n_heads, a.n_kv_heads, width);
  }
  std::string operator()(const runtime::LatentAttention& a) const {
    return fmt::format("latent attention {} heads, rank {}, {}+{} wide, values {}{}", a.n_heads,
                       a.kv_rank, a.nope_dim, a.rope_dim, a.v_dim,
                       a.absorbed() ? "" : ", not absorbed");
  }
  std::string operator()(const runtime::ShortConv& c) const {
    return fmt::format("short convolution of {} tokens", c.conv.n_taps);
  }
  std::string operator()(const runtime::StateSpace& s) const {
    if (s.head_dim == 1) return fmt::format("Mamba {} channels, state {}", s.n_heads, s.n_state);
    return fmt::format("Mamba 2 {} heads, {} wide, state {}", s.n_heads, s.head_dim, s.n_state);
  }
  std::string operator()(const runtime::LightningAttention& a) const {
    return fmt::format("lightning attention {} heads, {} wide", a.n_heads, a.head_dim);
  }
  std::string operator()(const runtime::DeltaNet& d) const {
    return fmt::format("{} {} heads, {} key heads, {} wide",
                       d.n_decays() == d.n_heads ? "gated delta net" : "Kimi delta attention",
                       d.n_heads, d.n_k_heads, d.k_dim);
  }
  std::string operator()(const runtime::DenseFfn& f) const {
    if (!f.up.declared()) return fmt::format("{} alone", plain_name(f.activation));
    return fmt::format("{} {}",
                       f.gate.declared() ? gated_name(f.activation) : plain_name(f.activation),
                       f.down.n_in);
  }
  std::string operator()(const runtime::MoeFfn& f) const {
    std::string text = fmt::format("MoE {} of {} experts, {} wide", f.n_used, f.n_experts, f.n_ff);
    if (f.routes_layer_input) text += ", routed before the mixer";
    if (f.chunks) text += fmt::format(", of chunks {}", f.chunks->n_ff);
    if (f.shared) text += fmt::format(", shared {}", f.shared->down.n_in);
    return text;
  }
};

std::string mixers_of(const runtime::LayerSpec& layer) {
  std::string text = std::visit(Describe(), layer.mixer);
  if (!std::holds_alternative<runtime::NoMixer>(layer.second_mixer)) {
    text += " + " + std::visit(Describe(), layer.second_mixer);
  }
  return text;
}

void note(std::string& notes, const std::string& text) {
  if (!notes.empty()) notes += ", ";
  notes += text;
}

std::string notes_of(const gguf::File& file, const runtime::LayerSpec& layer) {
  std::string notes;
  const auto in_file = [&](const runtime::TensorDecl& tensor) {
    return file.find_tensor(tensor.name) != nullptr;
  };
  if (const auto* a = std::get_if<runtime::Attention>(&layer.mixer)) {
    if (a->window > 0) note(notes, fmt::format("window {}", a->window));
    if (a->chunk > 0) note(notes, fmt::format("chunks of {}", a->chunk));
    if (in_file(a->q.bias)) note(notes, "QKV bias");
    if (a->q_norm) note(notes, "QK norm");
    if (in_file(a->sinks)) note(notes, "sinks");
    if (a->soft_cap > 0) note(notes, fmt::format("soft cap {}", a->soft_cap));
    if (a->clamp_qkv > 0) note(notes, fmt::format("QKV clamped to {}", a->clamp_qkv));
    if (a->alibi_max_bias > 0) note(notes, "ALiBi");
    if (a->gate || a->gate_in_q) note(notes, "output gate");
    if (a->rope == runtime::kNoRope && a->alibi_max_bias == 0) note(notes, "no RoPE");
  }
  if (layer.stream_norm) note(notes, "starts a loop");
  if (layer.embedding_gain.declared()) note(notes, "embedding added again");
  if (layer.ngram) note(notes, fmt::format("{}-gram embedding", layer.ngram->order));
  if (layer.mixer_mix) note(notes, "hyper-connections");
  if (layer.mixer_score.declared()) note(notes, "residual checkpoints");
  if (layer.mixer_post_norm || layer.ffn_post_norm) note(notes, "norms after blocks");
  if (!std::holds_alternative<runtime::NoFfn>(layer.side_ffn)) {
    note(notes, "beside it " + std::visit(Describe(), layer.side_ffn));
  }
  if (layer.ends != runtime::StackEnd::kNone) note(notes, "ends a stack");
  if (layer.residual == runtime::Residual::kParallel) note(notes, "parallel");
  return notes;
}

uint64_t layer_bytes(const gguf::File& file, size_t layer) {
  const std::string prefix = fmt::format("blk.{}.", layer);
  uint64_t bytes = 0;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    if (tensor.name.starts_with(prefix)) bytes += tensor.size_bytes;
  }
  return bytes;
}

}  // namespace

std::vector<LayerGroup> describe_layers(const gguf::File& file, const runtime::ModelSpec& spec) {
  std::vector<LayerGroup> groups;
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const runtime::LayerSpec& layer = spec.layers[i];
    const auto number = static_cast<int>(i);
    LayerGroup row{number,
                   number,
                   mixers_of(layer),
                   std::visit(Describe(), layer.ffn),
                   notes_of(file, layer),
                   layer_bytes(file, i)};
    LayerGroup* last = groups.empty() ? nullptr : &groups.back();
    if (last != nullptr && last->mixer == row.mixer && last->ffn == row.ffn &&
        last->notes == row.notes) {
      last->last = number;
      last->bytes += row.bytes;
    } else {
      groups.push_back(std::move(row));
    }
  }
  return groups;
}

}  // namespace llmrun
