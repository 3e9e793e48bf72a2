// The table of parameters: their types, and where they go.
#include "store/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/edit_distance.h"
#include "base/error.h"
#include "base/utf8.h"

namespace llmrun::store {
namespace {

using Json = nlohmann::ordered_json;

enum class Type : uint8_t { kInteger, kNumber, kSwitch, kText };

struct Known {
  std::string_view name;
  Type type;
  double low, high;  // of numbers
  // Null: it has no effect here, and `why_not` says why.
  void (*set)(RunDefaults& defaults, double value);
  std::string_view why_not;
};

constexpr double kMax = 2147483647.0;
int32_t whole(double value) { return static_cast<int32_t>(value); }

constexpr Known kKnown[] = {
    {"temperature", Type::kNumber, 0, 100,
     [](RunDefaults& d, double v) { d.generate.sampling.temperature = static_cast<float>(v); }, ""},
    {"top_k", Type::kInteger, 0, kMax,
     [](RunDefaults& d, double v) { d.generate.sampling.top_k = whole(v); }, ""},
    {"top_p", Type::kNumber, 0, 1,
     [](RunDefaults& d, double v) { d.generate.sampling.top_p = static_cast<float>(v); }, ""},
    {"min_p", Type::kNumber, 0, 1,
     [](RunDefaults& d, double v) { d.generate.sampling.min_p = static_cast<float>(v); }, ""},
    {"typical_p", Type::kNumber, 0, 1,
     [](RunDefaults& d, double v) { d.generate.sampling.typical_p = static_cast<float>(v); }, ""},
    {"repeat_penalty", Type::kNumber, 0.01, 100,
     [](RunDefaults& d, double v) { d.generate.sampling.repeat_penalty = static_cast<float>(v); },
     ""},
    {"presence_penalty", Type::kNumber, -100, 100,
     [](RunDefaults& d, double v) { d.generate.sampling.presence_penalty = static_cast<float>(v); },
     ""},
    {"frequency_penalty", Type::kNumber, -100, 100,
     [](RunDefaults& d, double v) {
       d.generate.sampling.frequency_penalty = static_cast<float>(v);
     },
     ""},
    {"repeat_last_n", Type::kInteger, -1, kMax,
     [](RunDefaults& d, double v) { d.generate.sampling.penalty_window = whole(v); }, ""},
    {"seed", Type::kInteger, -kMax, kMax,
     [](RunDefaults& d, double v) {
       d.generate.sampling.seed.reset();  // below 0: a random one
       if (v >= 0) d.generate.sampling.seed = static_cast<uint64_t>(v);
     },
     ""},
    {"num_predict", Type::kInteger, -2, kMax,
     [](RunDefaults& d, double v) { d.generate.max_tokens = v < 1 ? -1 : whole(v); }, ""},
    {"num_ctx", Type::kInteger, 0, kMax,
     [](RunDefaults& d, double v) { d.context.context_tokens = whole(v); }, ""},
    {"num_batch", Type::kInteger, 1, 65536,
     [](RunDefaults& d, double v) { d.context.batch_tokens = whole(v); }, ""},
    {"num_thread", Type::kInteger, 0, 1024,
     [](RunDefaults& d, double v) { d.load.threads = whole(v); }, ""},
    {"mirostat", Type::kInteger, 0, 2,
     [](RunDefaults& d, double v) { d.generate.sampling.mirostat = v == 0 ? 0 : 2; }, ""},
    {"mirostat_tau", Type::kNumber, 0, 100,
     [](RunDefaults& d, double v) { d.generate.sampling.mirostat_tau = static_cast<float>(v); },
     ""},
    {"mirostat_eta", Type::kNumber, 0, 1,
     [](RunDefaults& d, double v) { d.generate.sampling.mirostat_eta = static_cast<float>(v); },
     ""},
    {"stop", Type::kText, 0, 0, nullptr, ""},
    {"num_keep", Type::kInteger, -kMax, kMax, nullptr,
     "nothing is dropped from a full context here"},
    {"num_gpu", Type::kInteger, -kMax, kMax, nullptr, "--device says where to compute"},
    {"main_gpu", Type::kInteger, -kMax, kMax, nullptr, "--device says where to compute"},
    {"use_mmap", Type::kSwitch, 0, 1, nullptr, "model files are always mapped"},
    {"use_mlock", Type::kSwitch, 0, 1, nullptr, "memory is not locked"},
    {"numa", Type::kSwitch, 0, 1, nullptr, "memory is placed by the system"},
    {"low_vram", Type::kSwitch, 0, 1, nullptr, "it is no longer in use anywhere"},
    {"f16_kv", Type::kSwitch, 0, 1, nullptr, "--kv-type says how keys and values are kept"},
    {"vocab_only", Type::kSwitch, 0, 1, nullptr, "it is no longer in use anywhere"},
    {"logits_all", Type::kSwitch, 0, 1, nullptr, "it is no longer in use anywhere"},
    {"penalize_newline", Type::kSwitch, 0, 1, nullptr, "it is no longer in use anywhere"},
    {"tfs_z", Type::kNumber, -kMax, kMax, nullptr, "tail-free sampling is not offered"},
    {"draft_num_predict", Type::kInteger, 0, kMax, nullptr, "drafts are chosen when a model runs"},
};

const Known* find_known(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kKnown), std::end(kKnown),
                                         [&](const Known& each) { return each.name == name; });
  return found == std::end(kKnown) ? nullptr : found;
}

// Only numbers that can be; whole ones where one is asked for.
std::optional<double> number(const Known& known, std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(value >= known.low) ||
      !(value <= known.high)) {
    return std::nullopt;
  }
  if (known.type == Type::kInteger && value != std::floor(value)) return std::nullopt;
  return value;
}

std::optional<bool> switch_value(std::string_view text) {
  for (const std::string_view yes : {"true", "True", "TRUE", "1", "t", "T"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "False", "FALSE", "0", "f", "F"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::string expected(const Known& known) {
  switch (known.type) {
    case Type::kInteger:
      return fmt::format("a whole number from {} to {}", known.low, known.high);
    case Type::kNumber:
      return fmt::format("a number from {} to {}", known.low, known.high);
    case Type::kSwitch:
      return "true or false";
    case Type::kText:
      break;
  }
  return "a text";
}

std::string nearest(std::string_view name) {
  const Known* best = &kKnown[0];
  for (const Known& each : kKnown) {
    if (edit_distance(name, each.name) < edit_distance(name, best->name)) best = &each;
  }
  return std::string(best->name);
}

std::optional<Json> typed(const Known& known, const std::string& text) {
  if (known.type == Type::kText) return Json(utf8::sanitize(text));
  if (known.type == Type::kSwitch) {
    const auto on = switch_value(text);
    return on ? std::optional<Json>(*on) : std::nullopt;
  }
  const auto value = number(known, text);
  if (!value) return std::nullopt;
  if (known.type == Type::kInteger) return Json(static_cast<int64_t>(*value));
  return Json(*value);
}

}  // namespace

std::vector<std::string> apply_parameters(const std::vector<Parameter>& parameters,
                                          RunDefaults& defaults) {
  std::vector<std::string> told;
  bool stops_replaced = false;
  for (const Parameter& parameter : parameters) {
    const Known* const known = find_known(parameter.name);
    if (known == nullptr) {
      told.push_back(fmt::format("the model's parameter {} is not known here",
                                 utf8::sanitize(parameter.name.substr(0, 60))));
    } else if (known->type == Type::kText) {
      if (!stops_replaced) defaults.generate.stop.clear();
      stops_replaced = true;
      if (!parameter.value.empty()) defaults.generate.stop.push_back(parameter.value);
    } else if (known->set == nullptr) {
      told.push_back(
          fmt::format("the model's parameter {} has no effect: {}", known->name, known->why_not));
    } else if (const auto value = number(*known, parameter.value)) {
      known->set(defaults, *value);
    } else {
      told.push_back(fmt::format("the model's parameter {} is {}, which is not {}: it is left out",
                                 known->name, utf8::sanitize(parameter.value.substr(0, 60)),
                                 expected(*known)));
    }
  }
  return told;
}

Result<std::string> parameters_to_json(const std::vector<ModelfileParameter>& parameters,
                                       std::vector<std::string>& warnings) {
  Json json = Json::object();
  for (const ModelfileParameter& parameter : parameters) {
    const Known* const known = find_known(parameter.name);
    if (known == nullptr) {
      return make_error(ErrorCode::kUsage, "line {}: there is no parameter {} (did you mean {}?)",
                        parameter.line, utf8::sanitize(parameter.name.substr(0, 60)),
                        nearest(parameter.name));
    }
    const auto value = typed(*known, parameter.value);
    if (!value) {
      return make_error(ErrorCode::kUsage, "line {}: {} cannot be \"{}\"; give {}", parameter.line,
                        known->name, utf8::sanitize(parameter.value.substr(0, 60)),
                        expected(*known));
    }
    const std::string name(known->name);
    if (known->type == Type::kText) {
      if (!json.contains(name)) json[name] = Json::array();
      json[name].push_back(*value);
      continue;
    }
    json[name] = *value;
    if (known->set == nullptr) {
      warnings.push_back(fmt::format("line {}: {} has no effect in llmrun: {}", parameter.line,
                                     known->name, known->why_not));
    }
  }
  return json.dump();
}

Result<std::vector<Parameter>> parameters_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return make_error(ErrorCode::kBadModel, "the model's parameters are no JSON object");
  }
  std::vector<Parameter> parameters;
  const auto add = [&](const std::string& name, const Json& value) {
    if (value.is_string()) {
      parameters.push_back({name, value.get<std::string>()});
    } else if (value.is_number() || value.is_boolean()) {
      parameters.push_back({name, value.dump()});
    }
  };
  for (const auto& [name, value] : json.items()) {
    if (value.is_array()) {
      for (const Json& each : value) add(name, each);
    } else {
      add(name, value);
    }
  }
  return parameters;
}

}  // namespace llmrun::store
