// Receipts as JSON, and answering once more from one.
#include "api/receipt.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/model_hash.h"
#include "base/build_id.h"
#include "base/error.h"
#include "base/sha256.h"
#include "llmrun/receipt.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "llmrun-receipt-1";
constexpr size_t kMostBytes = size_t{256} << 20;

// Every option that has a say in which token is drawn, under the name it has in the file.
template <typename Options, typename Visit>
void for_each_sampling_field(Options& o, const Visit& visit) {
  visit("temperature", o.temperature);
  visit("dynamic_temperature", o.dynamic_temperature);
  visit("dynamic_temperature_exponent", o.dynamic_temperature_exponent);
  visit("top_k", o.top_k);
  visit("top_p", o.top_p);
  visit("min_p", o.min_p);
  visit("typical_p", o.typical_p);
  visit("top_n_sigma", o.top_n_sigma);
  visit("xtc_probability", o.xtc_probability);
  visit("xtc_threshold", o.xtc_threshold);
  visit("repeat_penalty", o.repeat_penalty);
  visit("frequency_penalty", o.frequency_penalty);
  visit("presence_penalty", o.presence_penalty);
  visit("penalty_window", o.penalty_window);
  visit("dry_multiplier", o.dry_multiplier);
  visit("dry_base", o.dry_base);
  visit("dry_allowed_length", o.dry_allowed_length);
  visit("dry_window", o.dry_window);
  visit("dry_breakers", o.dry_breakers);
  visit("mirostat", o.mirostat);
  visit("mirostat_tau", o.mirostat_tau);
  visit("mirostat_eta", o.mirostat_eta);
  visit("logit_bias", o.logit_bias);
}

constexpr std::pair<std::string_view, Overflow> kOverflows[] = {
    {"error", Overflow::kError},
    {"truncate-front", Overflow::kTruncateFront},
    {"shift", Overflow::kShift}};

std::string_view name_of(Overflow overflow) {
  for (const auto& [name, value] : kOverflows) {
    if (value == overflow) return name;
  }
  return "error";
}

Json options_json(const GenerateOptions& options) {
  Json sampling;
  for_each_sampling_field(options.sampling,
                          [&](const char* name, const auto& value) { sampling[name] = value; });
  return {{"sampling", std::move(sampling)},
          {"max_tokens", options.max_tokens},
          {"stop", options.stop},
          {"ignore_end", options.ignore_end},
          {"on_overflow", name_of(options.on_overflow)},
          {"keep_tokens", options.keep_tokens},
          {"loop_guard", options.loop_guard}};
}

GenerateOptions options_from(const Json& json) {
  GenerateOptions options;
  const Json& sampling = json.at("sampling");
  for_each_sampling_field(options.sampling,
                          [&](const char* name, auto& value) { sampling.at(name).get_to(value); });
  json.at("max_tokens").get_to(options.max_tokens);
  json.at("stop").get_to(options.stop);
  json.at("ignore_end").get_to(options.ignore_end);
  json.at("keep_tokens").get_to(options.keep_tokens);
  json.at("loop_guard").get_to(options.loop_guard);
  const auto overflow = json.at("on_overflow").get<std::string>();
  for (const auto& [name, value] : kOverflows) {
    if (name == overflow) options.on_overflow = value;
  }
  options.hash_logits = true;
  return options;
}

std::string hexadecimal(uint64_t value) { return fmt::format("{:016x}", value); }

Result<std::string> hash_of(const std::vector<TokenId>& tokens) {
  return sha256_hex(std::as_bytes(std::span(tokens)));
}

// What is read back.
struct Receipt {
  std::string model, model_hash, target, build;
  RopeOverride rope;
  std::vector<AdapterOption> adapters;
  ContextOptions context;
  std::vector<TokenId> prompt, tokens;
  std::vector<std::string> logits_hashes;
  GenerateOptions options;
};

Error not_a_receipt(std::string_view why) {
  return {ErrorCode::kUsage,
          fmt::format("This is no receipt of llmrun, or a damaged one: {}. Give the file that "
                      "'llmrun run --receipt FILE' wrote.",
                      why),
          {}};
}

Receipt read_fields(const Json& json) {
  Receipt receipt;
  const Json& model = json.at("model");
  model.at("name").get_to(receipt.model);
  model.at("hash").get_to(receipt.model_hash);
  for (const Json& adapter : model.at("adapters")) {
    receipt.adapters.push_back(
        {adapter.at("path").get<std::string>(), adapter.at("scale").get<float>()});
  }
  const Json& rope = model.at("rope");
  rope.at("scaling").get_to(receipt.rope.scaling);
  rope.at("factor").get_to(receipt.rope.factor);
  rope.at("base").get_to(receipt.rope.base);
  rope.at("original_context").get_to(receipt.rope.original_context);
  json.at("target").get_to(receipt.target);
  json.at("build").get_to(receipt.build);
  const Json& context = json.at("context");
  context.at("tokens").get_to(receipt.context.context_tokens);
  context.at("k_type").get_to(receipt.context.k_type);
  context.at("v_type").get_to(receipt.context.v_type);
  receipt.options = options_from(json.at("options"));
  receipt.options.sampling.seed = json.at("seed").get<uint64_t>();
  json.at("prompt").at("tokens").get_to(receipt.prompt);
  json.at("answer").at("tokens").get_to(receipt.tokens);
  json.at("answer").at("logits_hashes").get_to(receipt.logits_hashes);
  return receipt;
}

Result<Receipt> parse(std::string_view text) {
  if (text.size() > kMostBytes) return tl::unexpected(not_a_receipt("it is too long"));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return tl::unexpected(not_a_receipt("it is no JSON object"));
  if (json.value("format", Json()) != kFormat) {
    return tl::unexpected(not_a_receipt(fmt::format("its format is not {}", kFormat)));
  }
  try {
    Receipt receipt = read_fields(json);
    LLMRUN_ASSIGN(const std::string hash, hash_of(receipt.prompt));
    if (hash != json.at("prompt").at("hash").get<std::string>()) {
      return tl::unexpected(not_a_receipt("the prompt's tokens do not have the prompt's hash"));
    }
    return receipt;
  } catch (const nlohmann::json::exception& exception) {
    return tl::unexpected(not_a_receipt(exception.what()));
  }
}

template <typename A, typename B>
std::optional<int64_t> first_difference(const A& a, const B& b) {
  const size_t n = std::min(a.size(), b.size());
  for (size_t i = 0; i < n; ++i) {
    if (a[i] != b[i]) return static_cast<int64_t>(i);
  }
  return a.size() == b.size() ? std::nullopt : std::optional<int64_t>(static_cast<int64_t>(n));
}

// A model_hash() without those of the adapters.
std::string_view base_of(std::string_view hash) { return hash.substr(0, hash.find('+')); }

bool has_target(const std::string& name) {
  const auto targets = kernels::cpu_targets();
  return std::any_of(targets.begin(), targets.end(),
                     [&](const auto& target) { return target.name == name && target.available; });
}

}  // namespace

Result<std::string> receipt_json(ModelImpl& model, const ReceiptInput& input) {
  LLMRUN_ASSIGN(const std::string hash, model_hash(model));
  LLMRUN_ASSIGN(const std::string prompt_hash, hash_of(*input.prompt));
  std::string template_hash;
  if (!input.template_source.empty()) {
    LLMRUN_ASSIGN(template_hash, sha256_hex(std::as_bytes(std::span(input.template_source))));
  }
  const Generation& generation = *input.generation;
  std::vector<std::string> hashes;
  for (const uint64_t each : generation.logits_hashes) hashes.push_back(hexadecimal(each));
  Json adapters = Json::array();
  for (const AdapterOption& adapter : model.adapter_options) {
    adapters.push_back({{"path", adapter.path.string()}, {"scale", adapter.scale}});
  }
  const RopeOverride& rope = model.rope;
  const Json json = {{"format", kFormat},
                     {"llmrun", version()},
                     {"build", build_id()},
                     {"model",
                      {{"name", input.model_name},
                       {"hash", hash},
                       {"adapters", adapters},
                       {"rope",
                        {{"scaling", rope.scaling},
                         {"factor", rope.factor},
                         {"base", rope.base},
                         {"original_context", rope.original_context}}}}},
                     {"template_hash", template_hash},
                     {"target", model.target()},
                     {"context",
                      {{"tokens", input.context_tokens},
                       {"k_type", input.context->k_type},
                       {"v_type", input.context->v_type}}},
                     {"seed", generation.seed},
                     {"options", options_json(*input.options)},
                     {"prompt", {{"hash", prompt_hash}, {"tokens", *input.prompt}}},
                     {"answer",
                      {{"stop_reason", to_string(generation.stop_reason)},
                       {"tokens", generation.tokens},
                       {"logits_hash", hashes.empty() ? "" : hashes.back()},
                       {"logits_hashes", hashes}}}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> receipt_model(std::string_view text) {
  LLMRUN_ASSIGN(Receipt receipt, parse(text));
  return std::move(receipt.model);
}

Result<Replay> replay(const std::filesystem::path& path, std::string_view text,
                      const LoadOptions& wanted) {
  LLMRUN_ASSIGN(const Receipt receipt, parse(text));
  Replay replay;
  LoadOptions load = wanted;
  load.context = receipt.context;
  load.rope = receipt.rope;
  if (load.adapters.empty()) load.adapters = receipt.adapters;
  if (load.cpu_target.empty() && has_target(receipt.target)) load.cpu_target = receipt.target;
  LLMRUN_ASSIGN(const Model model, Model::open(path, load));
  LLMRUN_ASSIGN(const std::string hash, model_hash(Access::of(model)));
  const std::string target = Access::of(model).target();
  if (base_of(hash) != base_of(receipt.model_hash)) {
    replay.changes.push_back("the model is another one");
  } else if (hash != receipt.model_hash) {
    replay.changes.push_back("the adapters, or their scales, are others");
  }
  if (target != receipt.target) {
    replay.changes.push_back(fmt::format("the CPU target is {}, not {}", target, receipt.target));
  }
  if (build_id() != receipt.build) replay.changes.push_back("it is another build of llmrun");
  LLMRUN_ASSIGN(Session session, model.new_session(receipt.context));
  LLMRUN_ASSIGN(const Generation generation, session.complete(receipt.prompt, receipt.options));
  std::vector<std::string> hashes;
  for (const uint64_t each : generation.logits_hashes) hashes.push_back(hexadecimal(each));

  replay.n_tokens = static_cast<int64_t>(receipt.tokens.size());
  replay.token_departs = first_difference(generation.tokens, receipt.tokens);
  replay.logits_depart = first_difference(hashes, receipt.logits_hashes);
  replay.same = !replay.token_departs && !replay.logits_depart;
  if (replay.token_departs) {
    const auto at = static_cast<size_t>(*replay.token_departs);
    const auto text_at = [&](const std::vector<TokenId>& tokens) {
      return at < tokens.size() ? model.token_text(tokens[at]) : "";
    };
    replay.expected_text = text_at(receipt.tokens);
    replay.got_text = text_at(generation.tokens);
  }
  return replay;
}

}  // namespace llmrun
