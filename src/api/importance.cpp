// Importance: the model reads a text while an observer adds up the squares of what goes into each
// matrix.
#include <algorithm>
#include <map>

#include "api/model_impl.h"
#include "base/error.h"
#include "kernels/observer.h"
#include "llmrun/quantize.h"
#include "quantize/importance.h"

namespace llmrun {
namespace {

// Finds the tensor of a weight by its address, which lies in the mapped file.
class Collector final : public kernels::MatmulObserver {
 public:
  void open(const gguf::File& file) {
    for (const gguf::TensorInfo& tensor : file.tensors()) {
      if (!tensor.bytes.empty()) tensors_.emplace(tensor.bytes.data(), Sums{&tensor, {}, {}});
    }
  }

  void on_product(const kernels::Weight& weight, int64_t matrix, kernels::ConstRows x) override {
    Sums* const sums = find(weight);
    if (sums == nullptr) return;
    const auto n_in = static_cast<size_t>(x.width);
    if (sums->counts.empty()) {
      sums->counts.assign(static_cast<size_t>(weight.n_matrices), 0);
      sums->squares.assign(sums->counts.size() * n_in, 0.0);
    }
    double* const squares = sums->squares.data() + static_cast<size_t>(matrix) * n_in;
    for (int64_t row = 0; row < x.n; ++row) {
      const float* const values = x.data + row * x.stride;
      for (size_t i = 0; i < n_in; ++i) {
        squares[i] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      }
    }
    sums->counts[static_cast<size_t>(matrix)] += x.n;
  }

  [[nodiscard]] quantize::Importance take() const {
    quantize::Importance importance;
    for (const auto& [address, sums] : tensors_) {
      if (sums.counts.empty()) continue;
      quantize::ImportanceEntry entry;
      entry.n_in = static_cast<int64_t>(sums.tensor->dims[0]);
      entry.n_matrices = static_cast<int64_t>(sums.counts.size());
      for (const double square : sums.squares) entry.sums.push_back(static_cast<float>(square));
      for (const int64_t count : sums.counts) entry.counts.push_back(static_cast<float>(count));
      importance.entries.emplace(sums.tensor->name, std::move(entry));
    }
    return importance;
  }

 private:
  struct Sums {
    const gguf::TensorInfo* tensor;
    std::vector<double> squares;  // [n_matrices, n_in]
    std::vector<int64_t> counts;  // [n_matrices]
  };

  Sums* find(const kernels::Weight& weight) {
    auto it = tensors_.upper_bound(weight.data);
    if (it == tensors_.begin()) return nullptr;
    --it;
    const gguf::TensorInfo& tensor = *it->second.tensor;
    const bool inside = weight.data < tensor.bytes.data() + tensor.bytes.size();
    const auto n_in = static_cast<uint64_t>(weight.n_in);
    return inside && tensor.dims[0] == n_in ? &it->second : nullptr;
  }

  std::map<const std::byte*, Sums> tensors_;
};

}  // namespace

Result<ImportanceReport> gather_importance(const ImportanceOptions& options) {
  Collector collector;
  LLMRUN_ASSIGN(const Model model, Access::open(options.model, options.load, &collector));
  collector.open(Access::of(model).file);
  ImportanceReport report;
  LLMRUN_ASSIGN(report.perplexity,
                perplexity(model, options.text, options.context_tokens, options.progress));
  quantize::Importance importance = collector.take();
  importance.datasets = {options.text_name};
  importance.chunk_tokens = static_cast<uint32_t>(options.context_tokens);
  importance.n_chunks = static_cast<uint32_t>(report.perplexity.n_windows);
  report.n_tensors = importance.entries.size();
  for (const auto& [name, entry] : importance.entries) {
    const auto n_silent = std::count(entry.counts.begin(), entry.counts.end(), 0.0F);
    report.n_silent_experts += static_cast<uint64_t>(n_silent);
  }
  LLMRUN_TRY(quantize::write_importance(importance, options.output.string()));
  return report;
}

}  // namespace llmrun
