// Sums over the tensors that adapters change.
#include "runtime/adapter_need.h"

#include <map>

#include "runtime/adapters.h"
#include "runtime/layer_tensors.h"
#include "runtime/weight_cut.h"

namespace llmrun::runtime {

std::vector<AdapterNeed> adapter_needs(const ModelSpec& spec, const Adapters& adapters) {
  std::vector<AdapterNeed> needs;
  if (!adapters.any()) return needs;
  std::map<int32_t, size_t> counted;  // of each slot, its products in `needs`
  ModelSpec copy = spec;
  for_each_layer_tensor(copy, [&](TensorDecl& tensor, const TensorUse& use) {
    AdapterNeed need{tensor.name, use.layer, use.of_experts};
    if (&tensor == &copy.embedding.table) {
      for (const LowRank& term : adapters.of_rows(tensor)) {  // a token looks one row of A up
        need.bytes += term.bytes();
        need.read_bytes += bytes_of(term.b);
        need.n_matrices += 2;
      }
      if (need.bytes > 0) needs.push_back(std::move(need));
      return;  // as an output layer it comes again
    }
    for (const LowRank& term : adapters.of(tensor)) {
      need.bytes += term.bytes();
      need.n_matrices += 2;
    }
    if (need.bytes == 0) return;
    need.read_bytes = need.bytes;
    const auto [known, is_new] = counted.emplace(tensor.slot, needs.size());
    if (is_new) {
      needs.push_back(std::move(need));
    } else if (needs[known->second].layer != use.layer) {
      needs[known->second].shared = true;
    }
  });
  return needs;
}

}  // namespace llmrun::runtime
