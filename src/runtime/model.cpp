// Loading: the spec is bound to the file and its tables are computed; contexts come from here.
#include "runtime/model.h"

#include "base/error.h"
#include "runtime/context.h"

namespace llmrun::runtime {
namespace {

class ModelImpl final : public Model {
 public:
  ModelImpl(const gguf::File& file, LoadedModel loaded) : file_(file), loaded_(std::move(loaded)) {}

  [[nodiscard]] const ModelSpec& spec() const override { return loaded_.spec; }
  [[nodiscard]] kernels::Backend& backend() const override { return *loaded_.placement.devices[0]; }
  [[nodiscard]] const Placement& placement() const override { return loaded_.placement; }
  [[nodiscard]] std::vector<std::string> unused_tensors() const override {
    return runtime::unused_tensors(file_, loaded_.spec);
  }

  [[nodiscard]] Result<MemoryPlan> plan(const ContextOptions& options) const override {
    LLMRUN_ASSIGN(const ContextPlan plan, plan_for(options));
    return describe(plan, loaded_);
  }
  Result<std::unique_ptr<Context>> new_context(const ContextOptions& options) override {
    LLMRUN_ASSIGN(const ContextPlan plan, plan_for(options));
    return make_context(loaded_, plan);
  }

 private:
  [[nodiscard]] Result<ContextPlan> plan_for(const ContextOptions& options) const {
    return plan_context(loaded_, options);
  }

  const gguf::File& file_;
  LoadedModel loaded_;
};

}  // namespace

Result<std::unique_ptr<Model>> Model::load(const gguf::File& file, kernels::Backend& backend,
                                           ModelSpec spec, std::span<const AdapterFile> adapters) {
  return load(file, Placement{{&backend}, {}}, std::move(spec), adapters);
}

Result<std::unique_ptr<Model>> Model::load(const gguf::File& file, Placement placement,
                                           ModelSpec spec, std::span<const AdapterFile> adapters) {
  LoadedModel loaded;
  LLMRUN_ASSIGN(loaded.weights, Weights::bind(file, placement, spec));
  LLMRUN_ASSIGN(Adapters added,
                Adapters::bind(adapters, spec, placement, loaded.weights.slot_devices()));
  loaded.weights.adapt(std::move(added));
  for (kernels::Backend* const device : placement.devices) {
    LLMRUN_ASSIGN(PositionTables tables, make_position_tables(spec, loaded.weights, *device));
    loaded.tables.push_back(std::move(tables));
  }
  loaded.spec = std::move(spec);
  loaded.placement = std::move(placement);
  return std::make_unique<ModelImpl>(file, std::move(loaded));
}

}  // namespace llmrun::runtime
