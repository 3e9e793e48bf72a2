// The plan of a model, here or at a server; see memory_plan_report.h.
#include "cli/memory_plan_report.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "cli/json.h"
#include "cli/model_header.h"
#include "cli/output.h"
#include "cli/text_layout.h"
#include "llmrun/model_info.h"
#include "store/resolver.h"

namespace llmrun::cli {
namespace {

// Another quantisation: its weights are its files, the rest is as in the plan that was made.
struct Choice {
  store::RemoteChoice offer;
  uint64_t total_bytes = 0;
  bool fits = false;
  bool is_exact = false;  // the plan was made from this one's header
};

std::vector<Choice> compare_choices(const ModelHeader& subject, const MemoryEstimate& plan,
                                    uint64_t limit) {
  std::vector<Choice> choices;
  for (const store::RemoteChoice& offer : subject.remote->choices) {
    Choice choice{offer, plan.total_bytes - subject.file_bytes + offer.bytes};
    choice.is_exact = offer.name == subject.remote->name;
    if (choice.is_exact) choice.total_bytes = plan.total_bytes;
    choice.fits = choice.total_bytes <= limit;
    choices.push_back(std::move(choice));
  }
  std::stable_sort(choices.begin(), choices.end(),
                   [](const Choice& a, const Choice& b) { return a.offer.bytes < b.offer.bytes; });
  return choices;
}

const Choice* largest_that_fits(const std::vector<Choice>& choices) {
  const Choice* best = nullptr;
  for (const Choice& choice : choices) {
    if (choice.fits && (best == nullptr || choice.offer.bytes > best->offer.bytes)) best = &choice;
  }
  return best;
}

Json choices_json(const std::vector<Choice>& choices) {
  Json out = Json::array();
  for (const Choice& choice : choices) {
    out.push_back({{"name", choice.offer.name},
                   {"quant", choice.offer.quant},
                   {"files", choice.offer.n_files},
                   {"download_bytes", choice.offer.bytes},
                   {"total_bytes", choice.total_bytes},
                   {"exact", choice.is_exact},
                   {"fits", choice.fits}});
  }
  return out;
}

void print_choices(const std::vector<Choice>& choices, const std::string& planned) {
  TextTable table;
  table.add_column("NAME");
  table.add_column("FILES", Align::kRight);
  table.add_column("DOWNLOAD", Align::kRight);
  table.add_column("MEMORY", Align::kRight);
  table.add_column("FITS");
  for (const Choice& choice : choices) {
    table.add_row({safe_for_terminal(choice.offer.name), fmt::format("{}", choice.offer.n_files),
                   format_bytes_decimal(choice.offer.bytes),
                   (choice.is_exact ? "" : "~") + format_bytes(choice.total_bytes),
                   choice.fits ? "yes" : "no"});
  }
  print(
      "\n{}\n~: the size of its files, and cache and buffers as {} has them; only the header of "
      "that one was read.\n",
      table.text(), safe_for_terminal(planned));
  const Choice* best = largest_that_fits(choices);
  if (best == nullptr) {
    print("None fits.\n");
  } else {
    print("The largest that fits: {}\n", safe_for_terminal(best->offer.name));
  }
}

class Report {
 public:
  Report(const PlanRequest& request, ModelHeader subject, MemoryEstimate plan)
      : request_(request),
        subject_(std::move(subject)),
        plan_(std::move(plan)),
        limit_(request.fits.value_or(plan_.available_bytes)) {
    if (request_.all_quants) choices_ = compare_choices(subject_, plan_, limit_);
  }

  void print_json() const {
    Json out = {{"model", subject_.name},
                {"context_tokens", plan_.context_tokens},
                {"components", Json::array()}};
    for (const MemoryItem& item : plan_.items) {
      out["components"].push_back(
          {{"component", item.component}, {"bytes", item.bytes}, {"detail", item.detail}});
    }
    out["total_bytes"] = plan_.total_bytes;
    out["available_bytes"] = plan_.available_bytes;
    if (request_.fits) out["fits_bytes"] = *request_.fits;
    out["fits"] = fits();
    out["on_this_machine"] = !subject_.header.has_value();
    if (subject_.header) {
      out["download_bytes"] = subject_.file_bytes;
      out["files"] = subject_.remote->files.size();
      out["header_bytes"] = subject_.header->received();
    }
    if (request_.all_quants) {
      out["choices"] = choices_json(choices_);
      const Choice* best = largest_that_fits(choices_);
      out["largest_that_fits"] = best == nullptr ? Json() : Json(best->offer.name);
    }
    print_json_text(to_text(out, 2), to_text(out));
  }

  void print_text() const {
    if (subject_.header) {
      print("{} is not on this machine: {} to download. {} of it were read for this plan.\n\n",
            safe_for_terminal(subject_.name), download_text(),
            format_bytes_decimal(subject_.header->received()));
    }
    print("{}\n{}: {} {}{}\n",
          memory_table("component", plan_, plan_.context_tokens, request_.context.max_sequences),
          safe_for_terminal(subject_.name), fits() ? "fits into" : "does not fit into",
          format_bytes(limit_), request_.fits ? "" : " that are free on this machine");
    if (request_.all_quants) print_choices(choices_, subject_.name);
  }

 private:
  [[nodiscard]] bool fits() const { return plan_.total_bytes <= limit_; }
  [[nodiscard]] std::string download_text() const {
    const size_t n_files = subject_.remote->files.size();
    const std::string size = format_bytes_decimal(subject_.file_bytes);
    return n_files == 1 ? size : fmt::format("{} in {} files", size, n_files);
  }

  const PlanRequest& request_;
  ModelHeader subject_;
  MemoryEstimate plan_;
  uint64_t limit_;
  std::vector<Choice> choices_;
};

// Quantisations can be compared when a server tells which there are.
Result<ModelHeader> find_subject(const PlanRequest& request) {
  if (!request.all_quants) return find_header(request.model, request.fetch);
  const auto here = store::find_model_here(request.model);
  if (here && here->place == store::kPlaceOfFiles) {
    return make_error(
        ErrorCode::kUsage,
        "--all-quants compares the files of a Hugging Face repository (hf:user/repo), "
        "and {} is one file",
        request.model);
  }
  LLMRUN_ASSIGN(ModelHeader subject,
                read_remote_header(request.model, request.fetch.network.value()));
  if (!subject.remote->choices.empty()) return subject;
  return make_error(ErrorCode::kUnsupported,
                    "--all-quants needs a Hugging Face repository (hf:user/repo): the server of {} "
                    "does not tell which quantisations it has",
                    request.model);
}

}  // namespace

Result<void> report_memory_plan(const PlanRequest& request) {
  LLMRUN_ASSIGN(ModelHeader subject, find_subject(request));
  auto plan = estimate_memory(subject.file, request.context);
  if (!plan) return subject.explain(std::move(plan).error());
  const Report report(request, std::move(subject), std::move(*plan));
  if (request.json) {
    report.print_json();
  } else {
    report.print_text();
  }
  return {};
}

}  // namespace llmrun::cli
