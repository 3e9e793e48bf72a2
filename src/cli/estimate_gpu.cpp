// Options and output of the plan for a GPU.
#include "cli/estimate_gpu.h"

#include "base/error.h"
#include "base/units.h"
#include "cli/json.h"
#include "cli/memory_plan_report.h"
#include "cli/output.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

constexpr const char* kGpuOptions[] = {"gpu", "vram", "bandwidth", "gpu-layers"};

std::string verdict(const GpuEstimate& plan) {
  const std::string card = fmt::format("{} ({})", plan.card, format_bytes(plan.memory_bytes));
  if (!plan.fits) return fmt::format("{} layers do not fit on {}", plan.n_layers, card);
  if (plan.whole) return fmt::format("all {} layers fit on {}", plan.n_layers_all, card);
  return fmt::format("{} of {} layers fit on {}; {} stay in main memory", plan.n_layers,
                     plan.n_layers_all, card, format_bytes(plan.host_bytes));
}

std::string speed(const GpuEstimate& plan) {
  if (plan.most_tokens_per_second <= 0) return "";
  return fmt::format(
      "At most {:.0f} tokens per second with a full context: bandwidth divided by the bytes that a "
      "token reads.\n",
      plan.most_tokens_per_second);
}

Json to_json(const std::filesystem::path& path, const GpuEstimate& plan) {
  Json out = {{"model", path.string()},
              {"device", "cuda"},
              {"card", plan.card},
              {"context_tokens", plan.context_tokens},
              {"components", Json::array()}};
  for (const MemoryItem& item : plan.items) {
    out["components"].push_back(
        {{"component", item.component}, {"bytes", item.bytes}, {"detail", item.detail}});
  }
  out["total_bytes"] = plan.total_bytes;
  out["vram_bytes"] = plan.memory_bytes;
  out["host_bytes"] = plan.host_bytes;
  out["gpu_layers"] = plan.n_layers;
  out["layers"] = plan.n_layers_all;
  out["whole"] = plan.whole;
  out["fits"] = plan.fits;
  out["host_only"] = plan.host_only;
  if (plan.most_tokens_per_second > 0) {
    out["most_tokens_per_second"] = plan.most_tokens_per_second;
  }
  return out;
}

}  // namespace

void GpuFlags::add_to(OptionTable& options) {
  options.add_choice("device", 0, {"cpu", "cuda"}, "plan for main memory or for a GPU", &device);
  options.add_text("gpu", 0, "CARD", "a card that need not be here: rtx4090, h100, …",
                   &request.gpu);
  options.add_text("vram", 0, "SIZE", "memory of the card: 24GiB", nullptr).set =
      [this](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(request.memory_bytes, parse_bytes(text));
    return {};
  };
  options.add_text("bandwidth", 0, "GB/S", "bandwidth of the card's memory, for the speed", nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(const double gigabytes, parse_number(text, "--bandwidth", {1.0, 1e6}));
    request.bytes_per_second = gigabytes * 1e9;
    return {};
  };
  options
      .add_text("gpu-layers", 0, "N", "layers on the card, or auto (default: as many as fit)",
                nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    request.layers.reset();
    if (text == "auto") return {};
    LLMRUN_ASSIGN(request.layers, parse_integer(text, "--gpu-layers", {0, 100000}));
    return {};
  };
}

Result<bool> GpuFlags::wanted(const OptionTable& options) const {
  bool any = false;
  for (const char* name : kGpuOptions) {
    if (!options.given(name)) continue;
    any = true;
    if (device == "cpu") {
      return make_error(ErrorCode::kUsage, "--{} has no effect with --device cpu", name);
    }
  }
  return any || device == "cuda";
}

Result<void> print_gpu_estimate(const std::filesystem::path& path, const ContextOptions& context,
                                const GpuRequest& request, bool json) {
  LLMRUN_ASSIGN(const GpuEstimate plan, estimate_gpu(path, context, request));
  if (json) {
    const Json out = to_json(path, plan);
    print_json_text(to_text(out, 2), to_text(out));
    return {};
  }
  print("{}\n{}: {}\n{}", memory_table("on the card", plan, context.max_sequences),
        path.filename().string(), verdict(plan), speed(plan));
  for (const std::string& what : plan.host_only) {
    print("Runs on the CPU (--strict-device refuses): {}\n", what);
  }
  return {};
}

}  // namespace llmrun::cli
