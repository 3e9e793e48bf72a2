// Any bytes as a Modelfile, as a params layer, and back.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "store/modelfile.h"
#include "store/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun::store;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto file = parse_modelfile(text)) {
    if (file->from.empty()) __builtin_trap();
    (void)parse_modelfile(write_modelfile(*file));
    std::vector<std::string> warnings;
    if (const auto json = parameters_to_json(file->parameters, warnings)) {
      if (!parameters_from_json(*json)) __builtin_trap();
    }
  }
  if (const auto parameters = parameters_from_json(text)) {
    RunDefaults defaults;
    (void)apply_parameters(*parameters, defaults);
  }
  return 0;
}
