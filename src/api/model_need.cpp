// Sums over the tensors of every layer; see model_need.h.
#include "api/model_need.h"

#include <map>
#include <string>

#include "api/open_file.h"
#include "kernels/cuda/sizes.h"
#include "runtime/device_forms.h"
#include "runtime/layer_tensors.h"

namespace llmrun {
namespace {

using TokenShares = std::map<std::string, double>;

// The part of a need that a layer, as TensorUse has it, belongs to.
runtime::LayerNeed& part_of(runtime::ModelNeed& need, int64_t layer) {
  if (layer < 0) return need.input;
  const auto i = static_cast<size_t>(layer);
  return i < need.layers.size() ? need.layers[i] : need.output;
}

void add_bytes(uint64_t bytes, double read_bytes, bool of_experts, runtime::LayerNeed& to) {
  const auto read = static_cast<uint64_t>(read_bytes);
  to.weight_bytes += bytes;
  to.read_bytes += read;
  if (of_experts) {
    to.expert_bytes += bytes;
    to.expert_read_bytes += read;
  }
}

// The weights, each counted where it is used first (the head's table: at the head).
void add_weights(const gguf::File& file, const runtime::ModelSpec& spec, const TokenShares& shares,
                 runtime::ModelNeed& need) {
  const std::string& table = spec.embedding.table.name;
  const bool is_tied = table == spec.head.output.weight.name;
  struct Counted {
    int64_t layer = 0;
    bool shared = false;
  };
  std::map<std::string, Counted> counted;
  const auto n_layers = static_cast<int64_t>(spec.layers.size());
  runtime::ModelSpec copy = spec;
  runtime::for_each_layer_tensor(
      copy, [&](runtime::TensorDecl& tensor, const runtime::TensorUse& use) {
        int64_t layer = use.layer;
        const gguf::TensorInfo* const found = file.find_tensor(tensor.name);
        if (found == nullptr) return;
        if (is_tied && tensor.name == table) layer = n_layers;
        const auto [known, is_new] = counted.emplace(tensor.name, Counted{layer, false});
        if (!is_new) {
          if (known->second.layer != layer && !known->second.shared) {
            known->second.shared = true;
            need.shared_bytes += found->size_bytes;
          }
          return;
        }
        const auto share = shares.find(tensor.name);
        const double read = share == shares.end() ? 1.0 : share->second;
        add_bytes(found->size_bytes, read * static_cast<double>(found->size_bytes), use.of_experts,
                  part_of(need, layer));
        if (is_tied && tensor.name == table) need.tied_bytes = found->size_bytes;
        ++need.n_tensors;
      });
}

// What adapters add lies where the weights lie that they change.
void add_adapters(const runtime::MemoryPlan& plan, const TokenShares& shares,
                  runtime::ModelNeed& need) {
  for (const runtime::AdapterNeed& adapter : plan.adapters) {
    const auto share = shares.find(adapter.tensor);
    const double read = adapter.of_experts && share != shares.end() ? share->second : 1.0;
    add_bytes(adapter.bytes, read * static_cast<double>(adapter.read_bytes), adapter.of_experts,
              part_of(need, adapter.layer));
    if (adapter.shared) need.shared_bytes += adapter.bytes;
    need.adapter_bytes += adapter.bytes;
    need.n_tensors += adapter.n_matrices;
  }
}

}  // namespace

runtime::ModelNeed model_need(const gguf::File& file, const runtime::ModelSpec& spec,
                              const runtime::MemoryPlan& plan) {
  using runtime::PlanPart;
  runtime::ModelNeed need;
  need.layers.resize(spec.layers.size());
  for (size_t i = 0; i < need.layers.size(); ++i) {
    if (i < plan.layer_cache_bytes.size()) need.layers[i].cache_bytes = plan.layer_cache_bytes[i];
    need.layers[i].host_only = !runtime::missing_device_form(spec.layers[i]).empty();
  }
  const TokenShares shares = token_shares(spec);
  add_weights(file, spec, shares, need);
  add_adapters(plan, shares, need);
  need.output.weight_bytes += plan.bytes_of(PlanPart::kConvertedWeights);
  need.activation_bytes = plan.bytes_of(PlanPart::kActivations);
  if (plan.logits_rows > 0) {  // the card has them too, and finds the best
    need.activation_bytes += plan.bytes_of(PlanPart::kOutput) +
                             kernels::cuda::find_best_bytes(plan.logits_rows, spec.n_vocab);
  }
  if (plan.layer_cache_bytes.empty()) {
    need.activation_bytes += plan.bytes_of(PlanPart::kCache) + plan.bytes_of(PlanPart::kStates);
  }
  need.workspace_bytes = kernels::cuda::workspace_bytes(plan.max_rows, plan.max_width);
  need.table_bytes = plan.bytes_of(PlanPart::kTables);
  return need;
}

}  // namespace llmrun
