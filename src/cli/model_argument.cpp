// The shared options; see model_argument.h.
#include "cli/model_argument.h"

#include <unistd.h>

#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/terminal.h"

namespace llmrun::cli {

namespace {

// A number above 0.
void add_positive(OptionTable& options, std::string name, std::string value, std::string help,
                  double* target) {
  Option& option = options.add_text(name, 0, std::move(value), std::move(help), nullptr);
  option.set = [target, what = "--" + name](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(*target, parse_number(text, what, {std::numeric_limits<double>::min()}));
    return {};
  };
}

// On a terminal "loading …" stands in the line.
void tell_of_devices(const std::string& line) {
  const char* const clear = is_terminal(STDERR_FILENO) ? "\r\x1b[K" : "";
  (void)std::fprintf(stderr, "%sllmrun: %s\n", clear, line.c_str());
}

}  // namespace

Result<AdapterOption> parse_adapter(std::string_view text) {
  AdapterOption adapter;
  const size_t colon = text.rfind(':');
  std::error_code error;
  if (colon != std::string_view::npos && !std::filesystem::exists(text, error)) {
    LLMRUN_ASSIGN(const double scale,
                  parse_number(text.substr(colon + 1), "the scale of --adapter", {-1000, 1000}));
    adapter.scale = static_cast<float>(scale);
    text = text.substr(0, colon);
  }
  if (text.empty()) return make_error(ErrorCode::kUsage, "--adapter needs a FILE");
  adapter.path = text;
  return adapter;
}

void add_number_or_auto(OptionTable& options, std::string name, std::string help,
                        std::optional<int64_t>* target) {
  Option& option = options.add_text(name, 0, "N", std::move(help), nullptr);
  option.set = [target, what = "--" + name](std::string_view text) -> Result<void> {
    target->reset();
    if (text == "auto") return {};
    LLMRUN_ASSIGN(*target, parse_integer(text, what, {0, 100000}));
    return {};
  };
}

void add_rope_options(OptionTable& options, RopeOverride* rope) {
  options.add_choice("rope-scaling", 0, {"none", "linear", "yarn"},
                     "how positions are scaled (default: as the model says)", &rope->scaling);
  add_positive(options, "rope-factor", "F", "longer texts: positions are divided by F",
               &rope->factor);
  add_positive(options, "rope-base", "F", "base of the rotary frequencies", &rope->base);
  options.add_integer("rope-original-context", 0, "N", "tokens the model was trained on, for yarn",
                      &rope->original_context, {1, int64_t{1} << 30});
}

void LoadFlags::add_to(OptionTable& options) {
  options.add_integer("threads", 't', "N", "threads to compute with (default: one per core)",
                      &threads, {1, 1024});
  options
      .add_text("device", 0, "NAME",
                "where to compute: auto, cpu, cuda, cuda:N or, dividing the layers, cuda:N,M; a "
                "GPU that cannot be used is an error, except with auto, which then says why "
                "(default: auto)",
                nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    load.device = text;
    load.tell_choice = true;
    return {};
  };
  add_number_or_auto(options, "gpu-layers",
                     "layers on the GPU, the last ones of the model; the CPU runs the others "
                     "(default: auto, as many as fit)",
                     &load.gpu_layers);
  add_number_or_auto(options, "cpu-experts",
                     "of a mixture of experts, layers (the first ones) whose experts stay in main "
                     "memory, where the CPU runs them (default: auto, as is fastest)",
                     &load.cpu_experts);
  options
      .add_text(
          "split-mode", 0, "MODE",
          "how several GPUs divide a model: layer (each has some layers), or tensor (each has "
          "some heads and columns of every layer; they work at the same time) (default: "
          "layer)",
          nullptr)
      .set = [this](std::string_view text) -> Result<void> {
    load.split_tensors = text == "tensor";
    if (load.split_tensors || text == "layer") return {};
    return make_error(ErrorCode::kUsage, "--split-mode is layer or tensor, not '{}'", text);
  };
  options.add_switch("strict-device", 0,
                     "refuse a model of which the GPU cannot run a layer, instead of running that "
                     "on the CPU",
                     &load.strict_device);
  options.add_text("cpu-target", 0, "NAME",
                   "instruction set to compute with, one that 'llmrun doctor' lists (default: the "
                   "best of this machine)",
                   &load.cpu_target);
  Option& adapter = options.add_text("adapter", 0, "FILE[:SCALE]",
                                     "a LoRA adapter (GGUF) to apply; may be repeated", nullptr);
  adapter.kind = ValueKind::kFile;
  adapter.set = [this](std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(AdapterOption parsed, parse_adapter(text));
    load.adapters.push_back(std::move(parsed));
    return {};
  };
  add_rope_options(options, &load.rope);
  fetch.add_to(options);
}

Result<std::filesystem::path> LoadFlags::find(const std::string& name,
                                              const ContextOptions& context) {
  load.context = context;
  LLMRUN_ASSIGN(const store::StoredModel model, fetch.find(name, context));
  LLMRUN_ASSIGN(layers, store::read_layers(model));
  std::vector<AdapterOption> adapters;
  for (const std::filesystem::path& path : layers.adapters) adapters.push_back({path, 1.0F});
  load.adapters.insert(load.adapters.begin(), adapters.begin(), adapters.end());
  load.go_template = layers.chat_template.value_or("");
  return model.file;
}

LoadOptions LoadFlags::value() const {
  LoadOptions options = load;
  options.threads = static_cast<int>(threads);
  options.tell = tell_of_devices;
  return options;
}

void ContextFlags::add_to(OptionTable& options, bool with_context_size) {
  static const std::vector<std::string> kTypes = {"f32", "f16", "bf16", "fp8", "int8"};
  if (with_context_size) {
    options.add_integer(
        "ctx", 'c', "N",
        "tokens the context holds (default: the model's own, or what takes half of the free "
        "memory)",
        &context.context_tokens, {1, int64_t{1} << 40});
    options.find("ctx")->alias = "context";
  }
  options.add_integer("batch", 'b', "N", "prompt tokens read in one pass (default: 512)",
                      &context.batch_tokens, {1, 65536});
  Option& both = options.add_choice("kv-type", 0, kTypes,
                                    "type of the cached keys and values (default: f16)", nullptr);
  both.set = [this](std::string_view type) -> Result<void> {
    context.k_type = type;
    context.v_type = type;
    return {};
  };
  options.add_choice("k-type", 0, kTypes, "type of the cached keys alone", &context.k_type);
  options.add_choice("v-type", 0, kTypes, "type of the cached values alone", &context.v_type);
}

}  // namespace llmrun::cli
