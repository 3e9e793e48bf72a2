// The table of sampling options: names, ranges, help.
#include "cli/sampling_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "cli/json.h"
#include "cli/token_input.h"

namespace llmrun::cli {
namespace {

SamplingField number(std::string name, float SamplingOptions::*member, Range<double> range,
                     std::string help) {
  SamplingField field;
  field.name = std::move(name);
  field.value = "X";
  field.help = std::move(help);
  field.set = [member, range, what = field.name](SamplingOptions& options,
                                                 std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(const double value, parse_number(text, what, range));
    options.*member = static_cast<float>(value);
    return {};
  };
  field.get = [member](const SamplingOptions& options) {
    return fmt::format("{}", options.*member);
  };
  return field;
}

SamplingField whole(std::string name, int32_t SamplingOptions::*member, int64_t low,
                    std::string help) {
  SamplingField field;
  field.name = std::move(name);
  field.value = "N";
  field.help = std::move(help);
  field.set = [member, low, what = field.name](SamplingOptions& options,
                                               std::string_view text) -> Result<void> {
    LLMRUN_ASSIGN(const int64_t value,
                  parse_integer(text, what, {low, std::numeric_limits<int32_t>::max()}));
    options.*member = static_cast<int32_t>(value);
    return {};
  };
  field.get = [member](const SamplingOptions& options) {
    return fmt::format("{}", options.*member);
  };
  return field;
}

SamplingField seed_field() {
  SamplingField field;
  field.name = "seed";
  field.letter = 's';
  field.value = "N";
  field.help = "seed of the draws; the same seed gives the same answer (default: random)";
  field.set = [](SamplingOptions& options, std::string_view text) -> Result<void> {
    if (text == "random") {
      options.seed.reset();
      return {};
    }
    uint64_t seed = 0;
    const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (text.empty() || status != std::errc() || stop != text.data() + text.size()) {
      return make_error(ErrorCode::kUsage,
                        "seed cannot be '{}'; give a whole number from 0 up, or 'random'", text);
    }
    options.seed = seed;
    return {};
  };
  field.get = [](const SamplingOptions& options) {
    return options.seed ? fmt::format("{}", *options.seed) : std::string("random");
  };
  return field;
}

// "0" or "2".
SamplingField mirostat_field() {
  SamplingField field = whole("mirostat", &SamplingOptions::mirostat, 0,
                              "2: mirostat version 2 in place of the cutting stages (default: 0)");
  field.value = "0|2";
  field.set = [](SamplingOptions& options, std::string_view text) -> Result<void> {
    if (text != "0" && text != "2") {
      return make_error(ErrorCode::kUsage, "mirostat cannot be '{}'; it is 0 (off) or 2", text);
    }
    options.mirostat = text == "2" ? 2 : 0;
    return {};
  };
  return field;
}

SamplingField breakers_field() {
  SamplingField field;
  field.name = "dry-breakers";
  field.value = "JSON";
  field.help =
      "texts that end a repeated sequence, as a JSON array (default: "
      "[\"\\n\",\":\",\"\\\"\",\"*\"])";
  field.set = [](SamplingOptions& options, std::string_view text) -> Result<void> {
    const Json list = Json::parse(text, nullptr, false);
    std::vector<std::string> breakers;
    bool good = list.is_array();
    for (size_t i = 0; good && i < list.size(); ++i) {
      good = list[i].is_string();
      if (good) breakers.push_back(list[i].get<std::string>());
    }
    if (!good) {
      return make_error(ErrorCode::kUsage,
                        "dry-breakers cannot be '{}'; give a JSON array of texts, like [\"\\n\"]",
                        text);
    }
    options.dry_breakers = std::move(breakers);
    return {};
  };
  field.get = [](const SamplingOptions& options) { return to_text(Json(options.dry_breakers)); };
  return field;
}

Result<std::pair<TokenId, float>> parse_bias(std::string_view item) {
  const size_t equals = std::min(item.find('='), item.size());
  const auto ids = parse_ids(item.substr(0, equals));
  std::string_view number = item.substr(std::min(equals + 1, item.size()));
  if (number.starts_with('+')) number.remove_prefix(1);
  float bias = 0;
  const auto [stop, status] = std::from_chars(number.data(), number.data() + number.size(), bias);
  if (!ids || ids->size() != 1 || number.empty() || status != std::errc() ||
      stop != number.data() + number.size() || bias != bias) {
    return make_error(ErrorCode::kUsage,
                      "logit-bias cannot be '{}'; write ID=BIAS, as in 15043=-inf or 42=2.5", item);
  }
  return std::pair<TokenId, float>(ids->front(), bias);
}

SamplingField bias_field() {
  SamplingField field;
  field.name = "logit-bias";
  field.value = "ID=BIAS,...";
  field.help = "add to the logits of tokens; -inf forbids one";
  field.set = [](SamplingOptions& options, std::string_view text) -> Result<void> {
    std::vector<std::pair<TokenId, float>> biases;
    while (!text.empty()) {
      const size_t comma = std::min(text.find(','), text.size());
      LLMRUN_ASSIGN(const auto bias, parse_bias(text.substr(0, comma)));
      biases.push_back(bias);
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    options.logit_bias = std::move(biases);
    return {};
  };
  field.get = [](const SamplingOptions& options) {
    std::string text;
    for (const auto& [id, bias] : options.logit_bias) {
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", id, bias);
    }
    return text;
  };
  return field;
}

std::vector<SamplingField> make_fields() {
  using O = SamplingOptions;
  std::vector<SamplingField> fields;
  fields.push_back(number("temperature", &O::temperature, {0, 100},
                          "how freely tokens are drawn; 0: always the most probable "
                          "(default: 0.8)"));
  fields.back().alias = "temp";
  fields.push_back(number("dynamic-temperature", &O::dynamic_temperature, {0, 100},
                          "vary the temperature by up to X with the entropy (default: 0, off)"));
  fields.push_back(number("dynamic-temperature-exponent", &O::dynamic_temperature_exponent,
                          {0, 100}, "how the entropy maps to the temperature (default: 1)"));
  fields.push_back(whole("top-k", &O::top_k, 0, "keep the N most probable (default: 40; 0: off)"));
  fields.push_back(number("top-p", &O::top_p, {0, 1},
                          "keep the most probable that together have X (default: 0.9; 1: off)"));
  fields.push_back(number("min-p", &O::min_p, {0, 1},
                          "keep those with X times the best one's probability (default: 0, off)"));
  fields.push_back(number("typical-p", &O::typical_p, {0, 1},
                          "keep the most typical that together have X (default: 1, off)"));
  fields.push_back(number("top-n-sigma", &O::top_n_sigma, {0, 1000},
                          "keep logits within X standard deviations of the best (default: 0, "
                          "off)"));
  fields.push_back(number("xtc-probability", &O::xtc_probability, {0, 1},
                          "how often the most probable ones are left out (default: 0, off)"));
  fields.push_back(number("xtc-threshold", &O::xtc_threshold, {0, 1},
                          "what counts as probable for that (default: 0.1; above 0.5: off)"));
  fields.push_back(number("repeat-penalty", &O::repeat_penalty, {0.01, 100},
                          "make repeated tokens less probable (default: 1, off)"));
  fields.push_back(number("frequency-penalty", &O::frequency_penalty, {-100, 100},
                          "the same, for each time a token stood there (default: 0, off)"));
  fields.push_back(number("presence-penalty", &O::presence_penalty, {-100, 100},
                          "the same, once per token (default: 0, off)"));
  fields.push_back(whole("penalty-window", &O::penalty_window, -1,
                         "tokens the penalties look back (default: 64; -1: all)"));
  fields.push_back(number("dry-multiplier", &O::dry_multiplier, {0, 1000},
                          "strength of DRY against repeated sequences (default: 0, off)"));
  fields.push_back(number("dry-base", &O::dry_base, {1, 1000},
                          "how DRY grows with the length of the sequence (default: 1.75)"));
  fields.push_back(whole("dry-allowed-length", &O::dry_allowed_length, 0,
                         "longest sequence that may repeat freely (default: 2)"));
  fields.push_back(
      whole("dry-window", &O::dry_window, -1, "tokens DRY looks back (default: -1, all)"));
  fields.push_back(breakers_field());
  fields.push_back(mirostat_field());
  fields.push_back(number("mirostat-tau", &O::mirostat_tau, {0, 100},
                          "surprise that mirostat aims at (default: 5)"));
  fields.push_back(
      number("mirostat-eta", &O::mirostat_eta, {0, 1}, "how fast mirostat learns (default: 0.1)"));
  fields.push_back(bias_field());
  fields.push_back(seed_field());
  return fields;
}

}  // namespace

std::span<const SamplingField> sampling_fields() {
  static const std::vector<SamplingField> kFields = make_fields();
  return kFields;
}

const SamplingField* find_sampling_field(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const SamplingField& field : sampling_fields()) {
    if (field.name == dashed || (!field.alias.empty() && field.alias == dashed)) return &field;
  }
  return nullptr;
}

Result<void> choose(SamplingChoices& choices, std::string_view name, std::string_view value) {
  const SamplingField* const field = find_sampling_field(name);
  if (field == nullptr) {
    return make_error(ErrorCode::kUsage, "there is no sampling option '{}'", name);
  }
  SamplingOptions scratch;
  LLMRUN_TRY(field->set(scratch, value));
  for (auto& [known, text] : choices) {
    if (known == field->name) {
      text = value;
      return {};
    }
  }
  choices.emplace_back(field->name, value);
  return {};
}

Result<void> apply_sampling(const SamplingChoices& choices, SamplingOptions& options) {
  for (const auto& [name, value] : choices) {
    const SamplingField* const field = find_sampling_field(name);
    if (field == nullptr) {
      return make_error(ErrorCode::kUsage, "there is no sampling option '{}'", name);
    }
    LLMRUN_TRY(field->set(options, value));
  }
  return {};
}

void add_sampling_options(OptionTable& table, SamplingChoices* choices) {
  for (const SamplingField& field : sampling_fields()) {
    Option option;
    option.name = field.name;
    option.alias = field.alias;
    option.letter = field.letter;
    option.value = field.value;
    option.help = field.help;
    option.set = [choices, name = field.name](std::string_view text) -> Result<void> {
      Result<void> chosen = choose(*choices, name, text);
      if (!chosen) chosen.error().message = "--" + chosen.error().message;
      return chosen;
    };
    table.add(std::move(option));
  }
}

}  // namespace llmrun::cli
