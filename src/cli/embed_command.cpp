// `llmrun embed`.
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/line_input.h"
#include "cli/model_argument.h"
#include "cli/output.h"
#include "llmrun/embedder.h"

namespace llmrun::cli {
namespace {

// Numbers as short as they can be read back exactly; nlohmann would write them as doubles.
std::string joined(std::span<const float> values, std::string_view separator) {
  std::string text;
  for (const float value : values) {
    if (!text.empty()) text += separator;
    fmt::format_to(std::back_inserter(text), "{}", value);
  }
  return text;
}

std::string as_json(const Embedding& embedding, bool per_token) {
  if (!per_token) return "[" + joined(embedding.values, ",") + "]";
  const auto width = static_cast<size_t>(embedding.dimensions);
  std::string rows;
  for (size_t first = 0; first < embedding.values.size(); first += width) {
    if (!rows.empty()) rows += ",";
    rows += "[" + joined(std::span(embedding.values).subspan(first, width), ",") + "]";
  }
  return "[" + rows + "]";
}

class EmbedCommand : public Command {
 public:
  EmbedCommand() {
    description =
        "Turns texts into vectors: TEXT, or every line of a file or of standard input. Each vector "
        "is one line of JSON, in the order of the texts, of length 1 unless --no-normalize is "
        "given. How a vector is made of the tokens' states is what the model says, or "
        "--pooling.\n\n"
        "A text longer than the model reads is an error that names both lengths, unless "
        "--truncate allows to cut it.";
    options.add_model_argument(&model_);
    Argument& text = options.add_text_argument(
        "TEXT", "the text; '-' or nothing: the lines of standard input", &text_);
    text.required = false;
    options.add_file("file", 'f', "embed every line of a file", &file_);
    options.add_text("prefix", 0, "TEXT", "put TEXT in front of every text (\"query: \")",
                     &prefix_);
    options.add_choice("pooling", 0, {"mean", "cls", "last", "none"},
                       "what becomes of the tokens' states (default: as the model says); none: a "
                       "vector per token",
                       &pooling_);
    options.add_integer("dimensions", 'd', "N",
                        "keep the first N values only, for models trained for it (default: all)",
                        &embed_.dimensions, {1, 1 << 20});
    options.add_switch("no-normalize", 0, "leave the vectors as long as they are", &no_normalize_);
    options.add_switch("truncate", 0, "cut texts that are too long at their end", &embed_.truncate);
    options.add_choice("format", 0, {"jsonl", "json", "raw"},
                       "a line of JSON per text, one JSON object of all, or the bare numbers, a "
                       "vector on a line (default: jsonl)",
                       &format_);
    options.add_integer("ctx", 'c', "N",
                        "the longest text, in tokens (default: what the model reads, at most 8192)",
                        &embedder_.max_tokens, {1, 1 << 24});
    options.add_integer("batch", 'b', "N", "most tokens read in one pass (default: 512)",
                        &embedder_.batch_tokens, {1, 65536});
    load_.add_to(options);
    add_json_option();
    examples = {
        {"llmrun embed MODEL.gguf \"a text\" | jq .embedding", "the vector of one text"},
        {"llmrun embed MODEL.gguf --file texts.txt > vectors.jsonl", "one line for each line"},
        {"llmrun embed MODEL.gguf --prefix \"query: \" - < questions.txt",
         "models that tell queries and passages apart"}};
  }

  Result<void> execute() override {
    LLMRUN_TRY(choose_format());
    embed_.normalize = !no_normalize_;
    LLMRUN_ASSIGN(std::vector<std::string> texts, read_texts());
    for (std::string& text : texts) text.insert(0, prefix_);
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.find(model_));
    LLMRUN_TRY(choose_sizes(path, texts));
    load_.load.embedder = embedder_;
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    LLMRUN_ASSIGN(Embedder embedder, Embedder::open(model, embedder_));
    per_token_ = embedder.pooling() == Pooling::kNone;
    LLMRUN_TRY(embedder.embed(texts, embed_, [&](int64_t index, const Embedding& embedding) {
      print_one(model, embedder, index, embedding);
      return output_failed() ? finish_output() : Result<void>();
    }));
    if (format_ == "json") {
      if (texts.empty()) begin(model, embedder);
      print("]}}\n");
    }
    return {};
  }

 private:
  Result<void> choose_format() {
    if (!json) return {};
    if (!format_.empty() && format_ != "json") {
      return make_error(ErrorCode::kUsage, "--json and --format {} contradict each other", format_);
    }
    format_ = "json";
    return {};
  }

  Result<std::vector<std::string>> read_texts() {
    const bool has_argument = options.arguments()[1].given;
    if (!file_.empty()) {
      if (has_argument) return make_error(ErrorCode::kUsage, "give either TEXT or --file");
      return read_lines(file_);
    }
    if (has_argument && text_ != "-") return std::vector<std::string>{text_};
    if (!has_argument && is_terminal(STDIN_FILENO)) {
      return make_error(ErrorCode::kUsage, "no text: give TEXT, --file FILE, or pipe it in");
    }
    return read_lines("-");
  }

  // With room for the longest of the texts, and no more: memory is for a pass of that many tokens.
  Result<void> choose_sizes(const std::filesystem::path& path, std::span<const std::string> texts) {
    LLMRUN_ASSIGN(const Model model, Model::open_vocabulary(path));
    for (size_t i = 0; i < std::size(kPoolings); ++i) {
      if (pooling_ == kPoolings[i].first) embedder_.pooling = kPoolings[i].second;
    }
    int64_t limit = embedder_.max_tokens;
    if (limit == 0) limit = std::min(model.info().context_length, kDefaultContextTokens);
    int64_t longest = 1;
    for (const std::string& text : texts) {
      LLMRUN_ASSIGN(const auto tokens, model.tokenize(text));
      longest = std::max(longest, static_cast<int64_t>(tokens.size()));
    }
    embedder_.max_tokens = std::min(longest, limit);
    return {};
  }

  void begin(const Model& model, const Embedder& embedder) const {
    const int64_t dimensions = embed_.dimensions > 0 ? embed_.dimensions : embedder.dimensions();
    const Json name = model.info().name;
    print(
        "{{\"model\":{},\"pooling\":\"{}\",\"dimensions\":{},\"normalized\":{},"
        "\"embeddings\":[",
        to_text(name), to_string(embedder.pooling()), dimensions, embed_.normalize);
  }

  void print_one(const Model& model, const Embedder& embedder, int64_t index,
                 const Embedding& embedding) const {
    if (format_ == "raw") {
      const auto width = static_cast<size_t>(embedding.dimensions);
      for (size_t first = 0; first < embedding.values.size(); first += width) {
        print("{}\n", joined(std::span(embedding.values).subspan(first, width), " "));
      }
      return;
    }
    std::string line = fmt::format("{{\"index\":{},\"tokens\":{}", index, embedding.n_tokens);
    if (embedding.dropped_tokens > 0) {
      line += fmt::format(",\"dropped_tokens\":{}", embedding.dropped_tokens);
    }
    line += ",\"embedding\":" + as_json(embedding, per_token_) + "}";
    if (format_ == "json") {
      if (index == 0) begin(model, embedder);
      print("{}{}", index > 0 ? "," : "", line);
    } else {
      print("{}\n", line);
    }
  }

  static constexpr std::pair<std::string_view, Pooling> kPoolings[] = {{"mean", Pooling::kMean},
                                                                       {"cls", Pooling::kCls},
                                                                       {"last", Pooling::kLast},
                                                                       {"none", Pooling::kNone}};

  std::string model_, text_, file_, prefix_, pooling_, format_;
  bool no_normalize_ = false, per_token_ = false;
  EmbedderOptions embedder_;
  EmbedOptions embed_;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_embed_command() { return std::make_unique<EmbedCommand>(); }

}  // namespace llmrun::cli
