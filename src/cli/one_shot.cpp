// One answer: printed as it comes, or as one JSON object.
#include "cli/one_shot.h"

#include <cstdio>

#include "base/error.h"
#include "base/file_io.h"
#include "cli/answer_printer.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "store/paths.h"

namespace llmrun::cli {

Result<void> answer_once(RunSettings& settings, Conversation& conversation,
                         const std::string& prompt) {
  AnswerPrinter printer(settings);
  const auto on_text = [&](const StreamEvent& event) { return printer.write(event); };
  const Result<Generation> generation =
      settings.raw ? conversation.complete(prompt, on_text) : conversation.ask(prompt, on_text);
  printer.finish();
  if (!generation) return tl::unexpected<Error>(generation.error());
  if (settings.json) {
    print_json_text(generation_json(*generation, settings, 2),
                    generation_json(*generation, settings, -1));
  }
  LLMRUN_TRY(finish_output());
  if (settings.verbose) {
    (void)std::fputs(verbose_text(conversation, *generation).c_str(), stderr);
  }
  if (generation->usage.dropped > 0 && !settings.json) {
    (void)std::fprintf(stderr, "note: %lld tokens of the text were dropped to fit the context\n",
                       static_cast<long long>(generation->usage.dropped));
  }
  if (!settings.receipt.empty()) {
    LLMRUN_ASSIGN(const std::string receipt, conversation.session().receipt(settings.model));
    LLMRUN_TRY(write_file_atomic(settings.receipt, receipt));
  }
  if (settings.resume) {
    conversation.chat().sampling = settings.sampling;
    LLMRUN_TRY(ChatStore(store::chats_dir()).save(conversation.chat()));
  }
  if (generation->stop_reason == StopReason::kCancelled) {
    return make_error(ErrorCode::kInterrupted, "interrupted");
  }
  return {};
}

}  // namespace llmrun::cli
