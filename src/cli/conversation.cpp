// Asks the session and keeps the messages in order.
#include "cli/conversation.h"

#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/interrupt.h"

namespace llmrun::cli {
namespace {

// A line on a terminal that goes away when the work is done.
class PassingNote {
 public:
  explicit PassingNote(const std::string& text) : shown_(is_terminal(STDERR_FILENO)) {
    if (shown_) (void)std::fprintf(stderr, "%s ...", text.c_str());
  }
  PassingNote(const PassingNote&) = delete;
  PassingNote& operator=(const PassingNote&) = delete;
  ~PassingNote() {
    if (shown_) (void)std::fputs("\r\x1b[K", stderr);
  }

 private:
  bool shown_;
};

// A switch that the template does not read would be ignored in silence.
Result<void> check_thinking_switch(const RunSettings& settings, const ModelInfo& info) {
  const RenderOptions& render = settings.render;
  if (!render.enable_thinking || has_thinking_switch(settings, info)) return {};
  return make_error(ErrorCode::kUsage,
                    "--{} has no effect: the chat template of this model has no switch for "
                    "thinking",
                    *render.enable_thinking ? "think" : "no-think");
}

// The parameters that travel with the model, where no option says otherwise. (Those of sampling are
// looked at when an answer is asked for.)
void take_defaults(RunSettings& settings) {
  store::RunDefaults defaults;
  const store::RunDefaults unset;
  for (const std::string& told :
       store::apply_parameters(settings.load.layers.parameters, defaults)) {
    (void)std::fprintf(stderr, "llmrun: note: %s\n", told.c_str());
  }
  if (settings.stop.empty()) settings.stop = defaults.generate.stop;
  if (!settings.max_tokens_given) settings.max_tokens = defaults.generate.max_tokens;
  if (settings.load.threads == 0) settings.load.threads = defaults.load.threads;
  ContextOptions& context = settings.context.context;
  if (context.context_tokens == 0) context.context_tokens = defaults.context.context_tokens;
  if (context.batch_tokens == unset.context.batch_tokens) {
    context.batch_tokens = defaults.context.batch_tokens;
  }
}

}  // namespace

bool has_thinking_switch(const RunSettings& settings, const ModelInfo& info) {
  std::string_view text = settings.render.template_override;
  if (text.empty()) text = info.chat_template;
  if (text.empty()) text = settings.load.load.go_template;
  return text.find("thinking") != std::string_view::npos ||
         text.find(".Think") != std::string_view::npos;
}

Result<std::unique_ptr<Conversation>> Conversation::open(RunSettings& settings, Chat chat) {
  LLMRUN_ASSIGN(const std::filesystem::path path,
                settings.load.find(settings.model, settings.context.context));
  take_defaults(settings);
  const PassingNote note("loading " + settings.model);
  LLMRUN_ASSIGN(Model model, Model::open(path, settings.load.value()));
  LLMRUN_TRY(check_thinking_switch(settings, model.info()));
  LLMRUN_ASSIGN(Session session, model.new_session(settings.context.context));
  chat.model = settings.model;
  std::unique_ptr<Conversation> conversation(
      new Conversation(settings, std::move(model), std::move(session), std::move(chat)));
  if (conversation->chat_.messages.empty() && !settings.raw) conversation->begin_chat();
  if (settings.system) conversation->set_system(*settings.system);
  return conversation;
}

void Conversation::begin_chat() {
  const store::ModelLayers& layers = settings_.load.layers;
  chat_.messages = layers.messages;
  if (layers.system) set_system(*layers.system);
}

SamplingOptions Conversation::sampling() const {
  store::RunDefaults defaults;
  defaults.generate.sampling = model_.recommended_sampling();
  (void)store::apply_parameters(settings_.load.layers.parameters, defaults);
  SamplingOptions options = std::move(defaults.generate.sampling);
  (void)apply_sampling(settings_.sampling, options);  // every value was checked when it was set
  return options;
}

GenerateOptions Conversation::generate_options() const {
  GenerateOptions options;
  options.sampling = sampling();
  options.max_tokens = settings_.max_tokens;
  options.stop = settings_.stop;
  options.ignore_end = settings_.ignore_end;
  options.on_overflow = settings_.on_overflow;
  options.loop_guard = settings_.loop_guard;
  options.hash_logits = !settings_.receipt.empty();
  return options;
}

Result<Generation> Conversation::generate(const StreamCallback& on_text,
                                          std::optional<uint64_t> seed) {
  GenerateOptions options = generate_options();
  if (seed) options.sampling.seed = seed;
  const InterruptGuard guard(session_.get());
  LLMRUN_ASSIGN(Generation generation,
                session_->chat(chat_.messages, options, on_text, settings_.render));
  last_ = generation;
  return generation;
}

Result<Generation> Conversation::ask(std::string text, const StreamCallback& on_text) {
  const size_t n_before = chat_.messages.size();
  Message question;
  question.role = "user";
  question.content = std::move(text);
  chat_.messages.push_back(std::move(question));
  n_again_ = 0;
  Result<Generation> generation = generate(on_text, std::nullopt);
  const bool said_nothing =
      generation && generation->stop_reason == StopReason::kCancelled && generation->text.empty();
  if (!generation || said_nothing) {
    chat_.messages.resize(n_before);
    return generation;
  }
  Message answer;
  answer.role = "assistant";
  answer.content = generation->text;
  answer.thinking = generation->thinking;
  chat_.messages.push_back(std::move(answer));
  return generation;
}

Result<Generation> Conversation::ask_again(const StreamCallback& on_text) {
  if (chat_.messages.empty() || chat_.messages.back().role != "assistant") {
    return make_error(ErrorCode::kUsage, "there is no answer yet");
  }
  Message old = std::move(chat_.messages.back());
  chat_.messages.pop_back();
  // A fixed seed would give the same answer again.
  std::optional<uint64_t> seed = sampling().seed;
  if (seed) *seed += ++n_again_;
  Result<Generation> generation = generate(on_text, seed);
  const bool said_nothing =
      generation && generation->stop_reason == StopReason::kCancelled && generation->text.empty();
  if (generation && !said_nothing) {
    old.content = generation->text;
    old.thinking = generation->thinking;
    old.tool_calls.clear();
  }
  chat_.messages.push_back(std::move(old));
  return generation;
}

Result<Generation> Conversation::complete(std::string_view text, const StreamCallback& on_text) {
  LLMRUN_ASSIGN(const std::vector<TokenId> tokens, model_.tokenize(text));
  const InterruptGuard guard(session_.get());
  return session_->complete(tokens, generate_options(), on_text, text);
}

std::string Conversation::take_back() {
  auto& messages = chat_.messages;
  while (!messages.empty() && messages.back().role != "user" && messages.back().role != "system") {
    messages.pop_back();
  }
  if (messages.empty() || messages.back().role != "user") return "";
  std::string question = std::move(messages.back().content);
  messages.pop_back();
  return question;
}

void Conversation::clear() {
  const std::string kept = system();
  // What was said stays in its file; what follows is a chat of its own.
  Chat fresh;
  fresh.model = chat_.model;
  fresh.sampling = chat_.sampling;
  chat_ = std::move(fresh);
  begin_chat();
  set_system(kept);
  session_->clear();
  last_.reset();
}

std::string Conversation::system() const {
  const bool has_one = !chat_.messages.empty() && chat_.messages.front().role == "system";
  return has_one ? chat_.messages.front().content : "";
}

void Conversation::set_system(std::string text) {
  auto& messages = chat_.messages;
  if (!messages.empty() && messages.front().role == "system") messages.erase(messages.begin());
  if (text.empty()) return;
  Message message;
  message.role = "system";
  message.content = std::move(text);
  messages.insert(messages.begin(), std::move(message));
}

Result<void> Conversation::set_context(int64_t n_tokens) {
  ContextOptions options = settings_.context.context;
  options.context_tokens = n_tokens;
  LLMRUN_ASSIGN(Session session, model_.new_session(options));
  settings_.context.context = options;
  session_ = std::make_unique<Session>(std::move(session));
  return {};
}

void Conversation::replace_chat(Chat chat) {
  settings_.sampling = chat.sampling;
  chat.model = settings_.model;
  chat_ = std::move(chat);
  last_.reset();
}

}  // namespace llmrun::cli
