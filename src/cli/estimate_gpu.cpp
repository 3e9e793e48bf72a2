// Options and output of the plan for GPUs.
#include "cli/estimate_gpu.h"

#include <algorithm>

#include "base/error.h"
#include "base/units.h"
#include "cli/json.h"
#include "cli/memory_plan_report.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/text_layout.h"

namespace llmrun::cli {
namespace {

constexpr const char* kGpuOptions[] = {"gpu",        "vram",        "bandwidth", "host-bandwidth",
                                       "gpu-layers", "cpu-experts", "split-mode"};

std::string card_text(const GpuCardEstimate& card) {
  return fmt::format("{} ({})", card.name, format_bytes(card.memory_bytes));
}

// "30 of 48 layers", and whose experts are elsewhere.
std::string layers_text(const GpuEstimate& plan) {
  std::string text = fmt::format("{} of {} layers", plan.n_layers, plan.n_layers_all);
  if (plan.n_cpu_experts == 0) return text;
  return text + fmt::format(", without the experts of {},", plan.n_cpu_experts);
}

// One card, or as many as share every layer.
std::string verdict(const GpuEstimate& plan) {
  if (plan.cards.size() == 1) {
    const std::string card = card_text(plan.cards[0]);
    if (!plan.fits) return fmt::format("{} layers do not fit on {}", plan.n_layers, card);
    if (plan.whole) return fmt::format("all {} layers fit on {}", plan.n_layers_all, card);
    return fmt::format("{} fit on {}; {} stay in main memory", layers_text(plan), card,
                       format_bytes(plan.host_bytes));
  }
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    const GpuCardEstimate& card = plan.cards[i];
    if (card.fits) continue;
    return fmt::format("what card {} would have does not fit on {}", i + 1, card_text(card));
  }
  if (plan.n_exchanges > 0) {
    return fmt::format("a share of all {} layers fits on each of {} cards", plan.n_layers_all,
                       plan.cards.size());
  }
  std::string layers;
  for (const GpuCardEstimate& card : plan.cards) {
    layers += fmt::format("{}{}", layers.empty() ? "" : " + ", card.n_layers);
  }
  if (plan.whole) return fmt::format("all {} layers fit, {}", plan.n_layers_all, layers);
  return fmt::format("{} fit, {}; {} stay in main memory", layers_text(plan), layers,
                     format_bytes(plan.host_bytes));
}

std::string gigabytes_per_second(double bytes_per_second) {
  return fmt::format("{:.{}f} GB/s", bytes_per_second * 1e-9, bytes_per_second < 1e11 ? 1 : 0);
}

// What a token reads of each memory: "1.2 GiB on the card (1008 GB/s), 600 MiB of main memory (…)".
std::string reads_text(const GpuEstimate& plan) {
  std::string text;
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    const GpuCardEstimate& card = plan.cards[i];
    if (card.read_bytes == 0) continue;
    const std::string name =
        plan.cards.size() == 1 ? std::string("the card") : fmt::format("card {}", i + 1);
    text += fmt::format("{} on {} ({}), ", format_bytes(card.read_bytes), name,
                        gigabytes_per_second(card.bytes_per_second));
  }
  return text + fmt::format("{} of main memory ({}, {})", format_bytes(plan.host_read_bytes),
                            gigabytes_per_second(plan.host_bytes_per_second),
                            plan.host_speed_measured
                                ? "measured here; --host-bandwidth is for another machine"
                                : "as given");
}

std::string speed(const GpuEstimate& plan) {
  if (plan.most_tokens_per_second <= 0) return "";
  const std::string rate =
      fmt::format("At most {:.{}f} tokens per second with a full context",
                  plan.most_tokens_per_second, plan.most_tokens_per_second < 10 ? 1 : 0);
  const std::string crossings =
      fmt::format("{} crossing{} between devices, taken as {:.2f} of {:.2f} ms", plan.n_crossings,
                  plan.n_crossings == 1 ? "" : "s", plan.crossing_seconds * 1e3,
                  1e3 / plan.most_tokens_per_second);
  if (plan.host_read_bytes > 0) {
    const std::string more =
        plan.n_crossings == 0 ? "" : ", one after the other, and has " + crossings;
    return fmt::format("{}: a token reads {}{}.\n", rate, reads_text(plan), more);
  }
  if (plan.n_exchanges > 0) {
    return fmt::format(
        "{}: the bytes that a token reads of the share that takes longest, divided by bandwidth, "
        "and {} times that the cards exchange parts of sums, {} to each, taken as {:.1f} of {:.1f} "
        "ms (NCCL; through main memory about twice as long).\n",
        rate, plan.n_exchanges, format_bytes(plan.exchange_bytes), plan.exchange_seconds * 1e3,
        1e3 / plan.most_tokens_per_second);
  }
  if (plan.n_crossings == 0) {
    return fmt::format("{}: bandwidth divided by the bytes that a token reads.\n", rate);
  }
  return fmt::format(
      "{}: each card's bandwidth divided by the bytes that a token reads there, one card after the "
      "other, and {}.\n",
      rate, crossings);
}

Json to_json(const std::filesystem::path& path, const GpuEstimate& plan) {
  Json out = {{"model", path.string()},
              {"device", "cuda"},
              {"split_mode", plan.n_exchanges > 0 ? "tensor" : "layer"},
              {"context_tokens", plan.context_tokens},
              {"cards", Json::array()},
              {"components", Json::array()}};
  uint64_t total = 0, memory = 0;
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    const GpuCardEstimate& card = plan.cards[i];
    out["cards"].push_back({{"card", card.name},
                            {"total_bytes", card.total_bytes},
                            {"vram_bytes", card.memory_bytes},
                            {"gpu_layers", card.n_layers},
                            {"cpu_experts", card.n_cpu_experts},
                            {"fits", card.fits},
                            {"read_bytes_per_token", card.read_bytes}});
    if (card.bytes_per_second > 0) {
      out["cards"].back()["bytes_per_second"] = card.bytes_per_second;
    }
    for (const MemoryItem& item : card.items) {
      out["components"].push_back({{"card", i},
                                   {"component", item.component},
                                   {"bytes", item.bytes},
                                   {"detail", item.detail}});
    }
    total += card.total_bytes;
    memory += card.memory_bytes;
  }
  out["total_bytes"] = total;
  out["vram_bytes"] = memory;
  out["host_bytes"] = plan.host_bytes;
  out["gpu_layers"] = plan.n_layers;
  out["layers"] = plan.n_layers_all;
  out["cpu_experts"] = plan.n_cpu_experts;
  out["whole"] = plan.whole;
  out["fits"] = plan.fits;
  out["host_only"] = plan.host_only;
  if (plan.n_exchanges > 0) {
    out["exchange"] = {{"times_per_token", plan.n_exchanges},
                       {"bytes_per_token", plan.exchange_bytes},
                       {"assumed_seconds_per_token", plan.exchange_seconds}};
  }
  if (plan.n_exchanges == 0) {
    out["host_read_bytes_per_token"] = plan.host_read_bytes;
    out["crossings"] = {{"times_per_token", plan.n_crossings},
                        {"assumed_seconds_per_token", plan.crossing_seconds}};
  }
  if (plan.host_bytes_per_second > 0) {
    out["host_bytes_per_second"] = plan.host_bytes_per_second;
    out["host_speed_measured"] = plan.host_speed_measured;
  }
  if (plan.most_tokens_per_second > 0) {
    out["most_tokens_per_second"] = plan.most_tokens_per_second;
  }
  return out;
}

}  // namespace

void GpuFlags::add_list(OptionTable& options, const char* name, const char* value, const char* help,
                        const SetKind& set) {
  options.add_text(name, 0, value, help, nullptr).set =
      [this, set, name](std::string_view text) -> Result<void> {
    std::vector<std::string_view> values;
    for (size_t from = 0; from <= text.size();) {
      const size_t comma = std::min(text.find(',', from), text.size());
      values.push_back(text.substr(from, comma - from));
      from = comma + 1;
    }
    std::vector<GpuKind>& kinds = request.kinds;
    if (kinds.size() > 1 && values.size() > 1 && kinds.size() != values.size()) {
      return make_error(ErrorCode::kUsage, "--{} has {} values, and an option before it has {}",
                        name, values.size(), kinds.size());
    }
    if (kinds.empty()) kinds.emplace_back();
    if (kinds.size() < values.size()) kinds.resize(values.size(), GpuKind(kinds.front()));
    for (size_t i = 0; i < kinds.size(); ++i) {
      LLMRUN_TRY(set(values[values.size() == 1 ? 0 : i], kinds[i]));
    }
    return {};
  };
}

void GpuFlags::add_to(OptionTable& options) {
  options.add_text("device", 0, "NAME",
                   "plan for main memory (cpu), or for GPUs that are here: cuda, cuda:N, cuda:N,M",
                   &device);
  add_list(options, "gpu", "CARD[,CARD]", "cards that need not be here: rtx4090, h100, …",
           [](std::string_view text, GpuKind& kind) -> Result<void> {
             kind.gpu = text;
             return {};
           });
  add_list(options, "vram", "SIZE[,SIZE]", "memory of each card: 24GiB",
           [](std::string_view text, GpuKind& kind) -> Result<void> {
             LLMRUN_ASSIGN(kind.memory_bytes, parse_bytes(text));
             return {};
           });
  add_list(options, "bandwidth", "GB/S[,GB/S]", "bandwidth of each card's memory, for the speed",
           [](std::string_view text, GpuKind& kind) -> Result<void> {
             LLMRUN_ASSIGN(const double gigabytes, parse_number(text, "--bandwidth", {1.0, 1e6}));
             kind.bytes_per_second = gigabytes * 1e9;
             return {};
           });
  options
      .add_text("host-bandwidth", 0, "GB/S",
                "bandwidth of main memory, for what stays there (default: measured here)", nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(const double gigabytes, parse_number(text, "--host-bandwidth", {0.1, 1e5}));
    request.host_bytes_per_second = gigabytes * 1e9;
    return {};
  };
  options
      .add_choice("split-mode", 0, {"layer", "tensor"},
                  "how several cards divide the model, as 'llmrun run' has it (default: layer)",
                  nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    request.split_tensors = text == "tensor";
    return {};
  };
  add_number_or_auto(options, "gpu-layers", "layers on cards, or auto (default: as many as fit)",
                     &request.layers);
  add_number_or_auto(options, "cpu-experts",
                     "layers whose experts stay in main memory (default: auto, as is fastest)",
                     &request.cpu_experts);
}

Result<bool> GpuFlags::wanted(const OptionTable& options) const {
  const bool on_cards = device.starts_with("cuda");
  if (!device.empty() && device != "cpu" && !on_cards) {
    return make_error(ErrorCode::kUsage,
                      "--device is cpu, cuda, cuda:N or cuda:N,M for a plan, not '{}'", device);
  }
  bool any = on_cards;
  for (const char* name : kGpuOptions) {
    if (!options.given(name)) continue;
    any = true;
    if (device == "cpu") {
      return make_error(ErrorCode::kUsage, "--{} has no effect with --device cpu", name);
    }
  }
  return any;
}

Result<void> print_gpu_estimate(const std::filesystem::path& path, const ContextOptions& context,
                                const GpuRequest& request, bool json) {
  LLMRUN_ASSIGN(const GpuEstimate plan, estimate_gpu(path, context, request));
  if (json) {
    const Json out = to_json(path, plan);
    print_json_text(to_text(out, 2), to_text(out));
    return {};
  }
  const size_t n = plan.cards.size();
  for (size_t i = 0; i < n; ++i) {
    const std::string title =
        n == 1 ? "on the card" : fmt::format("card {}: {}", i + 1, card_text(plan.cards[i]));
    print("{}\n", memory_table(title, plan.cards[i], plan.context_tokens, context.max_sequences));
  }
  print("{}: {}\n{}", path.filename().string(), verdict(plan), speed(plan));
  for (const std::string& what : plan.host_only) {
    print("Runs on the CPU (--strict-device refuses): {}\n", what);
  }
  return {};
}

}  // namespace llmrun::cli
