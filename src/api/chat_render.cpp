// From messages to the prompt's text and tokens: which template, which variables, which bytes may
// hold special tokens.
#include <nlohmann/json.hpp>

#include "api/model_impl.h"
#include "api/open_file.h"
#include "base/error.h"
#include "chat/builtin_templates.h"
#include "chat/chat_template.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

using Json = nlohmann::ordered_json;

std::optional<std::tm> broken_down(const std::optional<int64_t>& seconds) {
  if (!seconds) return std::nullopt;
  const auto time = static_cast<time_t>(*seconds);
  std::tm parts = {};
  if (gmtime_r(&time, &parts) == nullptr) return std::nullopt;
  return parts;
}

// The caller's variables with enable_thinking among them.
Result<std::string> variables(const RenderOptions& options) {
  if (!options.enable_thinking) return options.variables_json;
  Json object = Json::object();
  if (!options.variables_json.empty()) {
    object = Json::parse(options.variables_json, nullptr, false);
    if (!object.is_object()) {
      return make_error(ErrorCode::kUsage, "The template's variables are no JSON object.");
    }
  }
  object["enable_thinking"] = *options.enable_thinking;
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

chat::TemplateLanguage language_of(bool is_go) {
  return is_go ? chat::TemplateLanguage::kGo : chat::TemplateLanguage::kJinja;
}

std::string token_text(const tokenizer::Tokenizer* tokenizer, const std::optional<TokenId>& id) {
  if (tokenizer == nullptr || !id) return {};
  return std::string(tokenizer->piece(*id, true));
}

// Special tokens count only where the template wrote them. The BOS that the model's metadata asks
// for is added unless the template wrote it; an EOS never is, because the answer follows.
Result<std::vector<TokenId>> to_tokens(const tokenizer::Tokenizer& tokenizer,
                                       const chat::RenderedText& rendered) {
  std::vector<tokenizer::Piece> pieces;
  const std::string_view text = rendered.text;
  for (const chat::Segment& segment : rendered.segments) {
    pieces.push_back({text.substr(segment.begin, segment.end - segment.begin), segment.trusted});
  }
  LLMRUN_ASSIGN(auto tokens, tokenizer.encode(pieces, {.add_special = false}));
  const auto bos = tokenizer.special().bos;
  if (tokenizer.adds_bos() && bos && (tokens.empty() || tokens.front() != *bos)) {
    tokens.insert(tokens.begin(), *bos);
  }
  return tokens;
}

}  // namespace

Result<TemplateChoice> choose_template(const gguf::File& file, const std::string& option,
                                       bool with_tools, const std::string& go_template) {
  if (!option.empty()) {
    const bool is_go = chat::guess_template_language(option) == chat::TemplateLanguage::kGo;
    return TemplateChoice{option, "template option", "option", is_go};
  }
  const gguf::Metadata& metadata = file.metadata();
  const std::string name = fmt::format("chat template of {}", file.path());
  for (const char* key : {"tokenizer.chat_template.tool_use", "tokenizer.chat_template"}) {
    const bool is_for_tools = std::string_view(key).ends_with("tool_use");
    if (!metadata.contains(key) || (is_for_tools && !with_tools)) continue;
    LLMRUN_ASSIGN(std::string source, metadata.get<std::string>(key));
    if (!source.empty()) return TemplateChoice{std::move(source), name, "model"};
  }
  if (!go_template.empty()) {
    return TemplateChoice{go_template, fmt::format("template layer of {}", file.path()),
                          kGoTemplateOrigin, true};
  }
  LLMRUN_ASSIGN(const auto architecture,
                metadata.get_or<std::string>("general.architecture", std::string()));
  if (const auto built_in = chat::builtin_template(architecture)) {
    return TemplateChoice{std::string(built_in->source),
                          fmt::format("built-in template {}", built_in->name),
                          fmt::format("built-in: {}", built_in->name)};
  }
  return make_error(ErrorCode::kUsage,
                    "This model carries no chat template, and none is known for the architecture "
                    "'{}'. Give one with --template, or complete plain text instead of chatting.",
                    architecture);
}

Result<chat::RenderedText> render_text(const ModelImpl& model, std::span<const Message> messages,
                                       const RenderOptions& options, std::string& origin) {
  LLMRUN_ASSIGN(const TemplateChoice choice,
                choose_template(model.file, options.template_override, !options.tools_json.empty(),
                                model.go_template));
  LLMRUN_ASSIGN(const auto compiled, chat::ChatTemplate::compile(choice.source, choice.name, {},
                                                                 language_of(choice.is_go)));
  chat::RenderInput input;
  input.messages.assign(messages.begin(), messages.end());
  input.tools_json = options.tools_json;
  input.add_generation_prompt = options.add_generation_prompt;
  if (model.tokenizer != nullptr) {
    input.bos_token = token_text(model.tokenizer.get(), model.tokenizer->special().bos);
    input.eos_token = token_text(model.tokenizer.get(), model.tokenizer->special().eos);
  }
  LLMRUN_ASSIGN(input.variables_json, variables(options));
  input.now = broken_down(options.now);
  origin = choice.origin;
  return compiled.render(input);
}

Result<RenderedChat> render_chat(const ModelImpl& model, std::span<const Message> messages,
                                 const RenderOptions& options) {
  LLMRUN_ASSIGN(const tokenizer::Tokenizer* tokenizer, model.need_tokenizer());
  RenderedChat chat;
  LLMRUN_ASSIGN(auto rendered, render_text(model, messages, options, chat.template_source));
  LLMRUN_ASSIGN(chat.tokens, to_tokens(*tokenizer, rendered));
  chat.text = std::move(rendered.text);
  return chat;
}

Result<RenderedChat> Model::render_chat(std::span<const Message> messages,
                                        const RenderOptions& options) const {
  return llmrun::render_chat(*impl_, messages, options);
}

Result<std::string> render_template(const TemplateCase& input) {
  LLMRUN_ASSIGN(const auto compiled, chat::ChatTemplate::compile(input.source, input.name, {},
                                                                 language_of(input.is_go)));
  LLMRUN_ASSIGN(auto rendered, compiled.render_json({input.input_json, input.bos_token,
                                                     input.eos_token, broken_down(input.now)}));
  return std::move(rendered.text);
}

Result<void> check_go_template(const std::string& source) {
  LLMRUN_TRY(chat::ChatTemplate::compile(source, "the Modelfile", {}, chat::TemplateLanguage::kGo));
  return {};
}

}  // namespace llmrun
