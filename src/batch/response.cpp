// JSON of answers, vectors and errors.
#include "batch/response.h"

#include <cstring>

#include "base/error.h"
#include "base/sha256.h"
#include "batch/json.h"

namespace llmrun::batch {
namespace {

// What a client may look for, whatever the words are.
std::string_view error_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "invalid_request";
    case ErrorCode::kContextOverflow:
      return "context_length_exceeded";
    case ErrorCode::kNotFound:
      return "model_not_found";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kBadModel:
      return "bad_model";
    default:
      return "internal_error";
  }
}

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8U | (i + k < bytes.size() ? std::to_integer<uint32_t>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      const bool is_padding = i + k > bytes.size();
      text += is_padding ? '=' : kDigits[group >> (18U - 6U * static_cast<unsigned>(k)) & 63U];
    }
  }
  return text;
}

// Numbers as short as they can be read back exactly; nlohmann would write them as doubles.
std::string vector_text(const Embedding& vector, bool as_base64) {
  if (as_base64) return "\"" + base64(std::as_bytes(std::span(vector.values))) + "\"";
  std::string text;
  for (const float value : vector.values) {
    fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "[" : ",", value);
  }
  return text + "]";
}

std::string as_json_text(std::string_view text) { return to_text(Json(text)); }

// `body` is JSON already.
std::string line_around(const LineHead& head, const Row& row, std::string_view body) {
  return fmt::format(
      "{{\"id\":\"batch_req_{}\",\"custom_id\":{},\"response\":{{\"status_code\":200,"
      "\"request_id\":\"req_{}\",\"body\":{}}},\"error\":null}}",
      head.key, as_json_text(row.custom_id), head.key, body);
}

Json usage_of(const Generation& generation, int64_t shared_tokens) {
  const auto n_answer = static_cast<int64_t>(generation.tokens.size());
  return {{"prompt_tokens", generation.usage.prompt},
          {"completion_tokens", n_answer},
          {"total_tokens", generation.usage.prompt + n_answer},
          {"prompt_tokens_details", {{"cached_tokens", shared_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", generation.usage.thinking}}}};
}

}  // namespace

Result<std::string> line_key(std::string_view job_hash, int64_t line) {
  const std::string text = fmt::format("{}\n{}", job_hash, line);
  LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(text))));
  return digest.substr(0, 24);
}

std::string_view finish_reason(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfTurn:
    case StopReason::kStopString:
      return "stop";
    default:
      return "length";
  }
}

std::string answer_line(const LineHead& head, const Row& row, const Generation& generation,
                        std::string_view text, int64_t shared_tokens) {
  const bool is_chat = row.endpoint == Endpoint::kChat;
  Json choice = {{"index", 0}};
  if (is_chat) {
    Json message = {{"role", "assistant"}, {"content", text}};
    if (!generation.thinking.empty()) message["reasoning_content"] = generation.thinking;
    choice["message"] = std::move(message);
  } else {
    choice["text"] = text;
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish_reason(generation.stop_reason);
  choice["stop_reason"] = to_string(generation.stop_reason);
  const Json body = {{"id", (is_chat ? "chatcmpl-" : "cmpl-") + head.key},
                     {"object", is_chat ? "chat.completion" : "text_completion"},
                     {"created", 0},  // a time would make two runs differ
                     {"model", head.model},
                     {"choices", Json::array({choice})},
                     {"usage", usage_of(generation, shared_tokens)}};
  return line_around(head, row, to_text(body));
}

std::string embedding_line(const LineHead& head, const Row& row,
                           std::span<const Embedding> vectors) {
  std::string data;
  int64_t n_tokens = 0;
  for (size_t i = 0; i < vectors.size(); ++i) {
    data += fmt::format("{}{{\"object\":\"embedding\",\"index\":{},\"embedding\":{}}}",
                        i == 0 ? "" : ",", i, vector_text(vectors[i], row.base64));
    n_tokens += vectors[i].n_tokens;
  }
  return line_around(
      head, row,
      fmt::format("{{\"object\":\"list\",\"data\":[{}],\"model\":{},\"usage\":{{\"prompt_tokens\":"
                  "{},\"total_tokens\":{}}}}}",
                  data, as_json_text(head.model), n_tokens, n_tokens));
}

std::string error_line(const LineHead& head, const Row& row, const Error& error) {
  const std::string message =
      error.context.empty() ? error.message : error.context + ": " + error.message;
  const Json line = {{"id", "batch_req_" + head.key},
                     {"custom_id", row.custom_id.empty() ? Json() : Json(row.custom_id)},
                     {"response", nullptr},
                     {"error",
                      {{"code", error_name(error.code)},
                       {"message", fmt::format("line {}: {}", row.line, message)},
                       {"line", row.line}}}};
  return to_text(line);
}

}  // namespace llmrun::batch
