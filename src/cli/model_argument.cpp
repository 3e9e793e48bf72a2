// The shared options and the way from a model's name to its file.
#include "cli/model_argument.h"

#include <limits>

#include "base/error.h"
#include "store/resolver.h"

namespace llmrun::cli {

Result<std::filesystem::path> find_model(const std::string& name) {
  return store::resolve_model(name, {});
}

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

}  // namespace

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
  options.add_text("device", 0, "NAME",
                   "where to compute: auto, cpu, cuda or cuda:N; a GPU that cannot be used is an "
                   "error, except with auto (default: auto)",
                   &load.device);
  options.add_text("cpu-target", 0, "NAME",
                   "instruction set to compute with, one that 'llmrun doctor' lists (default: the "
                   "best of this machine)",
                   &load.cpu_target);
  add_rope_options(options, &load.rope);
}

LoadOptions LoadFlags::value() const {
  LoadOptions options = load;
  options.threads = static_cast<int>(threads);
  return options;
}

void ContextFlags::add_to(OptionTable& options, bool with_context_size) {
  static const std::vector<std::string> kTypes = {"f32", "f16", "bf16", "fp8", "int8"};
  if (with_context_size) {
    options.add_integer("ctx", 'c', "N",
                        "tokens the context holds (default: the model's own, at most 8192)",
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
