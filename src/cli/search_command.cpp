// `llmrun search`: models by words, on this machine, in the catalogue and on Hugging Face.
#include <algorithm>

#include "base/error.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "store/catalog.h"
#include "store/hf_hub.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

constexpr const char* kNoOllamaSearch =
    "Ollama's registry has no search that a program may use; 'llmrun estimate NAME' tells whether "
    "it has that model.";

// Every word stands somewhere in the text, whatever the case.
bool has_words(const std::string& text, const std::vector<std::string>& words) {
  const std::string in = store::lower(text);
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return in.find(store::lower(word)) != std::string::npos;
  });
}

class SearchCommand : public Command {
 public:
  SearchCommand() {
    description =
        "Looks for models whose name has all the words: on this machine, in the catalogue, and "
        "among the repositories with GGUF files on Hugging Face, the most downloaded first.";
    Argument words;
    words.name = "WORD";
    words.help = "what the name has in it";
    words.repeated = true;
    words.set = [this](std::string_view word) -> Result<void> {
      words_.emplace_back(word);
      return {};
    };
    options.add_argument(std::move(words));
    options.add_integer("limit", 0, "N", "at most so many of Hugging Face (default: 20)", &limit_,
                        {1, 1000});
    network_.add_to(options);
    add_json_option();
    examples = {{"llmrun search qwen3 coder", "what there is of Qwen3 Coder"},
                {"llmrun estimate hf:USER/REPO --all-quants", "then: which of its files fits"},
                {"llmrun run hf:USER/REPO", "then: fetch it and chat"}};
  }

  Result<void> execute() override {
    for (store::StoredModel& model : store::list_models()) {
      if (has_words(model.name, words_)) here_.push_back(std::move(model));
    }
    for (const store::CatalogEntry& entry : store::catalog()) {
      if (has_words(entry.name + " " + entry.title, words_)) catalogue_.push_back(&entry);
    }
    const bool ask_hub = !store::is_offline(network_.value());
    Result<void> hub_answer;
    if (ask_hub) hub_answer = search_hub();
    // What is known is shown, also when the network is down; the error follows.
    if (json) {
      if (!hub_answer) return hub_answer;
      print_json(ask_hub);
    } else {
      print_tables(ask_hub && hub_answer.has_value());
    }
    return hub_answer;
  }

 private:
  Result<void> search_hub() {
    std::string query;
    for (const std::string& word : words_) query += (query.empty() ? "" : " ") + word;
    const store::HttpClient client(store::http_options(network_.value()));
    LLMRUN_ASSIGN(hub_, store::HfHub(client).search(query, static_cast<int>(limit_)));
    return {};
  }

  void print_json(bool asked_hub) const {
    Json out = {{"models", Json::array()}, {"catalogue", Json::array()}};
    for (const store::StoredModel& model : here_) {
      out["models"].push_back(
          {{"name", model.name}, {"place", model.place}, {"bytes", model.total_size}});
    }
    for (const store::CatalogEntry* entry : catalogue_) {
      out["catalogue"].push_back(
          {{"name", entry->name}, {"title", entry->title}, {"bytes", entry->size}});
    }
    if (asked_hub) out["hugging_face"] = Json::array();
    for (const store::HfSearchHit& hit : hub_) {
      out["hugging_face"].push_back({{"name", "hf:" + hit.repository},
                                     {"downloads", hit.downloads},
                                     {"likes", hit.likes},
                                     {"modified", hit.modified}});
    }
    out["not_searched"] = Json::array({"registry.ollama.ai"});
    if (!asked_hub) out["not_searched"].push_back(store::hf_endpoint());
    print_json_text(to_text(out, 2), to_text(out));
  }

  void print_tables(bool asked_hub) const {
    TextTable table;
    table.add_column("NAME");
    table.add_column("SIZE", Align::kRight);
    table.add_column("WHERE");
    for (const store::StoredModel& model : here_) {
      table.add_row({safe_for_terminal(model.name), format_bytes_decimal(model.total_size),
                     "on this machine: " + model.place});
    }
    for (const store::CatalogEntry* entry : catalogue_) {
      table.add_row({entry->name, format_bytes_decimal(entry->size), "catalogue"});
    }
    if (table.n_rows() > 0) print("{}\n", table.text());
    if (!hub_.empty()) print_hub();
    if (table.n_rows() == 0 && hub_.empty()) {
      print("Nothing found{}.\n\n", asked_hub ? "" : " on this machine and in the catalogue");
    }
    print("{}\n", kNoOllamaSearch);
  }

  void print_hub() const {
    TextTable table;
    table.add_column("HUGGING FACE");
    table.add_column("DOWNLOADS", Align::kRight);
    table.add_column("LIKES", Align::kRight);
    table.add_column("UPDATED");
    for (const store::HfSearchHit& hit : hub_) {
      table.add_row({"hf:" + hit.repository, fmt::format("{}", hit.downloads),
                     fmt::format("{}", hit.likes), safe_for_terminal(hit.modified)});
    }
    print("{}\n", table.text());
  }

  std::vector<std::string> words_;
  int64_t limit_ = 20;
  NetworkFlags network_;
  std::vector<store::StoredModel> here_;
  std::vector<const store::CatalogEntry*> catalogue_;
  std::vector<store::HfSearchHit> hub_;
};

}  // namespace

std::unique_ptr<Command> make_search_command() { return std::make_unique<SearchCommand>(); }

}  // namespace llmrun::cli
