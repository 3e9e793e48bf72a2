// A model's chat template (Jinja text that ships with the model, or the Go text of a model's
// template layer), compiled once and rendered for each conversation. The result says which bytes
// came from the template and which from the conversation, so that special tokens spelled by a user
// are never parsed as special.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::chat {

// A range of RenderedText::text, [begin, end) in bytes. Trusted: written by the template (or its
// bos/eos tokens, role names); special tokens may be parsed here. Untrusted: message contents,
// tool descriptions, further variables; here "<|im_end|>" is plain text. A special token is only
// special when all its bytes lie in one trusted segment.
struct Segment {
  size_t begin = 0;
  size_t end = 0;
  bool trusted = false;
};

struct RenderedText {
  std::string text;
  std::vector<Segment> segments;  // cover text without gaps; neighbours differ in `trusted`
};

// Templates are programs from strangers: each render stops with an error at the first limit.
struct TemplateLimits {
  uint64_t max_steps = 20'000'000;          // expressions and statements evaluated, and work done
  uint64_t max_output_bytes = 64U << 20U;   // rendered text
  uint64_t max_memory_bytes = 512U << 20U;  // strings, lists and dictionaries that are alive
  uint32_t max_depth = 400;                 // nested evaluations: macro recursion, brackets
  uint64_t max_source_bytes = 4U << 20U;    // the template itself
};

// What a conversation is rendered with.
struct RenderInput {
  std::vector<Message> messages;
  std::string tools_json;  // a JSON array of tools as in the OpenAI API; empty: none
  // What comes after the text to be written; the last message is what comes before. Only Go
  // templates know it; empty: none.
  std::string suffix;
  bool add_generation_prompt = true;
  std::string bos_token;  // the text of the model's tokens; trusted
  std::string eos_token;
  std::string variables_json;  // a JSON object of further variables (enable_thinking …); or empty
  std::optional<std::tm> now;  // what strftime_now() tells; none: the local time
};

// For render_json(): the variables are one JSON object (messages, tools, add_generation_prompt and
// whatever else the template reads), handed to the template as they are.
struct JsonRenderInput {
  std::string_view case_json;
  std::string bos_token;
  std::string eos_token;
  std::optional<std::tm> now;
};

enum class TemplateLanguage : uint8_t { kJinja, kGo };
// Jinja unless the text has no {% and what is inside of {{ }} can only be Go: a field that begins
// with a dot, a block keyword, a variable with a dollar sign.
TemplateLanguage guess_template_language(std::string_view source);

namespace jinja {
class Template;
}
namespace go_template {
struct ChatForm;
}

// Immutable after compile(); render() may run on several threads at once.
class ChatTemplate {
 public:
  // `name` stands in error messages ("chat template of qwen2.5"). Errors: kBadModel with line and
  // column.
  static Result<ChatTemplate> compile(std::string_view source, std::string_view name,
                                      const TemplateLimits& limits = {},
                                      TemplateLanguage language = TemplateLanguage::kJinja);

  // A Go template itself decides whether the answer's beginning follows: it is always rendered up
  // to there, and add_generation_prompt, bos_token and eos_token mean nothing to it.
  // Errors: kUsage when the template itself refuses the conversation (raise_exception; its words
  // are in the message), kBadModel when the template is wrong or exceeds a limit.
  Result<RenderedText> render(const RenderInput& input) const;
  Result<RenderedText> render_json(const JsonRenderInput& input) const;

  const std::string& name() const { return name_; }
  const std::string& source() const { return source_; }

 private:
  ChatTemplate() = default;
  Result<RenderedText> render_go_json(const JsonRenderInput& input) const;

  std::string name_;
  std::string source_;
  TemplateLimits limits_;
  std::shared_ptr<const jinja::Template> template_;  // of Jinja
  std::shared_ptr<const go_template::ChatForm> go_;  // of Go
};

// "2026-01-02T03:04:05" (or with a blank, or only the date) as a broken-down time for `now`.
Result<std::tm> parse_iso_time(std::string_view text);

}  // namespace llmrun::chat
