// `llmrun template`: renders a chat template over a JSON file and prints the text, nothing else.
#include <ctime>
#include <optional>

#include "base/error.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/token_input.h"
#include "llmrun/tools.h"

namespace llmrun::cli {
namespace {

// "2026-01-02T03:04:05" or "2026-01-02", as UTC.
Result<int64_t> parse_time(std::string_view text) {
  const std::string copy(text);
  std::tm parts = {};
  const char* rest = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) {
    parts = {};
    rest = strptime(copy.c_str(), "%Y-%m-%d", &parts);
  }
  if (rest != nullptr && *rest == 'Z') ++rest;
  if (rest == nullptr || *rest != '\0') {
    return make_error(ErrorCode::kUsage,
                      "--now cannot be '{}'; write the time like 2026-01-02T03:04:05", text);
  }
  return static_cast<int64_t>(timegm(&parts));
}

std::string metadata_value(const ModelInfo& info, std::string_view key) {
  for (const auto& [name, value] : info.metadata) {
    if (name == key) return value;
  }
  return "";
}

// The text of the token whose id stands under `key`; empty without one.
std::string special_token(const Model& model, std::string_view key) {
  const std::string value = metadata_value(model.info(), key);
  const auto ids = parse_ids(value);
  return ids && ids->size() == 1 ? model.token_text(ids->front()) : "";
}

// Messages with text contents only: what the built-in templates know.
Result<std::vector<Message>> plain_messages(const Json& input) {
  std::vector<Message> messages;
  const auto list = input.find("messages");
  if (list == input.end() || !list->is_array()) {
    return make_error(ErrorCode::kUsage, "--input has no array \"messages\"");
  }
  for (const Json& each : *list) {
    Message message;
    if (each.is_object() && each.contains("role") && each["role"].is_string()) {
      message.role = each["role"].get<std::string>();
    }
    if (each.is_object() && each.contains("content") && each["content"].is_string()) {
      message.content = each["content"].get<std::string>();
    }
    if (message.role.empty()) {
      return make_error(ErrorCode::kUsage, "--input: message {} has no role", messages.size());
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

class TemplateCommand : public Command {
 public:
  TemplateCommand() {
    description =
        "The input is a JSON object with \"messages\", \"tools\", \"add_generation_prompt\" and "
        "any further variable of the template. The rendered text goes to standard output as it is, "
        "without a newline at its end.";
    options
        .add_text("model", 'm', "MODEL", "take the template and the BOS and EOS of a model",
                  &model_)
        .kind = ValueKind::kModel;
    options.add_file("jinja", 0, "a Jinja template as text", &jinja_);
    options.add_file("go", 0, "a Go template as text (Ollama's form)", &go_);
    options.add_file("input", 'i', "the JSON object; '-': standard input", &input_);
    options.add_text("bos-token", 0, "S", "the text of bos_token (default: the model's)", &bos_);
    options.add_text("eos-token", 0, "S", "the text of eos_token (default: the model's)", &eos_);
    options
        .add_text("now", 0, "ISO", "the time that strftime_now tells, in UTC (default: now)",
                  nullptr)
        .set = [this](std::string_view text) -> Result<void> {
      LLMRUN_ASSIGN(now_, parse_time(text));
      return {};
    };
    fetch_.add_to(options);
    add_json_option();
    examples = {{"llmrun template --model smollm2:135m --input case.json", "what the model reads"},
                {"llmrun template --jinja chat.jinja --input case.json --bos-token '<s>'",
                 "a template that is being written"}};
  }

  Result<void> execute() override {
    const int n_given = (model_.empty() ? 0 : 1) + (jinja_.empty() ? 0 : 1) + (go_.empty() ? 0 : 1);
    if (n_given != 1) {
      return make_error(ErrorCode::kUsage, "give one of --model, --jinja and --go");
    }
    if (!go_.empty() && (options.given("bos-token") || options.given("eos-token"))) {
      return make_error(ErrorCode::kUsage,
                        "--bos-token and --eos-token have no effect with --go, whose templates do "
                        "not know them");
    }
    for (const char* name : {"yes", "offline", "insecure"}) {
      if (model_.empty() && options.given(name)) {
        return make_error(ErrorCode::kUsage, "--{} has no effect without --model", name);
      }
    }
    if (input_.empty()) return make_error(ErrorCode::kUsage, "--input FILE is missing");
    LLMRUN_ASSIGN(const std::string input, read_input(input_));
    LLMRUN_ASSIGN(const std::string text,
                  model_.empty() ? render_file(input) : render_model(input));
    if (json) {
      const Json out = {{"text", text}};
      print_json_text(to_text(out), to_text(out));
    } else {
      write_out(text);
    }
    return {};
  }

 private:
  Result<std::string> render_file(const std::string& input) {
    TemplateCase one;
    one.is_go = !go_.empty();
    one.name = one.is_go ? go_ : jinja_;
    LLMRUN_ASSIGN(one.source, read_input(one.name));
    return render(std::move(one), input);
  }

  Result<std::string> render_model(const std::string& input) {
    LoadFlags load;
    load.fetch = fetch_;
    LLMRUN_ASSIGN(const std::filesystem::path path, load.find(model_));
    LLMRUN_ASSIGN(const Model model, Model::open_vocabulary(path, load.value()));
    if (model.info().chat_template.empty()) return render_built_in(model, input);
    TemplateCase one;
    one.source = model.info().chat_template;
    one.name = fmt::format("{}: chat template", path.filename().string());
    one.bos_token = special_token(model, "tokenizer.ggml.bos_token_id");
    one.eos_token = special_token(model, "tokenizer.ggml.eos_token_id");
    return render(std::move(one), input);
  }

  Result<std::string> render(TemplateCase one, const std::string& input) {
    one.input_json = input;
    if (options.given("bos-token")) one.bos_token = bos_;
    if (options.given("eos-token")) one.eos_token = eos_;
    one.now = now_;
    return render_template(one);
  }

  // A model without a template of its own.
  Result<std::string> render_built_in(const Model& model, const std::string& input) {
    if (options.given("bos-token") || options.given("eos-token")) {
      return make_error(ErrorCode::kUsage,
                        "{} has no template of its own, and the one in use takes no --bos-token "
                        "or --eos-token",
                        model_);
    }
    Json object = Json::parse(input, nullptr, false);
    if (!object.is_object()) return make_error(ErrorCode::kUsage, "{} is no JSON object", input_);
    LLMRUN_ASSIGN(const std::vector<Message> messages, plain_messages(object));
    RenderOptions render;
    render.now = now_;
    const auto generation = object.find("add_generation_prompt");
    render.add_generation_prompt =
        generation != object.end() && generation->is_boolean() && generation->get<bool>();
    if (object.contains("tools")) render.tools_json = to_text(object["tools"]);
    LLMRUN_ASSIGN(const RenderedChat chat, model.render_chat(messages, render));
    return chat.text;
  }

  std::string model_, jinja_, go_, input_, bos_, eos_;
  std::optional<int64_t> now_;
  FetchFlags fetch_;
};

}  // namespace

std::unique_ptr<Command> make_template_command() { return std::make_unique<TemplateCommand>(); }

}  // namespace llmrun::cli
