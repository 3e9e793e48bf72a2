// Walks over the tensors of a spec, so that nobody else needs to know where they are.
#include "runtime/spec.h"

#include <algorithm>

#include "runtime/layer_tensors.h"

namespace llmrun::runtime {
namespace {

class Walker {
 public:
  explicit Walker(const LayerTensorVisitor& visit) : visit_(visit) {}
  void set_layer(int64_t layer) { layer_ = layer; }

  void matrix(TensorDecl& tensor) const { visit(tensor, {.is_matrix = true, .layer = layer_}); }
  void vector(TensorDecl& tensor) const { visit(tensor, {.layer = layer_}); }
  void operator()(Linear& linear) const {
    matrix(linear.weight);
    vector(linear.bias);
    vector(linear.scale);
  }
  void operator()(std::optional<Norm>& norm) const {
    if (!norm) return;
    vector(norm->weight);
    vector(norm->bias);
  }
  void operator()(std::optional<OutputGate>& gate) const {
    if (gate) (*this)(gate->linear);
  }
  void operator()(Rope& rope) const {
    vector(rope.factors);
    vector(rope.factors_long);
    vector(rope.factors_short);
  }
  void operator()(NoMixer& /*mixer*/) const {}
  void operator()(LinearMixer& mixer) const { (*this)(mixer.out); }
  void operator()(Attention& mixer) const {
    for (Linear* linear : {&mixer.q, &mixer.k, &mixer.v, &mixer.out}) (*this)(*linear);
    (*this)(mixer.q_norm);
    (*this)(mixer.k_norm);
    vector(mixer.sinks);
    vector(mixer.query_gains);
    (*this)(mixer.gate);
  }
  void operator()(LatentAttention& mixer) const {
    for (Linear* linear : {&mixer.q, &mixer.q_a, &mixer.q_b, &mixer.kv_a, &mixer.k_b, &mixer.v_b,
                           &mixer.kv_b, &mixer.out}) {
      (*this)(*linear);
    }
    (*this)(mixer.q_a_norm);
    (*this)(mixer.kv_a_norm);
    (*this)(mixer.gate);
  }
  void operator()(Convolution& conv) const {
    vector(conv.weight);
    vector(conv.bias);
  }
  void operator()(ShortConv& mixer) const {
    for (Linear* linear : {&mixer.b, &mixer.c, &mixer.u, &mixer.out}) (*this)(*linear);
    (*this)(mixer.conv);
  }
  void operator()(StateSpace& mixer) const {
    for (Linear* linear : {&mixer.z, &mixer.x, &mixer.zx.linear, &mixer.b, &mixer.c, &mixer.dt_low,
                           &mixer.dt, &mixer.out}) {
      (*this)(*linear);
    }
    (*this)(mixer.conv);
    for (auto* norm : {&mixer.b_norm, &mixer.c_norm, &mixer.dt_norm, &mixer.out_norm}) {
      (*this)(*norm);
    }
    vector(mixer.a);
    vector(mixer.d);
  }
  void operator()(LightningAttention& mixer) const {
    (*this)(mixer.qkv.linear);
    (*this)(mixer.norm);
    (*this)(mixer.gate);
    (*this)(mixer.out);
  }
  void operator()(DeltaNet& mixer) const {
    for (Linear* linear :
         {&mixer.q, &mixer.k, &mixer.v, &mixer.qkvz.linear, &mixer.beta, &mixer.decay,
          &mixer.decay_low, &mixer.beta_decay.linear, &mixer.gate_low, &mixer.gate, &mixer.out}) {
      (*this)(*linear);
    }
    for (Convolution* conv : {&mixer.q_conv, &mixer.k_conv, &mixer.v_conv}) (*this)(*conv);
    vector(mixer.decay_bias);
    vector(mixer.a);
    (*this)(mixer.out_norm);
  }
  void operator()(std::optional<HyperMix>& mix) const {
    if (!mix) return;
    vector(mix->norm.weight);
    for (Linear* linear : {&mix->down, &mix->up, &mix->inject}) (*this)(*linear);
  }
  void operator()(NgramEmbedding& ngram) const {
    matrix(ngram.table);
    (*this)(ngram.key);
    (*this)(ngram.value);
    for (Norm* norm : {&ngram.key_norm, &ngram.query_norm, &ngram.conv_norm}) vector(norm->weight);
    (*this)(ngram.conv);
  }
  void operator()(NoFfn& /*ffn*/) const {}
  void operator()(DenseFfn& ffn) const {
    for (Linear* linear : {&ffn.gate, &ffn.up, &ffn.down}) (*this)(*linear);
    vector(ffn.hidden_divisors);
  }
  void operator()(Experts& experts) const {
    for (Linear* linear : {&experts.gate, &experts.up, &experts.gate_up, &experts.down}) {
      visit(linear->weight, {.is_matrix = true, .of_experts = true, .layer = layer_});
      visit(linear->bias, {.of_experts = true, .layer = layer_});
      visit(linear->scale, {.of_experts = true, .layer = layer_});
    }
  }
  void operator()(MoeFfn& ffn) const {
    (*this)(ffn.router);
    vector(ffn.selection_bias);
    (*this)(static_cast<Experts&>(ffn));
    if (ffn.chunks) (*this)(static_cast<Experts&>(*ffn.chunks));
    (*this)(ffn.latent_down);
    (*this)(ffn.latent_up);
    (*this)(ffn.latent_norm);
    if (ffn.shared) (*this)(*ffn.shared);
    (*this)(ffn.shared_gate);
  }

 private:
  void visit(TensorDecl& tensor, const TensorUse& use) const {
    if (tensor.declared()) visit_(tensor, use);
  }

  const LayerTensorVisitor& visit_;
  int64_t layer_ = kBeforeLayers;
};

}  // namespace

void for_each_tensor(ModelSpec& spec, const TensorVisitor& visit) {
  for_each_layer_tensor(
      spec, [&](TensorDecl& tensor, const TensorUse& use) { visit(tensor, use.is_matrix); });
}

void for_each_layer_tensor(ModelSpec& spec, const LayerTensorVisitor& visit) {
  Walker walk(visit);
  walk.matrix(spec.embedding.table);
  walk.matrix(spec.embedding.positions);
  walk.matrix(spec.embedding.token_types);
  walk(spec.embedding.norm);
  for (Rope& rope : spec.ropes) walk(rope);
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  for (int64_t i = 0; i < n_layers; ++i) {
    LayerSpec& layer = spec.layers[static_cast<size_t>(i)];
    walk.set_layer(i);
    walk(layer.stream_norm);
    if (layer.ngram) walk(*layer.ngram);
    walk(layer.mixer_mix);
    walk(layer.ffn_mix);
    walk(layer.mixer_score);
    walk(layer.ffn_score);
    walk(layer.mixer_norm);
    std::visit(walk, layer.mixer);
    std::visit(walk, layer.second_mixer);
    walk(layer.mixer_post_norm);
    walk(layer.ffn_norm);
    std::visit(walk, layer.ffn);
    walk(layer.ffn_post_norm);
    walk(layer.side_norm);
    std::visit(walk, layer.side_ffn);
    walk.vector(layer.embedding_gain);
  }
  walk.set_layer(kBeforeLayers);
  if (spec.two_states) walk.vector(spec.two_states->initial_low);
  walk.set_layer(n_layers);
  walk(spec.bank.output_score);
  walk(spec.head.mix);
  walk(spec.head.norm);
  walk(spec.head.output);
  for (Linear& dense : spec.embedding_head.dense) walk(dense);
  Classifier& classifier = spec.embedding_head.classifier;
  walk(classifier.dense);
  walk(classifier.norm);
  walk(classifier.output);
}

int64_t pooled_width(const ModelSpec& spec, Pooling pooling) {
  const EmbeddingHead& head = spec.embedding_head;
  if (pooling == Pooling::kRank) return head.classifier.output.n_out;
  if (pooling == Pooling::kNone || head.dense.empty()) return spec.d_model;
  return head.dense.back().n_out;
}

namespace {

StateShape shape_of(const ShortConv& mixer) {
  return {mixer.conv.n_taps - 1, mixer.conv.n_channels, 0, 0};
}
StateShape shape_of(const StateSpace& mixer) {
  return {mixer.conv.n_taps - 1, mixer.conv.n_channels,
          mixer.n_heads * mixer.head_dim * mixer.n_state, 0};
}
StateShape shape_of(const LightningAttention& mixer) {
  return {0, 0, mixer.n_heads * mixer.head_dim * mixer.head_dim, 0};
}
StateShape shape_of(const DeltaNet& mixer) {
  return {mixer.q_conv.n_taps - 1,
          mixer.q_conv.n_channels + mixer.k_conv.n_channels + mixer.v_conv.n_channels,
          mixer.n_heads * mixer.k_dim * mixer.v_dim, 0};
}
template <typename Other>
StateShape shape_of(const Other& /*mixer*/) {
  return {};
}

}  // namespace

StateShape state_shape(const LayerSpec& layer) {
  const auto shape = [](const auto& mixer) { return shape_of(mixer); };
  StateShape result = std::visit(shape, layer.mixer);
  if (result.n_floats() == 0) result = std::visit(shape, layer.second_mixer);
  if (layer.ngram) {
    const Convolution& conv = layer.ngram->conv;
    result.ngram_window = (conv.n_taps - 1) * layer.ngram->order * conv.n_channels;
  }
  return result;
}

int64_t n_tokens_back(const ModelSpec& spec) {
  int64_t n = 0;
  for (const LayerSpec& layer : spec.layers) {
    if (layer.ngram) n = std::max(n, layer.ngram->order - 1);
  }
  return n;
}

KvShape kv_shape(const LayerSpec& layer) {
  if (const auto* mixer = std::get_if<Attention>(&layer.mixer)) {
    return {mixer->n_kv_heads, mixer->k_dim, mixer->v_dim};
  }
  if (const auto* mixer = std::get_if<LatentAttention>(&layer.mixer)) {
    const int64_t k_dim = mixer->nope_dim + mixer->rope_dim;
    if (!mixer->absorbed()) return {mixer->n_heads, k_dim, mixer->v_dim};
    return {1, mixer->kv_rank + mixer->rope_dim, 0};
  }
  return {};
}

bool reads_layer_input(const LayerSpec& layer) {
  if (!std::holds_alternative<NoFfn>(layer.side_ffn)) return true;
  const auto* moe = std::get_if<MoeFfn>(&layer.ffn);
  return moe != nullptr && moe->routes_layer_input;
}

}  // namespace llmrun::runtime
