// From --device, --gpu-layers, --cpu-experts and --strict-device to backends with layers.
#include "api/devices.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "api/model_need.h"
#include "api/open_file.h"
#include "api/share_plan.h"
#include "base/error.h"
#include "base/units.h"
#include "runtime/device_forms.h"

namespace llmrun {
namespace {

constexpr std::string_view kCpu = "cpu";

// Options for GPUs that would change nothing.
Result<void> check_options(const LoadOptions& options, const kernels::DeviceChoice& choice) {
  if (choice.device != kCpu && options.split_tensors) {
    if (kernels::devices_of(choice).size() < 2) {
      return make_error(ErrorCode::kUsage,
                        "--split-mode tensor is for several GPUs: name them (--device cuda:0,1)");
    }
    LLMRUN_TRY(
        check_split_options(options.gpu_layers.has_value(), options.cpu_experts.has_value()));
  }
  if (choice.device != kCpu) return {};
  const char* const option = options.gpu_layers.has_value()    ? "--gpu-layers"
                             : options.cpu_experts.has_value() ? "--cpu-experts"
                             : options.split_tensors           ? "--split-mode tensor"
                             : options.strict_device           ? "--strict-device"
                                                               : nullptr;
  if (option == nullptr) return {};
  if (choice.reason.empty()) {
    return make_error(ErrorCode::kUsage, "{} has no effect with --device cpu", option);
  }
  return make_error(ErrorCode::kUnsupported, "{} is for a GPU: {}", option, choice.reason);
}

// The layers that GPUs cannot run: "layer 3: attention with …". An error when that must not be.
Result<std::vector<std::string>> missing_forms(const runtime::ModelSpec& spec, bool strict) {
  std::vector<std::string> missing = runtime::missing_device_forms(spec);
  if (strict && !missing.empty()) {
    return make_error(ErrorCode::kUnsupported,
                      "{} of {} layers cannot run on a GPU: {}{}; without --strict-device the CPU "
                      "runs them",
                      missing.size(), spec.layers.size(), missing.front(),
                      missing.size() > 1 ? ", …" : "");
  }
  return missing;
}

// What the model is opened for.
Result<runtime::ContextOptions> context_of(const LoadOptions& options,
                                           const runtime::ModelSpec& spec) {
  return options.embedder ? embedder_context(*options.embedder, spec)
                          : context_options(options.context, spec);
}

// What the model takes, planned in main memory.
Result<runtime::ModelNeed> need_of(const gguf::File& file, const runtime::ModelSpec& spec,
                                   std::span<const runtime::AdapterFile> adapters,
                                   const runtime::ContextOptions& wanted) {
  LLMRUN_ASSIGN(const auto backend, kernels::make_backend(kCpu, {.threads = 1, .cpu_target = {}}));
  LLMRUN_ASSIGN(const auto model, runtime::Model::load(file, *backend, spec, adapters));
  LLMRUN_ASSIGN(const runtime::MemoryPlan plan, model->plan(wanted));
  return model_need(file, model->spec(), plan);
}

// What is free on the cards, whose contexts are there already.
Result<std::vector<runtime::DeviceRequest>> requests_of(const std::vector<std::string>& names) {
  std::vector<runtime::DeviceRequest> requests;
  for (const std::string& name : names) {
    LLMRUN_ASSIGN(const uint64_t free, kernels::free_gpu_bytes(name));
    requests.push_back({free + runtime::device_context_bytes(), 0.0, 0.0, std::nullopt});
  }
  return requests;
}

Result<void> check_fits(const runtime::DivisionPlan& plan, const runtime::ModelNeed& need,
                        const std::vector<runtime::DeviceRequest>& cards,
                        const std::vector<std::string>& names) {
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    const runtime::DevicePlan& card = plan.cards[i];
    if (card.fits) continue;
    const auto most = runtime::plan_division(need, cards, std::nullopt);
    const uint64_t context = runtime::device_context_bytes();
    const std::string experts =
        most.n_cpu_experts == 0
            ? ""
            : fmt::format(" without the experts of {}, --cpu-experts auto", most.n_cpu_experts);
    return make_error(
        ErrorCode::kOutOfMemory,
        "{} layers on {} need {} and {} are free; {} of {} fit (--gpu-layers auto{}), "
        "or ask for a smaller context (--ctx) or an 8-bit cache (--kv-type int8)",
        card.n_layers, names[i], format_bytes(card.total_bytes - context),
        format_bytes(card.memory_bytes - context), most.n_layers, need.layers.size(), experts);
  }
  return {};
}

// That every card has room for its share beside what is taken of it already.
Result<void> check_shares(const gguf::File& file, const runtime::ModelSpec& spec,
                          std::span<const runtime::AdapterFile> adapters,
                          const LoadOptions& options, const Devices& devices,
                          std::vector<runtime::DeviceRequest> cards) {
  const ExchangeWay way = devices.gatherer ? ExchangeWay::kNccl : ExchangeWay::kMainMemory;
  uint64_t taken = runtime::device_context_bytes();
  if (devices.gatherer) {  // and NCCL's own
    taken += kNcclBytes;
    for (runtime::DeviceRequest& card : cards) card.memory_bytes += kNcclBytes;
  }
  LLMRUN_ASSIGN(const auto context, context_of(options, spec));
  LLMRUN_ASSIGN(const SharedPlan plan, plan_shares(file, spec, context, cards, way, adapters));
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    if (plan.cards[i].fits) continue;
    return make_error(ErrorCode::kOutOfMemory,
                      "the share of {} needs {} and {} are free; divide the layers instead, of "
                      "which the CPU takes some (--split-mode layer), or ask for a smaller context "
                      "(--ctx) or an 8-bit cache (--kv-type int8)",
                      devices.placement.names[i], format_bytes(plan.cards[i].total_bytes - taken),
                      format_bytes(plan.cards[i].memory_bytes - taken));
  }
  return {};
}

// Each has a share of every layer.
Result<Devices> share_devices(const gguf::File& file, const runtime::ModelSpec& spec,
                              std::span<const runtime::AdapterFile> adapters,
                              const LoadOptions& options,
                              std::vector<std::unique_ptr<kernels::Backend>> cards,
                              const std::vector<std::string>& names) {
  Devices devices;
  devices.backends = std::move(cards);
  devices.placement.names = names;
  devices.placement.tensors = true;
  for (const auto& card : devices.backends) devices.placement.devices.push_back(card.get());
  auto gatherer = kernels::make_gpu_gatherer(devices.placement.devices);
  const std::string way =
      gatherer ? (*gatherer)->name() : fmt::format("main memory ({})", gatherer.error().message);
  if (gatherer) devices.gatherer = std::move(*gatherer);
  devices.placement.gatherer = devices.gatherer.get();
  LLMRUN_ASSIGN(auto requests, requests_of(names));
  LLMRUN_TRY(check_shares(file, spec, adapters, options, devices, std::move(requests)));
  devices.must_tell = true;
  devices.reason = fmt::format("a share of every layer on each of {}; parts of sums go through {}",
                               fmt::join(names, ", "), way);
  return devices;
}

std::string division_text(const runtime::DivisionPlan& plan, const std::vector<std::string>& names,
                          const std::vector<std::string>& missing) {
  std::string text;
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    if (plan.cards[i].n_layers == 0) continue;
    text += fmt::format("{} of {} layers on {}, ", plan.cards[i].n_layers, plan.layers.size(),
                        names[i]);
  }
  const auto n_host = static_cast<int64_t>(plan.layers.size()) - plan.n_layers;
  if (plan.whole) return text.substr(0, text.size() - 2);
  if (n_host > 0) text += fmt::format("{} ", n_host);
  if (plan.n_cpu_experts > 0) {
    text += fmt::format("{}the experts of {} ", n_host > 0 ? "and " : "", plan.n_cpu_experts);
  }
  text += fmt::format("on the CPU ({})", format_bytes(plan.host_bytes));
  if (!missing.empty()) {
    text += fmt::format("; no GPU kernel for {}{}", missing.front(),
                        missing.size() > 1 ? fmt::format(" and {} more", missing.size() - 1) : "");
  }
  return text;
}

// Keeps the cards that have layers, and adds the CPU when it has some.
Result<void> take_devices(const runtime::DivisionPlan& plan, const LoadOptions& options,
                          std::vector<std::unique_ptr<kernels::Backend>> cards,
                          const std::vector<std::string>& names, Devices& devices) {
  std::vector<int> place_of(cards.size() + 1, -1);  // the last: of the host
  const auto take = [&](std::unique_ptr<kernels::Backend> backend, std::string name) {
    devices.placement.devices.push_back(backend.get());
    devices.placement.names.push_back(std::move(name));
    devices.backends.push_back(std::move(backend));
    return static_cast<int>(devices.backends.size()) - 1;
  };
  if (!plan.whole) {
    LLMRUN_ASSIGN(auto cpu, kernels::make_backend(kCpu, {options.threads, options.cpu_target}));
    place_of.back() = take(std::move(cpu), std::string(kCpu));
  }
  for (size_t i = 0; i < cards.size(); ++i) {
    const bool uses = std::count(plan.layers.begin(), plan.layers.end(), static_cast<int>(i)) > 0;
    if (uses) place_of[i] = take(std::move(cards[i]), names[i]);
  }
  if (devices.backends.size() == 1) return {};
  runtime::Placement& placement = devices.placement;
  for (const int card : plan.layers) {
    const size_t at = card == runtime::kHost ? cards.size() : static_cast<size_t>(card);
    placement.layers.push_back(static_cast<uint8_t>(place_of[at]));
  }
  if (plan.n_cpu_experts == 0) return {};
  placement.experts = placement.layers;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (plan.cpu_experts[i]) placement.experts[i] = static_cast<uint8_t>(place_of.back());
  }
  return {};
}

}  // namespace

Result<std::vector<uint64_t>> Devices::free_bytes() const {
  std::vector<uint64_t> free;
  if (!placement.divided() && placement.names[0] == kCpu) return free;
  for (const std::string& name : placement.names) {
    if (name == kCpu) {
      free.push_back(UINT64_MAX);
    } else {
      LLMRUN_ASSIGN(const uint64_t bytes, kernels::free_gpu_bytes(name));
      free.push_back(bytes);
    }
  }
  return free;
}

Result<Devices> open_devices(const gguf::File& file, const runtime::ModelSpec& spec,
                             std::span<const runtime::AdapterFile> adapters,
                             const LoadOptions& options, kernels::MatmulObserver* observer) {
  // Importances are gathered on the CPU.
  const bool cpu_only = observer != nullptr && options.device == "auto";
  LLMRUN_ASSIGN(const kernels::DeviceChoice choice,
                kernels::choose_device(cpu_only ? kCpu : std::string_view(options.device)));
  LLMRUN_TRY(check_options(options, choice));
  Devices devices;
  devices.reason = choice.reason;
  if (choice.device == kCpu) {
    LLMRUN_ASSIGN(auto cpu,
                  kernels::make_backend(kCpu, {options.threads, options.cpu_target, observer}));
    devices.placement = {{cpu.get()}, {}, {std::string(kCpu)}};
    devices.backends.push_back(std::move(cpu));
    return devices;
  }
  LLMRUN_ASSIGN(const auto missing, missing_forms(spec, options.strict_device));
  const std::vector<std::string> names = kernels::devices_of(choice);
  std::vector<std::unique_ptr<kernels::Backend>> cards;
  for (const std::string& name : names) {
    LLMRUN_ASSIGN(auto card,
                  kernels::make_backend(name, {options.threads, options.cpu_target, observer}));
    cards.push_back(std::move(card));
  }
  if (options.split_tensors) {
    return share_devices(file, spec, adapters, options, std::move(cards), names);
  }
  LLMRUN_ASSIGN(const auto requests, requests_of(names));
  LLMRUN_ASSIGN(const auto context, context_of(options, spec));
  LLMRUN_ASSIGN(const runtime::ModelNeed need, need_of(file, spec, adapters, context));
  LLMRUN_TRY(runtime::check_cpu_experts(need, options.cpu_experts));
  const auto plan = runtime::plan_division(need, requests, options.gpu_layers, options.cpu_experts);
  LLMRUN_TRY(check_fits(plan, need, requests, names));
  devices.must_tell = !plan.whole || names.size() > 1;
  if (devices.must_tell) {
    devices.reason =
        division_text(plan, names, missing) + (choice.reason.empty() ? "" : "; " + choice.reason);
  }
  LLMRUN_TRY(take_devices(plan, options, std::move(cards), names, devices));
  return devices;
}

}  // namespace llmrun
