// Does the model know what it reads? The opening of a speech that every corpus holds is far from
// chance for a sound model. A RoPE base that is wrong by a small factor still reads, only worse; so
// the neighbouring bases read the same words, and none may do clearly better.
#include <algorithm>
#include <cmath>

#include "api/checkup.h"
#include "api/score.h"
#include "base/error.h"
#include "models/registry.h"
#include "runtime/model.h"

namespace llmrun::checkup {
namespace {

constexpr std::string_view kText =
    "Four score and seven years ago our fathers brought forth on this continent, a new nation, "
    "conceived in Liberty, and dedicated to the proposition that all men are created equal. Now we "
    "are engaged in a great civil war";
// Nats per token. The smallest sound models need below 3.5; guessing costs ln of the vocabulary.
constexpr double kMostOfGuessing = 0.55;
constexpr float kLeastSpread = 0.05F;  // of logits: below it, they say nothing
// A neighbouring RoPE base that is better by this, and by this many standard errors, is the right
// one.
constexpr double kClearlyBetter = 0.15;
constexpr double kStandardErrors = 1.8;

struct Reading {
  std::vector<double> nll;  // of each token but the first
  bool finite = true;
  float spread = 0;  // standard deviation of the last row of logits
};

float spread_of(std::span<const float> row) {
  double sum = 0;
  double squares = 0;
  for (const float x : row) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  const auto n = static_cast<double>(row.size());
  return static_cast<float>(std::sqrt(std::max(squares / n - sum / n * sum / n, 0.0)));
}

Result<Reading> read(runtime::Model& model, const std::vector<TokenId>& tokens) {
  const auto n = static_cast<int64_t>(tokens.size());
  runtime::ContextOptions options;
  options.context_tokens = n;
  options.batch_tokens = n;
  options.logits_rows = n;
  LLMRUN_ASSIGN(const auto context, model.new_context(options));
  LLMRUN_ASSIGN(const auto sequence, context->open_sequence());
  runtime::Batch batch;
  batch.chunks.push_back({sequence, tokens, runtime::WantedLogits::kAll});
  LLMRUN_ASSIGN(const runtime::Logits logits, context->forward(batch));
  Reading reading;
  for (int64_t i = 0; i < n; ++i) {
    const std::span row(logits.data + i * logits.n_vocab, static_cast<size_t>(logits.n_vocab));
    reading.finite = reading.finite &&
                     std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
    if (i + 1 < n) {
      reading.nll.push_back(negative_log_likelihood(row, tokens[static_cast<size_t>(i + 1)]));
    }
    reading.spread = spread_of(row);
  }
  return reading;
}

double mean_of(const std::vector<double>& values) {
  Sample sample;
  for (const double value : values) sample.add(value);
  return sample.mean();
}

// The same file read with RoPE bases `factor` times as large.
Result<Reading> read_with_base(const ModelImpl& model, const std::vector<TokenId>& tokens,
                               double factor) {
  LLMRUN_ASSIGN(runtime::ModelSpec spec, models::build_spec(model.file));
  for (runtime::Rope& rope : spec.ropes) rope.base *= factor;
  LLMRUN_ASSIGN(const auto other,
                runtime::Model::load(model.file, model.backend(), std::move(spec)));
  return read(*other, tokens);
}

void check_rope(const ModelImpl& model, const std::vector<TokenId>& tokens, const Reading& own,
                Checkup& checkup) {
  const auto& ropes = model.model->spec().ropes;
  if (ropes.empty()) return;
  std::string gains;
  for (const double factor : {0.1, 10.0}) {
    const auto other = read_with_base(model, tokens, factor);
    if (!other) return fault(checkup, "RoPE", other.error().message);
    Sample gain;
    for (size_t i = 0; i < own.nll.size(); ++i) gain.add(own.nll[i] - other->nll[i]);
    const Mean mean = gain.result();
    gains += fmt::format("{}{:+.2f} +/- {:.2f}", gains.empty() ? "" : ", ", mean.value,
                         mean.standard_error);
    if (mean.value < kClearlyBetter || mean.value < kStandardErrors * mean.standard_error) continue;
    return fault(
        checkup, "RoPE",
        fmt::format("a base of {:.0f} reads the text better by {:.2f} +/- {:.2f} nats per "
                    "token than the file's {:.0f}",
                    factor * ropes[0].base, mean.value, mean.standard_error, ropes[0].base));
  }
  good(checkup, "RoPE",
       fmt::format(
           "the base {:.0f} is no worse than a tenth and ten times of it, which gain {} nats",
           ropes[0].base, gains));
}

}  // namespace

void check_predictions(const Model& handle, Checkup& checkup) {
  const ModelImpl& model = Access::of(handle);
  if (model.tokenizer == nullptr || !model.model->spec().causal) {
    return good(checkup, "predictions", "not checked: the model does not predict text");
  }
  const auto tokens = handle.tokenize(kText);
  if (!tokens) return fault(checkup, "predictions", tokens.error().message);
  const auto reading = read(*model.model, *tokens);
  if (!reading) return fault(checkup, "predictions", reading.error().message);
  if (!reading->finite) return fault(checkup, "predictions", "logits are NaN or infinite");
  if (reading->spread < kLeastSpread) {
    return fault(checkup, "predictions", "the logits are flat: every token is as likely");
  }
  const double nll = mean_of(reading->nll);
  const double guessing = std::log(static_cast<double>(model.model->spec().n_vocab));
  const std::string numbers = fmt::format(
      "{:.2f} nats per token of a well-known text; guessing costs {:.2f}", nll, guessing);
  if (nll > kMostOfGuessing * guessing) return fault(checkup, "predictions", numbers);
  good(checkup, "predictions", numbers);
  check_rope(model, *tokens, *reading, checkup);
}

}  // namespace llmrun::checkup
