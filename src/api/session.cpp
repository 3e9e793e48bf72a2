// Session: one conversation's cache, and answers from it.
#include <fmt/format.h>

#include "api/model_impl.h"
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

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Generation> Session::chat(std::span<const Message> messages, const GenerateOptions& options,
                                 const StreamCallback& on_text, const RenderOptions& render) {
  LLMRUN_ASSIGN(const RenderedChat chat, render_chat(*impl_->model, messages, render));
  return complete(chat.tokens, options, on_text, chat.text);
}

Result<Generation> Session::complete(std::span<const TokenId> prompt,
                                     const GenerateOptions& options, const StreamCallback& on_text,
                                     std::string_view text_before) {
  const runtime::ModelSpec& spec = impl_->model->model->spec();
  if (!spec.causal) {
    return make_error(ErrorCode::kUnsupported,
                      "{} models see their whole text at once and cannot write token by token; "
                      "`llmrun logits` shows what they think of a text",
                      spec.architecture);
  }
  impl_->cancelled = false;
  engine::Request request;
  request.prompt.assign(prompt.begin(), prompt.end());
  request.options = options;
  request.on_text = on_text;
  request.text_before = text_before;
  return impl_->engine->run(std::move(request), impl_->cancelled);
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
