// One row per field in the table at the end; each reader checks one value.
#include "batch/body.h"

#include <charconv>
#include <limits>

#include "base/error.h"
#include "batch/json.h"
#include "batch/messages.h"

namespace llmrun::batch {
namespace {

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kUsage, format, std::forward<Args>(args)...);
}

using Read = Result<void> (*)(const Json& value, std::string_view name, Row& row);

struct Field {
  std::string_view name;
  unsigned endpoints;  // of kChat, kCompletion, kEmbedding
  Read read;
};

constexpr unsigned kChat = 1U << static_cast<unsigned>(Endpoint::kChat);
constexpr unsigned kCompletion = 1U << static_cast<unsigned>(Endpoint::kCompletion);
constexpr unsigned kEmbedding = 1U << static_cast<unsigned>(Endpoint::kEmbedding);
constexpr unsigned kText = kChat | kCompletion;
constexpr unsigned kAll = kText | kEmbedding;

// ---- values ------------------------------------------------------------------------------------

Result<int64_t> whole(const Json& value, std::string_view name, int64_t low, int64_t high) {
  const bool is_whole = value.is_number_integer() &&
                        !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
  if (is_whole && value.get<int64_t>() >= low && value.get<int64_t>() <= high) {
    return value.get<int64_t>();
  }
  return bad("'{}' must be a whole number from {} to {}", name, low, high);
}

Result<std::string> text(const Json& value, std::string_view name) {
  if (value.is_string()) return value.get<std::string>();
  return bad("'{}' must be a text", name);
}

Result<std::vector<TokenId>> token_ids(const Json& value, std::string_view name) {
  std::vector<TokenId> ids;
  for (const Json& item : value) {
    LLMRUN_ASSIGN(const int64_t id, whole(item, name, 0, std::numeric_limits<TokenId>::max()));
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

// ---- what the answer is made of ----------------------------------------------------------------

Result<void> read_messages_field(const Json& value, std::string_view, Row& row) {
  LLMRUN_ASSIGN(row.messages, read_messages(value));
  return {};
}

Result<void> read_prompt(const Json& value, std::string_view name, Row& row) {
  if (value.is_string()) {
    row.prompt = value.get<std::string>();
    if (row.prompt.empty()) return bad("'prompt' is empty");
    return {};
  }
  if (!value.is_array() || value.empty()) return bad("'prompt' must be a text or token ids");
  if (value.front().is_number()) {
    LLMRUN_ASSIGN(row.token_ids, token_ids(value, name));
    return {};
  }
  if (value.size() > 1)
    return bad("several prompts in one line are not supported: give each one a line");
  return read_prompt(value.front(), name, row);
}

Result<void> read_embedding_input(const Json& value, std::string_view name, Row& row) {
  const Json list = value.is_array() ? value : Json::array({value});
  if (list.empty()) return bad("'input' holds no text");
  for (const Json& item : list) {
    if (!item.is_string()) return bad("'input' must be a text or a list of texts");
    LLMRUN_ASSIGN(row.texts.emplace_back(), text(item, name));
  }
  return {};
}

Result<void> read_template_variables(const Json& value, std::string_view name, Row& row) {
  if (!value.is_object()) return bad("'{}' must be an object", name);
  row.render.variables_json = to_text(value);
  return {};
}

// ---- sampling ----------------------------------------------------------------------------------

// kTenth: the range is given in tenths, so that it can be a template argument.
template <float SamplingOptions::*member, int low_tenths, int high_tenths>
Result<void> read_number(const Json& value, std::string_view name, Row& row) {
  constexpr double kLow = low_tenths / 10.0;
  constexpr double kHigh = high_tenths / 10.0;
  if (!value.is_number() || !(value.get<double>() >= kLow && value.get<double>() <= kHigh)) {
    return bad("'{}' must be a number from {} to {}", name, kLow, kHigh);
  }
  row.sampling.numbers.emplace_back(member, value.get<float>());
  return {};
}

Result<void> read_top_k(const Json& value, std::string_view name, Row& row) {
  // -1 is how other programs write "off".
  LLMRUN_ASSIGN(const int64_t top_k, whole(value, name, -1, std::numeric_limits<int32_t>::max()));
  row.sampling.top_k = static_cast<int32_t>(std::max<int64_t>(0, top_k));
  return {};
}

Result<void> read_seed(const Json& value, std::string_view name, Row& row) {
  if (value.is_number_unsigned()) {
    row.sampling.seed = value.get<uint64_t>();
    return {};
  }
  LLMRUN_ASSIGN(const int64_t seed, whole(value, name, INT64_MIN, INT64_MAX));
  row.sampling.seed = static_cast<uint64_t>(seed);
  return {};
}

Result<void> read_logit_bias(const Json& value, std::string_view name, Row& row) {
  if (!value.is_object()) return bad("'{}' must be an object of token ids and numbers", name);
  for (const auto& [key, bias] : value.items()) {
    TokenId id = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
    if (key.empty() || parsed.ec != std::errc() || parsed.ptr != key.data() + key.size()) {
      return bad("'{}' has the key '{}', which is no token id", name, key);
    }
    if (!bias.is_number() || !(bias.get<double>() >= -100 && bias.get<double>() <= 100)) {
      return bad("'{}' of token {} must be a number from -100 to 100", name, id);
    }
    row.sampling.logit_bias.emplace_back(id, bias.get<float>());
  }
  return {};
}

// ---- where the answer ends ---------------------------------------------------------------------

Result<void> read_max_tokens(const Json& value, std::string_view name, Row& row) {
  LLMRUN_ASSIGN(const int64_t most, whole(value, name, 1, std::numeric_limits<int32_t>::max()));
  if (row.max_tokens && *row.max_tokens != most) {
    return bad("'max_tokens' and 'max_completion_tokens' contradict each other");
  }
  row.max_tokens = most;
  return {};
}

Result<void> read_stop(const Json& value, std::string_view name, Row& row) {
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& item : list) {
    LLMRUN_ASSIGN(std::string stop, text(item, name));
    if (stop.empty()) return bad("'stop' holds an empty text");
    row.stop.push_back(std::move(stop));
  }
  return {};
}

Result<void> read_ignore_end(const Json& value, std::string_view name, Row& row) {
  if (!value.is_boolean()) return bad("'{}' must be true or false", name);
  row.ignore_end = value.get<bool>();
  return {};
}

// ---- embeddings --------------------------------------------------------------------------------

Result<void> read_encoding(const Json& value, std::string_view name, Row& row) {
  LLMRUN_ASSIGN(const std::string format, text(value, name));
  if (format != "float" && format != "base64") return bad("'{}' must be float or base64", name);
  row.base64 = format == "base64";
  return {};
}

Result<void> read_dimensions(const Json& value, std::string_view name, Row& row) {
  LLMRUN_ASSIGN(row.embed.dimensions, whole(value, name, 1, 1 << 20));
  return {};
}

// ---- fields that have one value here -----------------------------------------------------------

Result<void> must_be_one(const Json& value, std::string_view name, Row&) {
  if (value.is_number_integer() && value == 1) return {};
  return bad("'{}' other than 1 is not supported: give each answer a line of its own", name);
}

Result<void> must_be_off(const Json& value, std::string_view name, Row&) {
  const bool is_off = value == false || value == 0 || value == "" || value == "none" ||
                      ((value.is_array() || value.is_object()) && value.empty());
  if (is_off) return {};
  return bad("'{}' is not supported in a batch", name);
}

Result<void> must_be_text_format(const Json& value, std::string_view name, Row&) {
  if (value.is_object() && value.size() == 1 && value.value("type", Json()) == "text") return {};
  return bad("'{}' other than {{\"type\":\"text\"}} is not supported in a batch", name);
}

// Labels for the caller's own use, and the model, which the reader of lines takes.
Result<void> any(const Json&, std::string_view, Row&) { return {}; }

using S = SamplingOptions;
constexpr Field kFields[] = {
    {"model", kAll, any},
    {"user", kAll, any},
    {"metadata", kAll, any},
    {"messages", kChat, read_messages_field},
    {"prompt", kCompletion, read_prompt},
    {"input", kEmbedding, read_embedding_input},
    {"chat_template_kwargs", kChat, read_template_variables},
    {"max_tokens", kText, read_max_tokens},
    {"max_completion_tokens", kChat, read_max_tokens},
    {"stop", kText, read_stop},
    {"ignore_eos", kText, read_ignore_end},
    {"temperature", kText, read_number<&S::temperature, 0, 1000>},
    {"top_p", kText, read_number<&S::top_p, 0, 10>},
    {"top_k", kText, read_top_k},
    {"min_p", kText, read_number<&S::min_p, 0, 10>},
    {"seed", kText, read_seed},
    {"presence_penalty", kText, read_number<&S::presence_penalty, -1000, 1000>},
    {"frequency_penalty", kText, read_number<&S::frequency_penalty, -1000, 1000>},
    {"repetition_penalty", kText, read_number<&S::repeat_penalty, 1, 1000>},
    {"repeat_penalty", kText, read_number<&S::repeat_penalty, 1, 1000>},
    {"logit_bias", kText, read_logit_bias},
    {"encoding_format", kEmbedding, read_encoding},
    {"dimensions", kEmbedding, read_dimensions},
    {"n", kText, must_be_one},
    {"best_of", kCompletion, must_be_one},
    {"response_format", kChat, must_be_text_format},
    {"stream", kText, must_be_off},
    {"stream_options", kText, must_be_off},
    {"logprobs", kText, must_be_off},
    {"top_logprobs", kChat, must_be_off},
    {"echo", kCompletion, must_be_off},
    {"suffix", kCompletion, must_be_off},
    {"tools", kChat, must_be_off},
    {"tool_choice", kChat, must_be_off},
};

const Field* find_field(std::string_view name) {
  for (const Field& field : kFields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

constexpr std::string_view kNeeded[] = {"messages", "prompt", "input"};  // of each endpoint

}  // namespace

Result<void> read_body(const Json& body, Row& row) {
  const auto endpoint = static_cast<unsigned>(row.endpoint);
  for (const auto& [name, value] : body.items()) {
    const Field* const field = find_field(name);
    if (field == nullptr || (field->endpoints & (1U << endpoint)) == 0) {
      return bad("the field '{}' of the body is not known{}", name,
                 field == nullptr ? "" : " to this url");
    }
    if (!value.is_null()) LLMRUN_TRY(field->read(value, name, row));
  }
  const std::string_view needed = kNeeded[endpoint];
  if (!body.contains(needed) || body[std::string(needed)].is_null()) {
    return bad("the body has no '{}'", needed);
  }
  return {};
}

}  // namespace llmrun::batch
