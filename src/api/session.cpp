// Session: one conversation's cache, and answers from it.
#include <fmt/format.h>

#include <algorithm>

#include "api/fit_chat.h"
#include "api/model_impl.h"
#include "api/open_file.h"
#include "api/receipt.h"
#include "base/error.h"
#include "llmrun/model.h"

namespace llmrun {

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfTurn:
      return "end";
    case StopReason::kStopString:
      return "stop";
    case StopReason::kTokenLimit:
      return "limit";
    case StopReason::kContextFull:
      return "context";
    case StopReason::kCancelled:
      return "cancelled";
    case StopReason::kLoop:
      return "loop";
  }
  return "unknown";
}

Result<void> check_writes_text(const ModelImpl& model) {
  const runtime::ModelSpec& spec = model.model->spec();
  if (spec.causal) return {};
  return make_error(ErrorCode::kUnsupported,
                    "{} models see their whole text at once and cannot write token by token; "
                    "`llmrun logits` shows what they think of a text",
                    spec.architecture);
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Generation> Session::chat(std::span<const Message> messages, const GenerateOptions& options,
                                 const StreamCallback& on_text, const RenderOptions& render) {
  const int64_t size = context_tokens();
  LLMRUN_ASSIGN(const FittedChat fitted, fit_chat(*impl_->model, messages, render, options, size));
  GenerateOptions keeping = options;
  keeping.keep_tokens = std::max(options.keep_tokens, fitted.keep_tokens);
  LLMRUN_ASSIGN(Generation generation,
                complete(fitted.chat.tokens, keeping, on_text, fitted.chat.text));
  generation.usage.dropped += fitted.n_dropped;
  if (impl_->answered) {
    LLMRUN_ASSIGN(TemplateChoice choice,
                  choose_template(impl_->model->file, render.template_override,
                                  !render.tools_json.empty(), impl_->model->go_template));
    impl_->answered->template_source = std::move(choice.source);
  }
  return generation;
}

Result<Generation> Session::complete(std::span<const TokenId> prompt,
                                     const GenerateOptions& options, const StreamCallback& on_text,
                                     std::string_view text_before) {
  LLMRUN_TRY(check_writes_text(*impl_->model));
  impl_->cancelled = false;
  impl_->answered.reset();
  engine::Request request;
  request.prompt.assign(prompt.begin(), prompt.end());
  request.options = options;
  request.on_text = on_text;
  request.text_before = text_before;
  auto generation = impl_->engine->run(std::move(request), impl_->cancelled);
  if (generation && options.hash_logits) {
    impl_->answered = {{prompt.begin(), prompt.end()}, options, "", *generation};
  }
  return generation;
}

Result<std::string> Session::receipt(std::string_view model_name) const {
  if (!impl_->answered) {
    return make_error(ErrorCode::kUsage,
                      "There is no answer to write a receipt of: ask for one with hash_logits.");
  }
  const Impl::Answered& answered = *impl_->answered;
  return receipt_json(*impl_->model, {.model_name = model_name,
                                      .context = &impl_->options,
                                      .context_tokens = context_tokens(),
                                      .prompt = &answered.prompt,
                                      .options = &answered.options,
                                      .generation = &answered.generation,
                                      .template_source = answered.template_source});
}

std::string Session::why_not_kept() const {
  const engine::PrefixStore* store = impl_->engine->store();
  return store != nullptr ? store->why_not_saved() : "";
}

Result<void> Session::logits(std::span<const TokenId> tokens, const LogitsCallback& on_rows) {
  impl_->cancelled = false;
  return impl_->engine->logits(tokens, on_rows, impl_->cancelled);
}

void Session::cancel() noexcept { impl_->cancelled.store(true, std::memory_order_relaxed); }
void Session::clear() { impl_->engine->clear(); }
int64_t Session::cached_tokens() const { return impl_->engine->cached_tokens(); }
int64_t Session::context_tokens() const { return impl_->context->options().context_tokens; }
const MemoryEstimate& Session::memory() const { return impl_->memory; }

}  // namespace llmrun
