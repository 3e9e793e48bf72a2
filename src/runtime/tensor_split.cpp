// Cuts at heads, at columns of the feed-forward and at tokens, so that no block of values is cut.
#include "runtime/tensor_split.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <type_traits>

#include "base/error.h"
#include "kernels/tensor_type.h"

namespace llmrun::runtime {
namespace {

struct Range {
  int64_t first = 0;
  int64_t count = 0;
};

template <typename... Args>
tl::unexpected<Error> cannot(fmt::format_string<Args...> what, Args&&... args) {
  return make_error(ErrorCode::kUnsupported,
                    "{}; divide the layers among the devices instead (--split-mode layer)",
                    fmt::format(what, std::forward<Args>(args)...));
}

// Rows of a product, and of what is added to it.
void cut_rows(Linear& linear, Range rows) {
  if (!linear.declared()) return;
  linear.n_out = rows.count;
  linear.weight.first += rows.first;
  linear.weight.count = rows.count;
  if (!linear.bias.declared()) return;
  if (linear.n_matrices > 1) {  // a row for each matrix
    linear.bias.first_value += rows.first;
    linear.bias.n_values = rows.count;
  } else {
    linear.bias.first += rows.first;
    linear.bias.count = rows.count;
  }
}

void cut_vector(TensorDecl& tensor, Range values) {
  if (!tensor.declared()) return;
  tensor.first += values.first;
  tensor.count = values.count;
}

// The cuts of one device.
class Splitter {
 public:
  Splitter(const gguf::File& file, size_t rank, size_t n)
      : file_(file), rank_(static_cast<int64_t>(rank)), n_(static_cast<int64_t>(n)) {}

  Result<void> split(ModelSpec& spec) {
    if (spec.bank.period > 0 || spec.n_streams > 1) {
      return cannot("{} mixes its residual streams, which devices cannot share", spec.architecture);
    }
    for (size_t i = 0; i < spec.layers.size(); ++i) {
      Result<void> done = split(spec.layers[i]);
      if (!done) {
        done.error().message = fmt::format("layer {}: {}", i, done.error().message);
        return done;
      }
    }
    return split(spec.head);
  }

 private:
  Result<void> split(LayerSpec& layer) {
    const auto one = [this](auto& block) { return split(block); };
    if (layer.ngram) return cannot("embeddings of several tokens cannot be shared");
    LLMRUN_TRY(std::visit(one, layer.mixer));
    LLMRUN_TRY(std::visit(one, layer.second_mixer));
    LLMRUN_TRY(std::visit(one, layer.ffn));
    return std::visit(one, layer.side_ffn);
  }

  // Of n_units the share of this device, in pieces of `step` (the last one may be less).
  Result<Range> share(const TensorDecl& tensor, const char* unit, int64_t n_units, int64_t step) {
    const int64_t n_pieces = (n_units + step - 1) / step;
    if (n_pieces < n_) {
      return cannot(
          "{} has {} {}, which can be cut into {} parts at most, and there are {} devices",
          tensor.name, n_units, unit, n_pieces, n_);
    }
    const auto border = [&](int64_t rank) {
      return std::min(n_units, rank * n_pieces / n_ * step);
    };
    const int64_t first = border(rank_);
    return Range{first, border(rank_ + 1) - first};
  }

  // Values of a block, which stay together.
  [[nodiscard]] int64_t block_size(const TensorDecl& tensor) const {
    const gguf::TensorInfo* const found = file_.find_tensor(tensor.name);
    const auto type =
        found == nullptr ? std::nullopt : quant::tensor_type_from_gguf_id(found->type);
    return type ? quant::traits(*type).block_size : 1;  // binding tells what is wrong with it
  }

  // Columns of a product; the bias is added by the first device.
  void cut_columns(Linear& linear, Range columns) const {
    linear.n_in = columns.count;
    linear.weight.first_value = columns.first;
    linear.weight.n_values = columns.count;
    if (rank_ > 0) linear.bias = {};
  }

  Result<void> split(NoMixer& /*mixer*/) { return {}; }
  Result<void> split(LinearMixer& mixer) {
    return cannot("{} is a matrix in the place of attention, which devices cannot share",
                  mixer.out.weight.name);
  }
  Result<void> split(LatentAttention& mixer) {
    return cannot("{} belongs to latent attention (MLA), which devices cannot share",
                  mixer.out.weight.name);
  }
  template <typename Recurrent>
  requires(std::is_same_v<Recurrent, ShortConv> || std::is_same_v<Recurrent, StateSpace> ||
           std::is_same_v<Recurrent, LightningAttention> ||
           std::is_same_v<Recurrent, DeltaNet>) Result<void> split(Recurrent& mixer) {
    return cannot("{} belongs to a recurrent mixer, which devices cannot share",
                  mixer.out.weight.name);
  }

  // Norms of each head stay as they are, unless every head has its own weights.
  Result<void> split(std::optional<Norm>& norm, int64_t head_dim, Range heads) {
    if (!norm) return {};
    if (norm->group != head_dim) {
      return cannot("{} is a norm over all heads together, which devices cannot share",
                    norm->weight.name);
    }
    if (norm->weight_size <= norm->group) return {};
    norm->weight_size = heads.count * head_dim;
    for (TensorDecl* const tensor : {&norm->weight, &norm->bias}) {
      const int64_t unit = tensor->shape.size() > 1 ? 1 : head_dim;
      cut_vector(*tensor, {heads.first * unit, heads.count * unit});
    }
    return {};
  }

  struct HeadShare {
    Range queries, kv;
  };
  // Heads of keys and values with the heads of queries that read them. Of fewer than there are
  // devices each has one, which some have in common: they share its queries.
  Result<HeadShare> share_heads(const Attention& mixer) {
    const TensorDecl& out = mixer.out.weight;
    const int64_t group = mixer.n_heads / mixer.n_kv_heads;
    const int64_t block = block_size(out);
    if (mixer.n_kv_heads >= n_) {
      const int64_t step = block / std::gcd(block, group * mixer.v_dim);
      LLMRUN_ASSIGN(const Range kv, share(out, "heads of keys and values", mixer.n_kv_heads, step));
      return HeadShare{{kv.first * group, kv.count * group}, kv};
    }
    const int64_t step = block / std::gcd(block, mixer.v_dim);
    const int64_t n_pieces = group % step == 0 ? group / step : 1;
    const auto first_device = [&](int64_t kv) {
      return (kv * n_ + mixer.n_kv_heads - 1) / mixer.n_kv_heads;
    };
    if (const int64_t most = n_pieces * mixer.n_kv_heads; n_ > most) {
      return cannot(
          "{} has {} heads of queries on {} of keys and values, which {} devices at most can "
          "share, and there are {}",
          out.name, mixer.n_heads, mixer.n_kv_heads, most, n_);
    }
    const int64_t kv = rank_ * mixer.n_kv_heads / n_;
    const int64_t first = first_device(kv), n = first_device(kv + 1) - first;
    const auto border = [&](int64_t rank) { return kv * group + rank * n_pieces / n * step; };
    const int64_t from = border(rank_ - first);
    return HeadShare{{from, border(rank_ - first + 1) - from}, {kv, 1}};
  }

  Result<void> split(Attention& mixer) {
    if (mixer.alibi_max_bias != 0.0F) {
      return cannot(
          "{} belongs to attention with linear biases (ALiBi), which devices cannot share",
          mixer.out.weight.name);
    }
    LLMRUN_ASSIGN(const HeadShare own, share_heads(mixer));
    const auto [heads, kv] = own;
    const auto cut_heads = [](Linear& linear, Range part, int64_t n_heads) {
      const int64_t rows = linear.n_out / n_heads;
      cut_rows(linear, {part.first * rows, part.count * rows});
    };
    cut_heads(mixer.q, heads, mixer.n_heads);
    cut_heads(mixer.k, kv, mixer.n_kv_heads);
    cut_heads(mixer.v, kv, mixer.n_kv_heads);
    if (mixer.gate) cut_heads(mixer.gate->linear, heads, mixer.n_heads);
    cut_columns(mixer.out, {heads.first * mixer.v_dim, heads.count * mixer.v_dim});
    LLMRUN_TRY(split(mixer.q_norm, mixer.k_dim, heads));
    LLMRUN_TRY(split(mixer.k_norm, mixer.k_dim, kv));
    cut_vector(mixer.sinks, heads);
    cut_vector(mixer.query_gains, heads);
    mixer.n_heads = heads.count;
    mixer.n_kv_heads = kv.count;
    return {};
  }

  Result<Range> share_columns(const Linear& down, int64_t n_ff) {
    constexpr int64_t kAligned = 32;  // values, where blocks are smaller
    const int64_t block = block_size(down.weight);
    const bool wide = block < kAligned && kAligned % block == 0 && n_ff >= n_ * kAligned;
    return share(down.weight, "columns", n_ff, wide ? kAligned : block);
  }

  Result<void> split(NoFfn& /*ffn*/) { return {}; }
  Result<void> split(DenseFfn& ffn) {
    if (!ffn.up.declared()) return cannot("a feed-forward without matrices cannot be shared");
    LLMRUN_ASSIGN(const Range columns, share_columns(ffn.down, ffn.up.n_out));
    cut_rows(ffn.gate, columns);
    cut_rows(ffn.up, columns);
    cut_columns(ffn.down, columns);
    cut_vector(ffn.hidden_divisors, columns);
    return {};
  }

  // Every device runs all chosen experts, each in its columns.
  Result<void> split(MoeFfn& ffn) {
    if (ffn.chunks || ffn.latent_down.declared()) {
      return cannot(
          "{} belongs to experts that read sums of experts, or are read by a matrix, "
          "which devices cannot share",
          ffn.down.weight.name);
    }
    LLMRUN_ASSIGN(const Range columns, share_columns(ffn.down, ffn.n_ff));
    if (ffn.gate_up.declared()) {  // two products now: the parts are apart
      ffn.gate = ffn.up = ffn.gate_up;
      ffn.gate_up = {};
      cut_rows(ffn.gate, columns);
      cut_rows(ffn.up, {ffn.n_ff + columns.first, columns.count});
    } else {
      cut_rows(ffn.gate, columns);
      cut_rows(ffn.up, columns);
    }
    cut_columns(ffn.down, columns);
    ffn.n_ff = columns.count;
    return ffn.shared ? split(*ffn.shared) : Result<void>();
  }

  Result<void> split(Head& head) {
    if (!head.output.declared()) return {};
    constexpr int64_t kRows = 32;
    const int64_t n = head.output.n_out;
    LLMRUN_ASSIGN(const Range rows,
                  share(head.output.weight, "rows", n, n >= n_ * kRows ? kRows : 1));
    cut_rows(head.output, rows);
    head.first_token += rows.first;
    return {};
  }

  const gguf::File& file_;
  int64_t rank_, n_;
};

}  // namespace

Result<std::vector<ModelSpec>> split_tensors(const ModelSpec& spec, const gguf::File& file,
                                             size_t n) {
  std::vector<ModelSpec> shares(n, spec);
  for (size_t rank = 0; rank < n; ++rank) {
    LLMRUN_TRY(Splitter(file, rank, n).split(shares[rank]));
  }
  return shares;
}

int64_t n_meetings(const ModelSpec& spec) {
  int64_t n = 0;
  for (const LayerSpec& layer : spec.layers) {
    for (const Mixer* mixer : {&layer.mixer, &layer.second_mixer}) {
      if (!std::holds_alternative<NoMixer>(*mixer)) ++n;
    }
    for (const Ffn* ffn : {&layer.ffn, &layer.side_ffn}) {
      if (!std::holds_alternative<NoFfn>(*ffn)) ++n;
    }
  }
  return n;
}

}  // namespace llmrun::runtime
