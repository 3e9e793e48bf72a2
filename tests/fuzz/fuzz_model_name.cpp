// What a person types for a model, as each kind of name: what parses stays below the folder that it
// is put in, and reads back as itself.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "store/hf_choice.h"
#include "store/hf_name.h"
#include "store/model_name.h"
#include "store/url_name.h"

namespace {

using namespace llmrun;         // NOLINT: a program of one file
using namespace llmrun::store;  // NOLINT

void check(bool holds) {
  if (!holds) std::abort();
}

bool is_below(const std::filesystem::path& path) {
  return !path.empty() && path.is_relative() && path.lexically_normal() == path &&
         *path.begin() != "..";
}

void check_name(const ModelName& name) {
  check(is_below(name.path()));
  const auto shown = parse_model_name(name.text());
  check(shown && same_model(*shown, name));
  const auto stored = name_of_path(name.path());
  check(stored && same_model(*stored, name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto name = parse_model_name(text)) check_name(*name);
  if (const auto name = parse_hf_name(text)) {
    check(name->file.empty() || is_below(name->file));
    const auto shown = parse_hf_name(name->text());
    check(shown && shown->text() == name->text());
    // The file it names, alone in its repository, is what it means, and has a name of its own.
    const HfFile file{name->file.empty() ? "m-Q8_0.gguf" : name->file, 1, ""};
    for (const auto& choice : hf_choices(std::span(&file, 1))) {
      const HfName own = name_of_choice(std::span(&choice, 1), *name, choice);
      check(choose(std::span(&choice, 1), own)->files.front().path == file.path);
    }
  }
  if (is_gguf_url(text)) {
    if (const auto name = name_of_url(text)) check_name(*name);
  }
  return 0;
}
