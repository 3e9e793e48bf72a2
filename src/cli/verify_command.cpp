// `llmrun verify`.
#include <set>

#include "base/error.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/fetch_flags.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "store/paths.h"
#include "store/verify.h"

namespace llmrun::cli {
namespace {

class VerifyCommand : public Command {
 public:
  VerifyCommand() {
    description =
        "Reads every byte of the models in llmrun's own store and compares it with its SHA-256. "
        "What "
        "is damaged is fetched again from where the model came from: the damaged blocks alone when "
        "the download left their checks. A file that was imported is not written to.";
    examples = {{"llmrun verify", "all models"},
                {"llmrun verify smollm2:135m --no-repair", "look, and change nothing"}};
    options.add_switch("no-repair", 0, "say what is damaged and leave it", &no_repair_);
    network_.add_to(options);
    Argument& name = options.add_model_argument(&name_);
    name.required = false;
    name.help = "one model (default: all)";
  }

  Result<void> execute() override {
    const store::LocalStore local(store::models_dir());
    LLMRUN_ASSIGN(const std::vector<Named> models, chosen(local));
    const InterruptGuard interrupt;
    const store::HttpClient client(store::http_options(network_.value()));
    size_t n_bad = 0;
    std::set<std::string> good;
    for (const Named& model : models) {
      LLMRUN_ASSIGN(
          const std::vector<store::VerifiedBlob> blobs,
          store::verify_model(
              client, local, model,
              {.mend = !no_repair_, .good = &good, .cancelled = InterruptGuard::interrupted}));
      n_bad += report(model.name.text(), blobs);
    }
    if (n_bad == 0) return {};
    return make_error(ErrorCode::kBadModel, "{} {} damaged; {}", n_bad,
                      n_bad == 1 ? "model is" : "models are",
                      no_repair_ ? "without --no-repair they are fetched again"
                                 : "delete and pull again, or import the file again");
  }

 private:
  using Named = store::LocalStore::Named;

  // Also what is so damaged that it is not listed any more.
  Result<std::vector<Named>> chosen(const store::LocalStore& local) const {
    std::vector<Named> all = local.names();
    if (name_.empty()) return all;
    LLMRUN_ASSIGN(const store::ModelName name, store::parse_model_name(name_));
    const auto model = local.find(name);
    for (Named& named : all) {
      const bool is_it = model ? named.manifest == model->manifest : same_model(named.name, name);
      if (is_it) return std::vector{std::move(named)};
    }
    return make_error(ErrorCode::kNotFound, "the store {} has no model {}", local.root().string(),
                      name.text());
  }

  // 1 when the model stays damaged.
  static size_t report(const std::string& model, const std::vector<store::VerifiedBlob>& blobs) {
    size_t n_bad = 0;
    size_t n_mended = 0;
    for (const store::VerifiedBlob& blob : blobs) {
      if (blob.state == store::BlobState::kGood) continue;
      const std::string what =
          fmt::format("{}: {} {}", model, name_of(blob.kind), blob.sha256.substr(0, 12));
      if (blob.state == store::BlobState::kMended) {
        ++n_mended;
        print("{}: {} of {} were fetched again\n", what, format_bytes_decimal(blob.bad_bytes),
              format_bytes_decimal(blob.size));
        continue;
      }
      ++n_bad;
      print("{} is {}{}{}\n", what,
            blob.state == store::BlobState::kMissing ? "missing" : "damaged",
            blob.problem.empty() ? "" : ": ", blob.problem);
    }
    if (n_bad == 0) print("{} is good{}\n", model, n_mended == 0 ? "" : " again");
    return n_bad == 0 ? 0 : 1;
  }

  std::string name_;
  bool no_repair_ = false;
  NetworkFlags network_;
};

}  // namespace

std::unique_ptr<Command> make_verify_command() { return std::make_unique<VerifyCommand>(); }

}  // namespace llmrun::cli
