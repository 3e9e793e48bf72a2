// Two models over the same text, in step: rows of logits are compared as they are computed, so
// that no vocabulary times text is ever stored.
#include <algorithm>
#include <cmath>

#include "api/model_impl.h"
#include "api/open_file.h"
#include "api/score.h"
#include "base/error.h"

namespace llmrun {
namespace {

// A model that reads windows.
class Reader {
 public:
  static Result<Reader> open(const Model& model, int64_t context_tokens) {
    Reader reader;
    LLMRUN_ASSIGN(runtime::Model * weights, Access::of(model).need_weights());
    LLMRUN_ASSIGN(const auto wanted,
                  context_options(perplexity_context(context_tokens), weights->spec()));
    LLMRUN_ASSIGN(reader.context_, weights->new_context(wanted));
    return reader;
  }

  Result<void> begin() {
    if (sequence_) context_->close_sequence(*sequence_);
    LLMRUN_ASSIGN(sequence_, context_->open_sequence());
    return {};
  }
  // Rows of logits for the tokens, or none.
  Result<runtime::Logits> read(std::span<const TokenId> tokens, bool with_logits) {
    runtime::Batch batch;
    batch.chunks.push_back(
        {*sequence_, tokens,
         with_logits ? runtime::WantedLogits::kAll : runtime::WantedLogits::kNone});
    return context_->forward(batch);
  }
  [[nodiscard]] int64_t batch_tokens() const { return context_->options().batch_tokens; }
  [[nodiscard]] int64_t logits_rows() const { return context_->options().logits_rows; }

 private:
  std::unique_ptr<runtime::Context> context_;
  std::optional<runtime::SequenceId> sequence_;
};

std::span<const float> row_of(const runtime::Logits& logits, int64_t i) {
  return {logits.data + i * logits.n_vocab, static_cast<size_t>(logits.n_vocab)};
}

BenchOptions speed_test(const CompareOptions& options) {
  BenchOptions speed;
  speed.prompt_tokens.clear();
  speed.decode_tokens.clear();
  if (options.prompt_tokens > 0) speed.prompt_tokens = {options.prompt_tokens};
  if (options.decode_tokens > 0) speed.decode_tokens = {options.decode_tokens};
  speed.repetitions = options.repetitions;
  return speed;
}

// What the two have in common over a text.
struct Sums {
  Sample base_nll, other_nll, difference;
  AgreementSums agreement;

  void add(std::span<const float> base, std::span<const float> other, TokenId next) {
    const double p = negative_log_likelihood(base, next);
    const double q = negative_log_likelihood(other, next);
    base_nll.add(p);
    other_nll.add(q);
    difference.add(q - p);
    agreement.add(kl_divergence(base, other), most_probable(base) == most_probable(other));
  }
};

class Comparer {
 public:
  Comparer(const Model& base, const Model& other, const CompareOptions& options)
      : base_(base), other_(other), options_(options) {}

  Result<Comparison> run() {
    Comparison result;
    LLMRUN_ASSIGN(result.base, describe(base_));
    LLMRUN_ASSIGN(result.other, describe(other_));
    LLMRUN_ASSIGN(const Windows windows,
                  cut_windows(base_, options_.text, options_.context_tokens));
    LLMRUN_ASSIGN(const Windows others,
                  cut_windows(other_, options_.text, options_.context_tokens));
    if (windows.tokens == others.tokens && windows.bos == others.bos &&
        base_.info().vocabulary_size == other_.info().vocabulary_size) {
      LLMRUN_TRY(read_in_step(windows, result));
    } else {
      LLMRUN_ASSIGN(result.base.perplexity, perplexity_alone(base_));
      LLMRUN_ASSIGN(result.other.perplexity, perplexity_alone(other_));
    }
    LLMRUN_TRY(measure_speed(base_, result.base));
    LLMRUN_TRY(measure_speed(other_, result.other));
    return result;
  }

 private:
  Result<void> tell(std::string_view what, double share) const {
    return options_.progress ? options_.progress(what, share) : Result<void>();
  }

  Result<ComparedModel> describe(const Model& model) const {
    ComparedModel compared;
    const ModelInfo& info = model.info();
    compared.path = info.path;
    compared.name = info.name;
    compared.file_bytes = info.file_bytes;
    compared.bits_per_weight = info.bits_per_weight;
    ContextOptions context;
    context.context_tokens = options_.context_tokens;
    LLMRUN_ASSIGN(const MemoryEstimate memory, estimate_memory(info.path, context));
    compared.memory_bytes = memory.total_bytes;
    return compared;
  }

  Result<Perplexity> perplexity_alone(const Model& model) const {
    return perplexity(model, options_.text, options_.context_tokens,
                      [&](const Perplexity&, double share) { return tell("reading", share); });
  }

  Result<void> read_in_step(const Windows& windows, Comparison& result) const {
    LLMRUN_ASSIGN(Reader base, Reader::open(base_, windows.length));
    LLMRUN_ASSIGN(Reader other, Reader::open(other_, windows.length));
    Sums sums;
    const int64_t n_windows = windows.n_windows();
    for (int64_t w = 0; w < n_windows; ++w) {
      LLMRUN_TRY(base.begin());
      LLMRUN_TRY(other.begin());
      LLMRUN_TRY(read_window(windows.window(w), base, other, sums));
      LLMRUN_TRY(tell("reading", static_cast<double>(w + 1) / static_cast<double>(n_windows)));
    }
    result.base.perplexity = perplexity_of(sums.base_nll, n_windows);
    result.other.perplexity = perplexity_of(sums.other_nll, n_windows);
    result.agreement = sums.agreement.result();
    result.perplexity_ratio = sums.difference.exp_result();
    return {};
  }

  // The first half is context only; from there on every token predicts the next one.
  static Result<void> read_window(const std::vector<TokenId>& window, Reader& base, Reader& other,
                                  Sums& sums) {
    const auto size = static_cast<int64_t>(window.size());
    const int64_t first_scored = size / 2 - 1;
    const std::span tokens(window);
    for (int64_t at = 0; at < size - 1;) {
      const bool scored = at >= first_scored;
      const int64_t end = scored ? size - 1 : first_scored;
      const int64_t n = std::min(
          {end - at, scored ? base.logits_rows() : base.batch_tokens(), other.batch_tokens()});
      const auto part = tokens.subspan(static_cast<size_t>(at), static_cast<size_t>(n));
      LLMRUN_ASSIGN(const runtime::Logits p, base.read(part, scored));
      LLMRUN_ASSIGN(const runtime::Logits q, other.read(part, scored));
      for (int64_t i = 0; scored && i < n; ++i) {
        sums.add(row_of(p, i), row_of(q, i), window[static_cast<size_t>(at + i + 1)]);
      }
      at += n;
    }
    return {};
  }

  Result<void> measure_speed(const Model& model, ComparedModel& compared) const {
    const BenchOptions speed = speed_test(options_);
    if (speed.prompt_tokens.empty() && speed.decode_tokens.empty()) return {};
    LLMRUN_TRY(tell("timing", 1.0));
    LLMRUN_ASSIGN(const auto results, bench(model, speed, MachinePeak()));
    for (const BenchResult& result : results) {
      double& rate = result.test.starts_with("pp") ? compared.prompt_tokens_per_second
                                                   : compared.decode_tokens_per_second;
      rate = result.tokens_per_second;
    }
    return {};
  }

  const Model& base_;
  const Model& other_;
  const CompareOptions& options_;
};

}  // namespace

Result<Comparison> compare_models(const std::filesystem::path& base,
                                  const std::filesystem::path& other,
                                  const CompareOptions& options) {
  LoadOptions load = options.load;
  load.context = perplexity_context(
      std::max(options.context_tokens, bench_context(speed_test(options)).context_tokens));
  LLMRUN_ASSIGN(const Model first, Model::open(base, load));
  LLMRUN_ASSIGN(const Model second, Model::open(other, load));
  return Comparer(first, second, options).run();
}

}  // namespace llmrun
