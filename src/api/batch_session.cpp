// BatchSession: the engine with many requests in it.
#include "llmrun/batch_session.h"

#include <algorithm>
#include <utility>

#include "api/model_impl.h"
#include "base/error.h"

namespace llmrun {
namespace {

engine::Request to_engine(BatchRequest request) {
  engine::Request wanted;
  wanted.prompt = std::move(request.prompt);
  wanted.options = std::move(request.options);
  wanted.text_before = std::move(request.text_before);
  wanted.begun = std::move(request.begun);
  return wanted;
}

}  // namespace

struct BatchSession::Impl {
  struct Entry {
    uint64_t id = 0;
    engine::Sequence* sequence = nullptr;
  };

  Session session;
  std::vector<Entry> entries;  // in the order they came

  [[nodiscard]] engine::Engine& engine() const { return *Access::of(session).engine; }
};

Result<void> check_request(const Model& model, const BatchRequest& request,
                           int64_t context_tokens) {
  const ModelImpl& impl = Access::of(model);
  const int64_t n_vocab =
      impl.model != nullptr ? impl.model->spec().n_vocab : impl.info.vocabulary_size;
  engine::Request wanted = to_engine(request);
  LLMRUN_TRY(engine::Sequence::check(wanted, {impl.tokenizer.get(), n_vocab}, context_tokens));
  return {};
}

BatchSession::BatchSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BatchSession::BatchSession(BatchSession&&) noexcept = default;
BatchSession& BatchSession::operator=(BatchSession&&) noexcept = default;
BatchSession::~BatchSession() = default;

Result<BatchSession> BatchSession::open(const Model& model, const ContextOptions& options) {
  LLMRUN_ASSIGN(Session session, model.new_session(options));
  LLMRUN_TRY(check_writes_text(*Access::of(session).model));
  return BatchSession(std::unique_ptr<Impl>(new Impl{std::move(session), {}}));
}

Result<void> BatchSession::submit(BatchRequest request) {
  const uint64_t id = request.id;
  LLMRUN_ASSIGN(engine::Sequence * sequence, impl_->engine().submit(to_engine(std::move(request))));
  impl_->entries.push_back({id, sequence});
  return {};
}

Result<bool> BatchSession::step() {
  auto more = impl_->engine().step();
  if (more) return more;
  // What had not begun to run ends with the others: the caller need not tell them apart.
  for (const Impl::Entry& entry : impl_->entries) {
    if (!entry.sequence->done()) entry.sequence->fail(more.error());
    (void)impl_->engine().take(entry.sequence);
  }
  impl_->entries.clear();
  return more;
}

std::vector<BatchAnswer> BatchSession::take_finished() {
  std::vector<BatchAnswer> answers;
  std::erase_if(impl_->entries, [&](const Impl::Entry& entry) {
    if (!entry.sequence->done()) return false;
    answers.push_back({entry.id, impl_->engine().take(entry.sequence)});
    return true;
  });
  return answers;
}

std::vector<BatchProgress> BatchSession::unfinished() const {
  std::vector<BatchProgress> all;
  for (const Impl::Entry& entry : impl_->entries) {
    if (entry.sequence->done()) continue;
    all.push_back({entry.id, entry.sequence->has_read_prompt(), entry.sequence->answer()});
  }
  return all;
}

int64_t BatchSession::context_tokens() const { return impl_->session.context_tokens(); }
const MemoryEstimate& BatchSession::memory() const { return impl_->session.memory(); }

}  // namespace llmrun
