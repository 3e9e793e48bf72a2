// Speed of prompts and of decoding, at given depths, as shares of what the machine can do.
#include <chrono>
#include <cmath>
#include <numeric>

#include "api/model_impl.h"
#include "api/open_file.h"
#include "base/error.h"
#include "llmrun/tools.h"

namespace llmrun {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMaxTokens = int64_t{1} << 24;
constexpr int64_t kMaxSequences = 1024;

// Ids that look like text to the caches and never depend on a tokenizer.
std::vector<TokenId> some_tokens(int64_t n, int64_t n_vocab) {
  std::vector<TokenId> tokens;
  uint64_t state = 88172645463325252U;
  for (int64_t i = 0; i < n; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    tokens.push_back(static_cast<TokenId>(state % static_cast<uint64_t>(n_vocab)));
  }
  return tokens;
}

int64_t most_of(const std::vector<int64_t>& numbers, int64_t least) {
  return std::accumulate(numbers.begin(), numbers.end(), least,
                         [](int64_t a, int64_t b) { return std::max(a, b); });
}
// Of one measurement.
int64_t most_tokens(const BenchOptions& options) {
  return most_of(options.prompt_tokens, most_of(options.decode_tokens, 0));
}

class Bench {
 public:
  Bench(const ModelImpl& model, const MachinePeak& peak) : model_(model), peak_(peak) {}

  Result<void> open(const BenchOptions& options) {
    const int64_t most = most_tokens(options), depth = most_of(options.depths, 0);
    const int64_t n_sequences = most_of(options.sequences, 1);
    if (most < 1 || most > kMaxTokens || depth < 0 || depth > kMaxTokens ||
        n_sequences > kMaxSequences || options.repetitions < 1) {
      return make_error(ErrorCode::kUsage,
                        "A benchmark needs 1 to {} tokens, depths of 0 to {}, at most {} sequences "
                        "at once and 1 repetition or more.",
                        kMaxTokens, kMaxTokens, kMaxSequences);
    }
    LLMRUN_ASSIGN(runtime::Model * model, model_.need_weights());
    LLMRUN_ASSIGN(const auto wanted, context_options(bench_context(options), model->spec()));
    LLMRUN_ASSIGN(context_, model->new_context(wanted));
    for (int64_t i = 0; i < n_sequences; ++i) {
      LLMRUN_ASSIGN(const runtime::SequenceId sequence, context_->open_sequence());
      sequences_.push_back(sequence);
    }
    tokens_ = some_tokens(depth + most, model->spec().n_vocab);
    cost_ = token_cost(model_.file, model->spec());
    LLMRUN_ASSIGN(const auto plan, model->plan(wanted));
    cache_bytes_per_token_ = plan.bytes_of(runtime::PlanPart::kCache) /
                             static_cast<uint64_t>((depth + most) * n_sequences);
    return {};
  }

  // One test: `n` tokens after `depth`, in chunks of the batch size or one by one; by the first
  // n_sequences at once.
  Result<BenchResult> run(int64_t n, int64_t depth, bool decode, int64_t n_sequences,
                          int repetitions) {
    BenchResult result;
    result.test = fmt::format("{}{}", decode ? "tg" : "pp", n);
    if (depth > 0) result.test += fmt::format("@d{}", depth);
    if (n_sequences > 1) result.test += fmt::format("x{}", n_sequences);
    const auto used = std::span(sequences_).first(static_cast<size_t>(n_sequences));
    for (const runtime::SequenceId sequence : sequences_) {
      LLMRUN_TRY(context_->truncate(sequence, 0));
    }
    // The first run warms the caches and the clock of the CPU; it is not counted.
    for (int i = -1; i < repetitions; ++i) {
      LLMRUN_TRY(rewind(used, depth));
      const uint64_t barriers = model_.backend().barriers();
      const auto start = Clock::now();
      const int64_t chunk = decode ? 1 : context_->options().batch_tokens;
      const int64_t n_now = i < 0 && decode ? std::min<int64_t>(n, 16) : n;
      LLMRUN_TRY(feed(used, n_now, chunk));
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (i >= 0) result.samples.push_back(static_cast<double>(n * n_sequences) / seconds);
      const int64_t n_steps = (n_now + chunk - 1) / chunk;
      result.barriers_per_step = static_cast<double>(model_.backend().barriers() - barriers) /
                                 static_cast<double>(n_steps);
    }
    summarise(result, n, depth, decode, n_sequences);
    return result;
  }

 private:
  Result<void> rewind(std::span<const runtime::SequenceId> sequences, int64_t depth) {
    for (const runtime::SequenceId& sequence : sequences) {
      const int64_t kept = context_->restorable(sequence, depth);
      LLMRUN_TRY(context_->truncate(sequence, kept));
      LLMRUN_TRY(feed({&sequence, 1}, depth - context_->length(sequence),
                      context_->options().batch_tokens));
    }
    return {};
  }

  // `n` more tokens for each sequence, which are all of the same length.
  Result<void> feed(std::span<const runtime::SequenceId> sequences, int64_t n, int64_t chunk) {
    int64_t at = context_->length(sequences.front());
    for (const int64_t end = at + n; at < end;) {
      const int64_t now = std::min(chunk, end - at);
      runtime::Batch batch;
      for (const runtime::SequenceId sequence : sequences) {
        batch.chunks.push_back(
            {sequence,
             std::span(tokens_).subspan(static_cast<size_t>(at), static_cast<size_t>(now)),
             runtime::WantedLogits::kLast});
      }
      LLMRUN_TRY(context_->forward(batch));
      at += now;
    }
    return {};
  }

  void summarise(BenchResult& result, int64_t n, int64_t depth, bool decode,
                 int64_t n_sequences) const {
    const auto count = static_cast<double>(result.samples.size());
    double sum = 0;
    for (const double sample : result.samples) sum += sample;
    result.tokens_per_second = sum / count;
    double squares = 0;
    for (const double sample : result.samples) {
      squares += (sample - result.tokens_per_second) * (sample - result.tokens_per_second);
    }
    result.stddev = count > 1 ? std::sqrt(squares / (count - 1)) : 0;
    if (decode) {
      // On average half of the new tokens are in the cache already.
      const double cache = static_cast<double>(cache_bytes_per_token_) *
                           (static_cast<double>(depth) + static_cast<double>(n) / 2);
      // The weights are read once a step, whatever the number of sequences.
      const double weights =
          static_cast<double>(cost_.weight_bytes) / static_cast<double>(n_sequences);
      result.gigabytes_per_second = (weights + cache) * result.tokens_per_second * 1e-9;
      if (peak_.read_gigabytes_per_second > 0) {
        result.share_of_bandwidth = result.gigabytes_per_second / peak_.read_gigabytes_per_second;
      }
    } else {
      result.gigaops_per_second =
          2.0 * static_cast<double>(cost_.multiplications) * result.tokens_per_second * 1e-9;
      const bool is_float = cost_.float_bytes * 2 > cost_.weight_bytes;
      const double peak = is_float ? peak_.f32_gigaflops_per_second : peak_.int8_gigaops_per_second;
      if (peak > 0) result.share_of_peak = result.gigaops_per_second / peak;
    }
  }

  const ModelImpl& model_;
  const MachinePeak& peak_;
  std::unique_ptr<runtime::Context> context_;
  std::vector<runtime::SequenceId> sequences_;
  std::vector<TokenId> tokens_;
  TokenCost cost_;
  uint64_t cache_bytes_per_token_ = 0;
};

}  // namespace

ContextOptions bench_context(const BenchOptions& options) {
  ContextOptions context;
  context.context_tokens = most_of(options.depths, 0) + most_tokens(options);
  context.max_sequences = most_of(options.sequences, 1);
  context.logits_rows = context.max_sequences;
  return context;
}

Result<std::vector<BenchResult>> bench(const Model& model, const BenchOptions& options,
                                       const MachinePeak& peak,
                                       const std::function<void(std::string_view)>& progress) {
  Bench run(Access::of(model), peak);
  LLMRUN_TRY(run.open(options));
  std::vector<BenchResult> results;
  const auto measure = [&](int64_t n, int64_t depth, bool decode, int64_t n_sequences) {
    if (n <= 0 || n_sequences <= 0) return Result<void>();  // "-p 0": no such test
    if (progress) {
      progress(
          fmt::format("{}{} at depth {}, {} at once", decode ? "tg" : "pp", n, depth, n_sequences));
    }
    auto result = run.run(n, depth, decode, n_sequences, options.repetitions);
    if (!result) return Result<void>(tl::unexpected(result.error()));
    results.push_back(std::move(*result));
    return Result<void>();
  };
  for (const int64_t depth : options.depths) {
    for (const int64_t n : options.prompt_tokens) LLMRUN_TRY(measure(n, depth, false, 1));
    for (const int64_t n : options.decode_tokens) {
      for (const int64_t sequences : options.sequences) {
        LLMRUN_TRY(measure(n, depth, true, sequences));
      }
    }
  }
  return results;
}

}  // namespace llmrun
