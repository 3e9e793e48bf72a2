// Binding of LoRA adapters: what a file changes is found in the model's spec, and every shape is
// checked once.
#include "runtime/adapters.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "base/error.h"
#include "gguf/type_sizes.h"
#include "kernels/host_buffer.h"
#include "runtime/weight_cut.h"

namespace llmrun::runtime {
namespace {

constexpr uint64_t kMaxRank = 1 << 16;

Result<std::string> text_of(const gguf::Metadata& metadata, const char* key) {
  return metadata.get_or<std::string>(key, std::string());
}

// The file says that it is a LoRA for this architecture; gives its alpha (0: it names none).
Result<float> check_header(const gguf::File& file, const ModelSpec& spec) {
  const gguf::Metadata& metadata = file.metadata();
  LLMRUN_ASSIGN(const std::string type, text_of(metadata, "general.type"));
  if (type != "adapter") {
    return make_error(ErrorCode::kBadModel, "this is no adapter: its general.type is \"{}\"",
                      type.substr(0, 40));
  }
  LLMRUN_ASSIGN(const std::string kind, text_of(metadata, "adapter.type"));
  if (kind != "lora" || metadata.contains("adapter.alora.invocation_tokens")) {
    return make_error(ErrorCode::kUnsupported,
                      "adapters of the type \"{}\" cannot be applied, only plain \"lora\" ones",
                      kind == "lora" ? "alora" : kind.substr(0, 40));
  }
  LLMRUN_ASSIGN(const std::string architecture, text_of(metadata, "general.architecture"));
  if (architecture != spec.architecture) {
    return make_error(ErrorCode::kBadModel,
                      "this adapter is for models of the architecture {}, not {}",
                      architecture.substr(0, 40), spec.architecture);
  }
  if (!metadata.contains("adapter.lora.alpha")) return 0.0F;
  LLMRUN_ASSIGN(const double alpha, metadata.get<double>("adapter.lora.alpha"));
  if (!std::isfinite(alpha)) {
    return make_error(ErrorCode::kBadModel, "adapter.lora.alpha is no number");
  }
  return static_cast<float>(alpha);
}

std::string shape_of(const gguf::TensorInfo& tensor) {
  return fmt::format("{}",
                     fmt::join(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims, " x "));
}

int64_t dim(const std::vector<int64_t>& shape, size_t i) { return i < shape.size() ? shape[i] : 1; }

// Weights that the pass uses in other ways than product by product.
std::set<std::string> fixed_weights(const ModelSpec& spec) {
  std::set<std::string> names = {spec.embedding.positions.name, spec.embedding.token_types.name};
  for (const LayerSpec& layer : spec.layers) {
    if (layer.ngram) names.insert(layer.ngram->table.name);
    for (const Mixer* mixer : {&layer.mixer, &layer.second_mixer}) {
      if (const auto* latent = std::get_if<LatentAttention>(mixer)) {
        names.insert(latent->k_b.weight.name);
        names.insert(latent->v_b.weight.name);
      }
    }
  }
  return names;
}

// The two tensors that an adapter has for one of the model's.
struct Pair {
  const gguf::TensorInfo* a = nullptr;
  const gguf::TensorInfo* b = nullptr;
};

Result<std::map<std::string, Pair>> pairs_of(const gguf::File& file) {
  std::map<std::string, Pair> pairs;
  for (const gguf::TensorInfo& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    const bool is_a = name.ends_with(".lora_a");
    if (!is_a && !name.ends_with(".lora_b")) {
      return make_error(ErrorCode::kUnsupported,
                        "its tensor {} is neither a .lora_a nor a .lora_b; what it would do to the "
                        "model is not known",
                        name);
    }
    Pair& pair = pairs[std::string(name.substr(0, name.size() - 7))];
    (is_a ? pair.a : pair.b) = &tensor;
  }
  for (const auto& [name, pair] : pairs) {
    if (pair.a == nullptr || pair.b == nullptr) {
      return make_error(ErrorCode::kBadModel, "it has no {}.lora_{}", name,
                        pair.a == nullptr ? "a" : "b");
    }
  }
  return pairs;
}

}  // namespace

class AdapterBinder {
 public:
  AdapterBinder(const ModelSpec& spec, std::span<const uint8_t> slot_devices)
      : table_(spec.embedding.table), fixed_(fixed_weights(spec)), copy_(spec) {
    result_.slot_devices_.assign(slot_devices.begin(), slot_devices.end());
    for_each_tensor(copy_, [this](TensorDecl& tensor, bool is_matrix) {
      if (tensor.slot < 0) return;
      n_slots_ = std::max(n_slots_, static_cast<size_t>(tensor.slot) + 1);
      if (is_matrix) {
        matrices_[tensor.name].emplace(tensor.slot, &tensor);
      } else {
        fixed_.insert(tensor.name);
      }
    });
    const Linear& head = spec.head.output;
    // The two have slots of their own where they are on two devices, or one of them is a part.
    if (head.declared() && head.weight.name == table_.name) {
      tied_ = head.weight;
      tied_slot_ = head.weight.slot;
    }
  }

  Result<void> add(const AdapterFile& adapter) {
    LLMRUN_ASSIGN(const float alpha, check_header(*adapter.file, copy_));
    LLMRUN_ASSIGN(const auto pairs, pairs_of(*adapter.file));
    if (pairs.empty()) return make_error(ErrorCode::kBadModel, "it has no tensors");
    result_.products_.resize(n_slots_);
    result_.rows_.resize(n_slots_);
    for (const auto& [name, pair] : pairs) {
      const auto found = matrices_.find(name);
      if (fixed_.contains(name)) {
        return make_error(ErrorCode::kUnsupported,
                          "it changes {}, which cannot be changed while the model runs; merge the "
                          "adapter into the model's file",
                          name);
      }
      if (found == matrices_.end()) {
        return make_error(ErrorCode::kBadModel,
                          "it changes {}, and the model has no such tensor: it was made for "
                          "another model",
                          name);
      }
      for (const auto& [slot, tensor] : found->second) {
        if (slot == tied_slot_ && slot != table_.slot) continue;  // comes with the table
        LLMRUN_TRY(slot == table_.slot ? bind_table(pair, adapter.scale, alpha)
                                       : bind(pair, *tensor, adapter.scale, alpha));
      }
      result_.mapped_bytes_ += pair.a->size_bytes + pair.b->size_bytes;
    }
    return {};
  }

  Adapters take() { return std::move(result_); }

 private:
  // The tensor as n_matrices matrices of [n_out, n_in].
  Result<kernels::Weight> weight(const gguf::TensorInfo& tensor, int64_t n_in, int64_t n_out,
                                 int64_t n_matrices) {
    kernels::Weight weight;
    weight.n_in = n_in;
    weight.n_out = n_out;
    weight.n_matrices = n_matrices;
    const std::array<uint64_t, 4> wanted = {static_cast<uint64_t>(n_in),
                                            static_cast<uint64_t>(n_out),
                                            static_cast<uint64_t>(n_matrices), 1};
    if (tensor.dims != wanted) {
      return make_error(ErrorCode::kBadModel,
                        "its tensor {} has the shape {}, and the model's would be changed by {} x "
                        "{} x {}: it was made for another model",
                        tensor.name, shape_of(tensor), n_in, n_out, n_matrices);
    }
    const auto type = quant::tensor_type_from_gguf_id(tensor.type);
    if (!type) {
      return make_error(ErrorCode::kUnsupported,
                        "its tensor {} is of the type {}, which this "
                        "build cannot use",
                        tensor.name, gguf::type_name(tensor.type));
    }
    weight.type = *type;
    LLMRUN_ASSIGN(weight.row_bytes, quant::row_bytes(*type, n_in));
    weight.data = tensor.bytes.data();
    return weight;
  }

  Result<int64_t> rank_of(const gguf::TensorInfo& tensor, size_t dimension) {
    const uint64_t rank = tensor.dims[dimension];
    if (rank == 0 || rank > kMaxRank) {
      return make_error(ErrorCode::kBadModel, "its tensor {} has the rank {}; 1 to {} can be",
                        tensor.name, rank, kMaxRank);
    }
    result_.max_rank_ = std::max(result_.max_rank_, static_cast<int64_t>(rank));
    return static_cast<int64_t>(rank);
  }

  static float scale_of(float wanted, float alpha, int64_t rank) {
    return alpha == 0.0F ? wanted : wanted * alpha / static_cast<float>(rank);
  }

  static void keep(Adapters::BySlot& terms, int32_t slot, const LowRank& term) {
    terms[static_cast<size_t>(slot)].push_back(term);
  }

  // Of a tensor of the adapter the rows, or values of every row, that `wanted` has of the model's;
  // copied together where they do not lie side by side.
  Result<void> cut(const gguf::TensorInfo& tensor, const TensorDecl& wanted,
                   kernels::Weight& weight) {
    if (wanted.count == 0 && wanted.n_values == 0) return {};
    LLMRUN_ASSIGN(const WeightCut part, cut_of(tensor, wanted, weight.type));
    if (wanted.n_values > 0) weight.n_in = wanted.n_values;
    weight.n_out = part.n_rows;
    weight.row_bytes = part.row_bytes;
    weight.data = part.data;
    if (part.contiguous()) return {};
    LLMRUN_ASSIGN(auto copy, kernels::allocate_host_buffer(part.bytes()));
    part.copy_to(copy->data());
    weight.data = copy->data();
    result_.converted_.push_back(std::move(copy));
    return {};
  }

  // A product, or those of a stack of experts. Of a fused tensor this is one part, with its rows
  // of B; where only some columns are used, with those of A.
  Result<void> bind(const Pair& pair, const TensorDecl& tensor, float wanted, float alpha) {
    const int64_t n_in = dim(tensor.shape, 0);
    const int64_t n_out = dim(tensor.shape, 1);
    const int64_t n_matrices = dim(tensor.shape, 2);
    LLMRUN_ASSIGN(const int64_t rank, rank_of(*pair.a, 1));
    LowRank term;
    LLMRUN_ASSIGN(term.a, weight(*pair.a, n_in, rank, n_matrices));
    LLMRUN_ASSIGN(term.b, weight(*pair.b, rank, n_out, n_matrices));
    TensorDecl columns, rows;
    columns.shape = {n_in, rank, n_matrices};
    columns.first_value = tensor.first_value;
    columns.n_values = tensor.n_values;
    rows.shape = {rank, n_out, n_matrices};
    rows.first = tensor.first;
    rows.count = tensor.count;
    LLMRUN_TRY(cut(*pair.a, columns, term.a));
    LLMRUN_TRY(cut(*pair.b, rows, term.b));
    term.scale = scale_of(wanted, alpha, rank);
    keep(result_.products_, tensor.slot, term);
    return {};
  }

  // Of the embedding A holds a row for each token, and B turns it into the change of the token's
  // row. When the output layer is the same tensor, its product changes by A (B^T x).
  Result<void> bind_table(const Pair& pair, float wanted, float alpha) {
    const int64_t d_model = dim(table_.shape, 0);
    const int64_t n_vocab = dim(table_.shape, 1);
    LLMRUN_ASSIGN(const int64_t rank, rank_of(*pair.a, 0));
    LowRank term;
    LLMRUN_ASSIGN(term.a, weight(*pair.a, rank, n_vocab, 1));
    LLMRUN_ASSIGN(term.b, weight(*pair.b, rank, d_model, 1));
    term.scale = scale_of(wanted, alpha, rank);
    keep(result_.rows_, table_.slot, term);
    if (tied_slot_ < 0) return {};
    LowRank transposed;
    transposed.b = term.a;
    TensorDecl tokens = tied_;
    tokens.shape = {rank, n_vocab};
    LLMRUN_TRY(cut(*pair.a, tokens, transposed.b));
    LLMRUN_ASSIGN(transposed.a, transpose(term.b));
    transposed.scale = term.scale;
    keep(result_.products_, tied_slot_, transposed);
    return {};
  }

  // As float32.
  Result<kernels::Weight> transpose(const kernels::Weight& matrix) {
    const int64_t n_rows = matrix.n_out;
    const int64_t width = matrix.n_in;
    LLMRUN_ASSIGN(auto buffer, kernels::allocate_host_buffer(static_cast<size_t>(n_rows * width) *
                                                             sizeof(float)));
    auto* const values = reinterpret_cast<float*>(buffer->data());
    std::vector<float> row(static_cast<size_t>(width));
    for (int64_t r = 0; r < n_rows; ++r) {
      quant::dequantize_row(matrix.type, matrix.row(0, r), width, row.data());
      for (int64_t c = 0; c < width; ++c) values[c * n_rows + r] = row[static_cast<size_t>(c)];
    }
    kernels::Weight result;
    result.data = buffer->data();
    result.n_in = n_rows;
    result.n_out = width;
    result.row_bytes = static_cast<size_t>(n_rows) * sizeof(float);
    result_.converted_.push_back(std::move(buffer));
    return result;
  }

  TensorDecl table_;
  std::set<std::string> fixed_;  // cannot be changed
  ModelSpec copy_;
  std::map<std::string, std::map<int32_t, const TensorDecl*>> matrices_;  // by name, then slot
  size_t n_slots_ = 0;
  TensorDecl tied_;         // the output layer that is the embedding too
  int32_t tied_slot_ = -1;  // of that
  Adapters result_;
};

uint64_t LowRank::bytes() const { return bytes_of(a) + bytes_of(b); }

Result<Adapters> Adapters::bind(std::span<const AdapterFile> files, const ModelSpec& spec,
                                std::span<const uint8_t> slot_devices) {
  if (files.empty()) return Adapters();
  AdapterBinder binder(spec, slot_devices);
  for (const AdapterFile& adapter : files) {
    if (auto added = binder.add(adapter); !added) {
      return with_context(added.error(), fmt::format("adapter {}", adapter.file->path()));
    }
  }
  return binder.take();
}

// What several products of a device have in common each of them has: parts of a fused tensor, say.
template <typename Self, typename Visit>
void Adapters::for_each_on(Self& self, size_t device, const Visit& visit) {
  for (auto* const terms : {&self.products_, &self.rows_}) {
    for (size_t slot = 0; slot < terms->size(); ++slot) {
      if (self.slot_devices_[slot] != device) continue;
      for (auto& term : (*terms)[slot]) {
        visit(term.a);
        visit(term.b);
      }
    }
  }
}

std::vector<size_t> Adapters::sizes_on(size_t device) const {
  std::vector<size_t> sizes;
  for_each_on(*this, device,
              [&](const kernels::Weight& weight) { sizes.push_back(bytes_of(weight)); });
  return sizes;
}

uint64_t Adapters::converted_bytes() const {
  uint64_t bytes = 0;
  for (const auto& buffer : converted_) bytes += buffer->size();
  return bytes;
}

Result<void> Adapters::prepare(size_t device, kernels::Backend& backend) {
  Result<void> status;
  for_each_on(*this, device, [&](kernels::Weight& weight) {
    if (!status) return;
    auto prepared = backend.prepare(weight);
    if (prepared) {
      weight = *prepared;
    } else {
      status = tl::unexpected(std::move(prepared).error());
    }
  });
  return status;
}

void Adapters::drop_unused() {
  std::set<const std::byte*> used;
  for (const BySlot* const terms : {&products_, &rows_}) {
    for (const std::vector<LowRank>& of_slot : *terms) {
      for (const LowRank& term : of_slot) used.insert({term.a.data, term.b.data});
    }
  }
  std::erase_if(converted_, [&](const auto& copy) { return !used.contains(copy->data()); });
}

}  // namespace llmrun::runtime
