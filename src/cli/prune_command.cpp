// `llmrun prune`.
#include "base/error.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/confirm.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "store/paths.h"
#include "store/removal.h"

namespace llmrun::cli {
namespace {

class PruneCommand : public Command {
 public:
  PruneCommand() {
    description =
        "Shows what lies in llmrun's own store and belongs to no model: blobs whose names are "
        "gone, "
        "downloads that were given up (the next pull would go on with them). Then asks, and "
        "deletes "
        "it. What is younger than an hour is left alone while it may still grow.";
    examples = {{"llmrun prune", "look, and decide"}, {"llmrun prune --yes", "in a script"}};
    options.add_switch("yes", 'y', "delete without asking", &yes_);
  }

  Result<void> execute() override {
    const store::LocalStore local(store::models_dir());
    LLMRUN_ASSIGN(const std::vector<store::Rubbish> rubbish, store::find_rubbish(local));
    if (rubbish.empty()) {
      print("Everything in {} belongs to a model.\n", local.root().string());
      return {};
    }
    uint64_t total = 0;
    TextTable table;
    table.add_column("FILE");
    table.add_column("SIZE", Align::kRight);
    table.add_column("WHAT");
    for (const store::Rubbish& one : rubbish) {
      total += one.bytes;
      table.add_row({safe_for_terminal(one.path.lexically_relative(local.root()).string()),
                     format_bytes_decimal(one.bytes), one.what});
    }
    write_out(table.text());
    flush_out();
    LLMRUN_TRY(confirm(
        rubbish.size() == 1
            ? fmt::format("Delete it ({})?", format_bytes_decimal(total))
            : fmt::format("Delete these {} ({})?", rubbish.size(), format_bytes_decimal(total)),
        yes_));
    LLMRUN_ASSIGN(const uint64_t freed, store::remove_rubbish(local, rubbish));
    print("{} freed\n", format_bytes_decimal(freed));
    return {};
  }

 private:
  bool yes_ = false;
};

}  // namespace

std::unique_ptr<Command> make_prune_command() { return std::make_unique<PruneCommand>(); }

}  // namespace llmrun::cli
