// `llmrun list`.
#include <ctime>

#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "store/catalog.h"
#include "store/paths.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

std::string local_date(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  char text[32];
  if (localtime_r(&time, &parts) == nullptr) return "";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts)};
}

bool is_stored(std::string_view name, const std::vector<store::StoredModel>& stored) {
  for (const store::StoredModel& model : stored) {
    if (model.name == name) return true;
  }
  return false;
}

class ListCommand : public Command {
 public:
  ListCommand() {
    description =
        "Models on this machine stand first, with whose store they lie in: llmrun's own, Ollama's "
        "or the Hugging Face cache. They run from there, without a copy. Those that the catalogue "
        "can fetch follow. Any GGUF file can be used by its path as well and need not be listed.";
    options.add_switch("names", 0, "only the names, one on a line", &names_only_);
    add_json_option();
    examples = {{"llmrun list", "what can be run by name"},
                {"llmrun list --json | jq -r '.models[].file'", "the files of the local store"}};
  }

  Result<void> execute() override {
    const std::vector<store::StoredModel> stored = store::list_models();
    if (json) {
      print_as_json(stored);
    } else if (names_only_) {
      for (const auto& model : stored) print("{}\n", model.name);
      for (const auto& entry : store::catalog()) {
        if (!is_stored(entry.name, stored)) print("{}\n", entry.name);
      }
    } else {
      print_as_tables(stored);
    }
    return {};
  }

 private:
  static void print_as_json(const std::vector<store::StoredModel>& stored) {
    Json out = {{"models", Json::array()}, {"catalogue", Json::array()}};
    for (const auto& model : stored) {
      out["models"].push_back({{"name", model.name},
                               {"id", model.id},
                               {"place", model.place},
                               {"file", model.file.string()},
                               {"bytes", model.total_size},
                               {"file_bytes", model.size},
                               {"modified", model.modified}});
    }
    for (const auto& entry : store::catalog()) {
      out["catalogue"].push_back({{"name", entry.name},
                                  {"title", entry.title},
                                  {"license", entry.license},
                                  {"bytes", entry.size},
                                  {"sha256", entry.sha256},
                                  {"stored", is_stored(entry.name, stored)}});
    }
    print_json_text(to_text(out, 2), to_text(out));
  }

  static void print_as_tables(const std::vector<store::StoredModel>& stored) {
    if (stored.empty()) {
      print("No models in {} yet.\n", store::models_dir().string());
    } else {
      TextTable table;
      table.add_column("NAME");
      table.add_column("ID");
      table.add_column("SIZE", Align::kRight);
      table.add_column("MODIFIED");
      table.add_column("WHERE");
      for (const auto& model : stored) {
        table.add_row({safe_for_terminal(model.name), model.id,
                       format_bytes_decimal(model.total_size), local_date(model.modified),
                       model.place});
      }
      write_out(table.text());
    }
    TextTable table;
    table.add_column("CATALOGUE");
    table.add_column("SIZE", Align::kRight);
    table.add_column("WHAT");
    for (const auto& entry : store::catalog()) {
      if (is_stored(entry.name, stored)) continue;
      table.add_row({entry.name, format_bytes_decimal(entry.size), entry.title});
    }
    if (table.n_rows() > 0)
      print("\n{}\n'llmrun run NAME' downloads it after a question.\n", table.text());
  }

  bool names_only_ = false;
};

}  // namespace

std::unique_ptr<Command> make_list_command() { return std::make_unique<ListCommand>(); }

}  // namespace llmrun::cli
