// One pass over the tensors: role, place among the layers, mix, overrides, what fits the rows.
#include "quantize/plan.h"

#include <algorithm>
#include <map>
#include <regex>

#include "base/error.h"
#include "gguf/type_sizes.h"

namespace llmrun::quantize {
namespace {

// A number of the architecture's metadata, where it is one number; else the fallback.
int64_t number(const gguf::File& file, std::string_view key, int64_t fallback) {
  const auto architecture = file.metadata().get<std::string>("general.architecture");
  if (!architecture) return fallback;
  const auto value = file.metadata().get<int64_t>(*architecture + std::string(key));
  return value ? *value : fallback;
}

class Planner {
 public:
  Planner(const gguf::File& file, const PlanRequest& request)
      : file_(file),
        request_(request),
        tied_(file.find_tensor("output.weight") == nullptr),
        n_layers_(std::max<int64_t>(number(file, ".block_count", 1), 1)),
        n_experts_(number(file, ".expert_count", 0)) {
    const int64_t n_heads = number(file, ".attention.head_count", 1);
    const int64_t n_kv_heads = number(file, ".attention.head_count_kv", n_heads);
    many_queries_ = n_kv_heads > 0 && n_heads / n_kv_heads >= 4;
  }

  Result<std::vector<PlannedTensor>> plan() {
    LLMRUN_TRY(compile_overrides());
    count_value_layers();
    std::vector<PlannedTensor> planned;
    for (const gguf::TensorInfo& tensor : file_.tensors()) {
      LLMRUN_ASSIGN(PlannedTensor one, plan_tensor(tensor));
      planned.push_back(std::move(one));
    }
    return planned;
  }

 private:
  Result<void> compile_overrides() {
    for (const TypeOverride& override : request_.overrides) {
      try {
        patterns_.emplace_back(override.pattern, std::regex::ECMAScript | std::regex::optimize);
      } catch (const std::regex_error& error) {
        return make_error(ErrorCode::kUsage, "\"{}\" is no regular expression: {}",
                          override.pattern, error.what());
      }
    }
    return {};
  }

  // Rules for the values count the layers that have such a tensor; hybrids have fewer of them.
  void count_value_layers() {
    for (const gguf::TensorInfo& tensor : file_.tensors()) {
      const Role role = role_of(tensor.name);
      if (role == Role::kValue || role == Role::kQueryKeyValue) {
        value_layers_.emplace(layer_of(tensor.name), 0);
      }
    }
    int64_t place = 0;
    for (auto& [layer, index] : value_layers_) index = place++;
  }

  [[nodiscard]] TensorContext context_of(const gguf::TensorInfo& tensor) const {
    TensorContext context;
    context.role = role_of(tensor.name);
    // A table that is the output too needs what an output needs.
    if (context.role == Role::kEmbedding && tied_ && tensor.name == "token_embd.weight") {
      context.role = Role::kOutput;
    }
    context.layer = layer_of(tensor.name);
    context.n_layers = n_layers_;
    if (const auto it = value_layers_.find(context.layer);
        context.role == Role::kValue && it != value_layers_.end()) {
      context.layer = it->second;
      context.n_layers = static_cast<int64_t>(value_layers_.size());
    }
    context.is_stack = tensor.dims[2] > 1;
    context.many_queries = many_queries_;
    context.n_experts = n_experts_;
    context.has_importance = request_.importance != nullptr;
    return context;
  }

  [[nodiscard]] Result<const TypeOverride*> override_for(std::string_view name) const {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      try {
        if (std::regex_search(name.begin(), name.end(), patterns_[i])) {
          return &request_.overrides[i];
        }
      } catch (const std::regex_error&) {  // it would take too long or too much stack
        return make_error(ErrorCode::kUsage, "\"{}\" is too complex to be matched",
                          request_.overrides[i].pattern);
      }
    }
    return nullptr;
  }

  // What mix and options say, before the row length has a word.
  Result<TensorType> wanted_type(const gguf::TensorInfo& tensor, PlannedTensor& planned) const {
    if (tensor.n_dims <= 1) {
      return planned.from == TensorType::F32 ? planned.from : TensorType::F32;
    }
    LLMRUN_ASSIGN(const TypeOverride* override, override_for(tensor.name));
    if (override != nullptr) {
      planned.note = "--override";
      return override->type;
    }
    if (!may_be_quantised(tensor)) return planned.from;
    const TensorContext context = context_of(tensor);
    if (context.role == Role::kOutput && request_.keep_output_f16) return TensorType::F16;
    return choose_type(*request_.mix, context);
  }

  Result<PlannedTensor> plan_tensor(const gguf::TensorInfo& tensor) const {
    PlannedTensor planned;
    planned.source = &tensor;
    const auto from = quant::tensor_type_from_gguf_id(tensor.type);
    if (!from) {
      return make_error(ErrorCode::kUnsupported,
                        "tensor {} has the type {} (number {}), which this build cannot read",
                        tensor.name, gguf::type_name(tensor.type), tensor.type);
    }
    planned.from = *from;
    LLMRUN_ASSIGN(const TensorType wanted, wanted_type(tensor, planned));
    planned.to = fitting_type(wanted, tensor.dims[0]);
    if (planned.to != wanted) {
      planned.note =
          fmt::format("rows of {} do not divide into blocks of {}, as {} has them", tensor.dims[0],
                      quant::traits(wanted).block_size, quant::traits(wanted).name);
    }
    LLMRUN_ASSIGN(planned.bytes,
                  quant::row_bytes(planned.to, static_cast<int64_t>(tensor.n_elements)));
    if (request_.importance == nullptr || planned.to == planned.from) return planned;
    LLMRUN_ASSIGN(planned.importance, importance_for(tensor));
    return planned;
  }

  [[nodiscard]] Result<const ImportanceEntry*> importance_for(
      const gguf::TensorInfo& tensor) const {
    const auto it = request_.importance->entries.find(tensor.name);
    if (it == request_.importance->entries.end()) return nullptr;
    const ImportanceEntry& entry = it->second;
    const auto n_matrices = static_cast<int64_t>(tensor.dims[2] * tensor.dims[3]);
    if (entry.n_in == static_cast<int64_t>(tensor.dims[0]) && entry.n_matrices == n_matrices) {
      return &entry;
    }
    return make_error(ErrorCode::kUsage,
                      "the importance file was made from another model: its {} has {} inputs and "
                      "{} matrices, this one {} and {}",
                      tensor.name, entry.n_in, entry.n_matrices, tensor.dims[0], n_matrices);
  }

  const gguf::File& file_;
  const PlanRequest& request_;
  bool tied_;
  int64_t n_layers_;
  int64_t n_experts_;
  bool many_queries_ = false;
  std::vector<std::regex> patterns_;
  std::map<int64_t, int64_t> value_layers_;  // layer -> its place among those with values
};

}  // namespace

Result<std::vector<PlannedTensor>> plan_types(const gguf::File& file, const PlanRequest& request) {
  auto planned = Planner(file, request).plan();
  if (!planned && planned.error().code != ErrorCode::kUsage) {
    return with_context(std::move(planned).error(), file.path());
  }
  return planned;
}

}  // namespace llmrun::quantize
