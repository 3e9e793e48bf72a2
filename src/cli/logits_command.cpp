// `llmrun logits`: raw logits of every position, streamed to disk as they are computed.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/file_io.h"
#include "base/npy.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "cli/token_input.h"
#include "llmrun/model.h"

namespace llmrun::cli {
namespace {

// The K most probable ids of a row, best first (lowest id on a tie), and their log-probabilities.
struct TopRow {
  std::vector<int32_t> ids;
  std::vector<float> log_probabilities;
};

TopRow top_of_row(std::span<const float> logits, size_t k) {
  TopRow row;
  row.ids.resize(logits.size());
  std::iota(row.ids.begin(), row.ids.end(), 0);
  const auto better = [logits](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(row.ids.begin(), row.ids.begin() + static_cast<std::ptrdiff_t>(k),
                    row.ids.end(), better);
  const double highest = logits[static_cast<size_t>(row.ids[0])];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest);
  const double log_sum = highest + std::log(sum);
  row.ids.resize(k);
  for (const int32_t id : row.ids) {
    row.log_probabilities.push_back(
        static_cast<float>(static_cast<double>(logits[static_cast<size_t>(id)]) - log_sum));
  }
  return row;
}

// Where rows go.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Result<void> write_row(int64_t position, std::span<const float> logits) = 0;
  virtual Result<void> commit() = 0;
};

class LogitsFile : public RowSink {
 public:
  explicit LogitsFile(NpyWriter writer) : writer_(std::move(writer)) {}
  static Result<std::unique_ptr<RowSink>> create(const std::string& path, uint64_t n_tokens,
                                                 uint64_t n_vocab) {
    const uint64_t shape[] = {n_tokens, n_vocab};
    LLMRUN_ASSIGN(NpyWriter writer, NpyWriter::create(path, NpyType::kFloat32, shape));
    return std::make_unique<LogitsFile>(std::move(writer));
  }
  Result<void> write_row(int64_t, std::span<const float> logits) override {
    return writer_.write(logits);
  }
  Result<void> commit() override { return writer_.commit(); }

 private:
  NpyWriter writer_;
};

// STEM.ids.npy (int32) and STEM.logprobs.npy (float32), both [n_tokens, K].
class TopFiles : public RowSink {
 public:
  TopFiles(NpyWriter ids, NpyWriter log_probabilities, size_t k)
      : ids_(std::move(ids)), log_probabilities_(std::move(log_probabilities)), k_(k) {}
  static Result<std::unique_ptr<RowSink>> create(const std::string& path, uint64_t n_tokens,
                                                 size_t k) {
    const std::string stem = path.ends_with(".npy") ? path.substr(0, path.size() - 4) : path;
    const uint64_t shape[] = {n_tokens, k};
    LLMRUN_ASSIGN(NpyWriter ids, NpyWriter::create(stem + ".ids.npy", NpyType::kInt32, shape));
    LLMRUN_ASSIGN(NpyWriter log_probabilities,
                  NpyWriter::create(stem + ".logprobs.npy", NpyType::kFloat32, shape));
    return std::make_unique<TopFiles>(std::move(ids), std::move(log_probabilities), k);
  }
  Result<void> write_row(int64_t, std::span<const float> logits) override {
    const TopRow row = top_of_row(logits, k_);
    LLMRUN_TRY(ids_.write(std::span<const int32_t>(row.ids)));
    return log_probabilities_.write(std::span<const float>(row.log_probabilities));
  }
  Result<void> commit() override {
    LLMRUN_TRY(ids_.commit());
    return log_probabilities_.commit();
  }

 private:
  NpyWriter ids_, log_probabilities_;
  size_t k_;
};

// One JSON object per position, to a file or to stdout.
class TopLines : public RowSink {
 public:
  TopLines(std::optional<AtomicFile> file, std::vector<TokenId> tokens, size_t k)
      : file_(std::move(file)), tokens_(std::move(tokens)), k_(k) {}
  Result<void> write_row(int64_t position, std::span<const float> logits) override {
    const TopRow row = top_of_row(logits, k_);
    const Json line = {{"position", position},
                       {"token", tokens_[static_cast<size_t>(position)]},
                       {"ids", row.ids},
                       {"logprobs", row.log_probabilities}};
    const std::string text = to_text(line) + "\n";
    if (file_) return file_->write(text);
    write_out(text);
    return {};
  }
  Result<void> commit() override { return file_ ? file_->commit() : Result<void>(); }

 private:
  std::optional<AtomicFile> file_;
  std::vector<TokenId> tokens_;
  size_t k_;
};

class LogitsCommand : public Command {
 public:
  LogitsCommand() {
    description =
        "Writes float32 logits of shape [n_tokens, n_vocab]: row i is what the model says after "
        "token i. Keys and values are kept in F32 unless --kv-type says otherwise.\n\n"
        "With --top K only the K best ids and their natural log-probabilities are written: as JSON "
        "lines {\"position\",\"token\",\"ids\",\"logprobs\"} when the output is '-' or ends in "
        ".jsonl, else as two arrays of shape [n_tokens, K], NAME.ids.npy (int32) and "
        "NAME.logprobs.npy (float32).";
    options.add_model_argument(&model_);
    options.add_text("ids", 0, "IDS", "token ids: \"1 2 3\"; '-': from standard input", &ids_);
    options.add_text("prompt", 'p', "TEXT", "text to tokenize", &prompt_);
    options.add_file("file", 'f', "a file of text to tokenize", &file_);
    options.add_switch("no-special", 0, "add no BOS or EOS to the text", &no_special_);
    options.add_switch("parse-special", 0, "read special tokens written in the text",
                       &parse_special_);
    options.add_file("output", 'o', "where to write; '-' with --top: standard output", &output_);
    options.add_integer("top", 0, "K", "write only the K best ids and log-probabilities", &top_,
                        {1, int64_t{1} << 24});
    options.start_group("Computing");
    load_.add_to(options);
    context_.add_to(options, false);
    context_.context.k_type = "f32";
    context_.context.v_type = "f32";
    options.find("kv-type")->help = "type of the cached keys and values (default: f32)";
    options.start_group("Options");
    add_json_option();
    examples = {{"llmrun logits m.gguf --ids \"1 2 3\" -o out.npy", "of three tokens"},
                {"llmrun logits smollm2:135m --file book.txt --top 64 -o labels.npy",
                 "soft labels of a teacher"},
                {"llmrun logits smollm2:135m --prompt \"The sky is\" --top 5 -o -",
                 "what comes next, on the terminal"}};
  }

  Result<void> execute() override {
    LLMRUN_TRY(check());
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.find(model_));
    // How many tokens there are is known before the model is loaded: a GPU has room for them.
    LLMRUN_ASSIGN(const std::vector<TokenId> tokens, read_tokens(path));
    context_.context.context_tokens = static_cast<int64_t>(tokens.size());
    load_.load.context = context_.context;
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    LLMRUN_ASSIGN(Session session, model.new_session(context_.context));

    const auto n_vocab = static_cast<uint64_t>(model.info().vocabulary_size);
    LLMRUN_ASSIGN(const std::unique_ptr<RowSink> sink, open_sink(tokens, n_vocab));
    const InterruptGuard guard(&session);
    const auto on_rows = [&](int64_t first, int64_t n_rows,
                             std::span<const float> rows) -> Result<void> {
      LLMRUN_TRY(InterruptGuard::check());
      if (rows.size() != static_cast<uint64_t>(n_rows) * n_vocab) {
        return make_error(ErrorCode::kInternal, "{} logits came for {} rows of {}", rows.size(),
                          n_rows, n_vocab);
      }
      for (int64_t row = 0; row < n_rows; ++row) {
        LLMRUN_TRY(sink->write_row(first + row,
                                   rows.subspan(static_cast<uint64_t>(row) * n_vocab, n_vocab)));
      }
      return {};
    };
    LLMRUN_TRY(session.logits(tokens, on_rows));
    LLMRUN_TRY(InterruptGuard::check());
    LLMRUN_TRY(sink->commit());
    if (json) {
      const Json out = {
          {"file", output_}, {"n_tokens", tokens.size()}, {"n_vocab", n_vocab}, {"tokens", tokens}};
      print_json_text(to_text(out), to_text(out));
    }
    return {};
  }

 private:
  [[nodiscard]] Result<void> check() const {
    const int sources = static_cast<int>(options.given("ids")) +
                        static_cast<int>(options.given("prompt")) +
                        static_cast<int>(options.given("file"));
    if (sources != 1) {
      return make_error(ErrorCode::kUsage, "give one of --ids, --prompt and --file");
    }
    if (options.given("ids") && (no_special_ || parse_special_)) {
      return make_error(ErrorCode::kUsage,
                        "--no-special and --parse-special have no effect on ids");
    }
    if (output_.empty()) return make_error(ErrorCode::kUsage, "-o FILE is missing");
    if (output_ == "-" && (top_ == 0 || json)) {
      return make_error(ErrorCode::kUsage,
                        "an array cannot go to standard output; give -o FILE.npy");
    }
    return {};
  }

  Result<std::vector<TokenId>> read_tokens(const std::filesystem::path& path) {
    std::vector<TokenId> tokens;
    if (options.given("ids")) {
      std::string list = ids_;
      if (ids_ == "-") {
        LLMRUN_ASSIGN(list, read_stdin());
      }
      LLMRUN_ASSIGN(tokens, parse_ids(list));
    } else {
      std::string text = prompt_;
      if (options.given("file")) {
        LLMRUN_ASSIGN(text, read_input(file_));
      }
      LLMRUN_ASSIGN(const Model vocabulary, Model::open_vocabulary(path));
      LLMRUN_ASSIGN(tokens, vocabulary.tokenize(text, {.add_special = !no_special_,
                                                       .parse_special = parse_special_}));
    }
    if (tokens.empty()) return make_error(ErrorCode::kUsage, "there are no tokens to read");
    return tokens;
  }

  Result<std::unique_ptr<RowSink>> open_sink(const std::vector<TokenId>& tokens,
                                             uint64_t n_vocab) const {
    if (top_ == 0) return LogitsFile::create(output_, tokens.size(), n_vocab);
    const size_t k = std::min(static_cast<uint64_t>(top_), n_vocab);
    if (output_ == "-") return std::make_unique<TopLines>(std::nullopt, tokens, k);
    if (output_.ends_with(".jsonl")) {
      LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(output_));
      return std::make_unique<TopLines>(std::move(file), tokens, k);
    }
    return TopFiles::create(output_, tokens.size(), k);
  }

  std::string model_, ids_, prompt_, file_, output_;
  int64_t top_ = 0;
  bool no_special_ = false, parse_special_ = false;
  LoadFlags load_;
  ContextFlags context_;
};

}  // namespace

std::unique_ptr<Command> make_logits_command() { return std::make_unique<LogitsCommand>(); }

}  // namespace llmrun::cli
