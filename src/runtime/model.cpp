// Loading: the spec is bound to the file and its tables are computed; contexts come from here.
#include "runtime/model.h"

#include "base/error.h"
#include "runtime/context.h"
#include "runtime/tensor_split.h"

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

Result<ModelShare> load_share(const gguf::File& file, const Placement& placement, ModelSpec spec,
                              std::span<const AdapterFile> adapters, LoadFor use) {
  ModelShare share;
  LLMRUN_ASSIGN(share.weights, Weights::bind(file, placement, spec));
  LLMRUN_ASSIGN(Adapters added, Adapters::bind(adapters, spec, share.weights.slot_devices()));
  share.weights.adapt(std::move(added));
  if (use == LoadFor::kRunning) LLMRUN_TRY(share.weights.prepare(placement));
  for (kernels::Backend* const device : placement.devices) {
    LLMRUN_ASSIGN(PositionTables tables, make_position_tables(spec, share.weights, *device));
    share.tables.push_back(std::move(tables));
  }
  share.spec = std::move(spec);
  return share;
}

// A share of every layer for each device.
Result<void> load_shares(const gguf::File& file, const ModelSpec& spec,
                         std::span<const AdapterFile> adapters, LoadFor use, LoadedModel& loaded) {
  const std::vector<kernels::Backend*>& devices = loaded.placement.devices;
  LLMRUN_ASSIGN(std::vector<ModelSpec> specs, split_tensors(spec, file, devices.size()));
  for (size_t i = 0; i < devices.size(); ++i) {
    LLMRUN_ASSIGN(ModelShare share,
                  load_share(file, {{devices[i]}, {}}, std::move(specs[i]), adapters, use));
    loaded.shares.push_back(std::move(share));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Model>> Model::load(const gguf::File& file, kernels::Backend& backend,
                                           ModelSpec spec, std::span<const AdapterFile> adapters) {
  return load(file, Placement{{&backend}, {}}, std::move(spec), adapters);
}

Result<std::unique_ptr<Model>> Model::load(const gguf::File& file, Placement placement,
                                           ModelSpec spec, std::span<const AdapterFile> adapters,
                                           LoadFor use) {
  LoadedModel loaded;
  loaded.placement = std::move(placement);
  if (loaded.placement.tensors && loaded.placement.divided()) {
    LLMRUN_TRY(load_shares(file, spec, adapters, use, loaded));
    loaded.spec = std::move(spec);
  } else {
    LLMRUN_ASSIGN(ModelShare whole,
                  load_share(file, loaded.placement, std::move(spec), adapters, use));
    loaded.spec = whole.spec;
    loaded.shares.push_back(std::move(whole));
  }
  return std::make_unique<ModelImpl>(file, std::move(loaded));
}

}  // namespace llmrun::runtime
