// `llmrun rerank`.
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

class RerankCommand : public Command {
 public:
  RerankCommand() {
    description =
        "Scores documents by how well they answer a query and prints them best first, one line of "
        "JSON each. The documents are the arguments DOC, or every line of a file or of standard "
        "input. The model must be a reranker, which reads query and document together.";
    options.add_model_argument(&model_);
    Argument documents;
    documents.name = "DOC";
    documents.help = "a document; '-' or none: the lines of standard input";
    documents.required = false;
    documents.repeated = true;
    documents.set = [this](std::string_view text) -> Result<void> {
      documents_.emplace_back(text);
      return {};
    };
    options.add_argument(std::move(documents));
    options.add_text("query", 'q', "TEXT", "what the documents shall answer", &query_);
    options.add_file("file", 'f', "rank every line of a file", &file_);
    options.add_integer("top", 0, "N", "print the best N only (default: all)", &top_,
                        {1, int64_t{1} << 40});
    options.add_switch("truncate", 0, "cut documents that are too long at their end", &truncate_);
    options.add_integer("ctx", 'c', "N",
                        "the longest query with a document, in tokens (default: what the model "
                        "reads, at most 8192)",
                        &embedder_.max_tokens, {1, 1 << 24});
    options.add_integer("batch", 'b', "N", "most tokens read in one pass (default: 512)",
                        &embedder_.batch_tokens, {1, 65536});
    load_.add_to(options);
    add_json_option();
    examples = {{"llmrun rerank MODEL.gguf -q \"capital of France\" \"Paris is …\" \"Rome is …\"",
                 "two documents"},
                {"llmrun rerank MODEL.gguf -q \"opening hours\" --file pages.txt --top 3",
                 "the best lines of a file"}};
  }

  Result<void> execute() override {
    if (query_.empty()) return make_error(ErrorCode::kUsage, "--query TEXT is missing");
    LLMRUN_TRY(read_documents());
    LLMRUN_ASSIGN(const std::filesystem::path path, load_.find(model_));
    embedder_.pooling = Pooling::kRank;
    load_.load.embedder = embedder_;
    LLMRUN_ASSIGN(const Model model, Model::open(path, load_.value()));
    LLMRUN_ASSIGN(Embedder embedder, Embedder::open(model, embedder_));
    LLMRUN_ASSIGN(std::vector<RankedDocument> ranked, embedder.rank(query_, documents_, truncate_));
    if (top_ > 0) ranked.resize(std::min(ranked.size(), static_cast<size_t>(top_)));
    Json all = Json::array();
    for (const RankedDocument& document : ranked) {
      Json line = {
          {"index", document.index}, {"score", document.score}, {"tokens", document.n_tokens}};
      if (document.dropped_tokens > 0) line["dropped_tokens"] = document.dropped_tokens;
      line["document"] = documents_[static_cast<size_t>(document.index)];
      if (json) {
        all.push_back(std::move(line));
      } else {
        print("{}\n", to_text(line));
      }
    }
    const Json out = {{"query", query_}, {"results", std::move(all)}};
    if (json) print_json_text(to_text(out, 2), to_text(out));
    return {};
  }

 private:
  Result<void> read_documents() {
    const bool from_stdin = documents_ == std::vector<std::string>{"-"};
    if (!file_.empty() && !documents_.empty()) {
      return make_error(ErrorCode::kUsage, "give either documents or --file");
    }
    if (file_.empty() && !documents_.empty() && !from_stdin) return {};
    if (file_.empty() && !from_stdin && is_terminal(STDIN_FILENO)) {
      return make_error(ErrorCode::kUsage,
                        "no documents: give them as arguments, with --file FILE, or pipe them in");
    }
    LLMRUN_ASSIGN(documents_, read_lines(file_.empty() ? "-" : file_));
    return {};
  }

  std::string model_, query_, file_;
  std::vector<std::string> documents_;
  int64_t top_ = 0;
  bool truncate_ = false;
  EmbedderOptions embedder_;
  LoadFlags load_;
};

}  // namespace

std::unique_ptr<Command> make_rerank_command() { return std::make_unique<RerankCommand>(); }

}  // namespace llmrun::cli
