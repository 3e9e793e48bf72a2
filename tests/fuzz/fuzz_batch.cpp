// Any bytes as a file of batch requests, as a file of texts, and as a journal that a crash left.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "batch/input.h"
#include "batch/journal_scan.h"

namespace {

using llmrun::batch::JournalScan;

// What a scan finds lies inside the good part, and does not depend on how the bytes were cut.
void scan(std::string_view bytes) {
  JournalScan whole;
  whole.feed(bytes);
  if (whole.good_bytes() > bytes.size()) __builtin_trap();
  for (const auto& [row, span] : whole.done()) {
    if (span.offset + span.length > whole.good_bytes()) __builtin_trap();
    if (whole.parts().contains(row)) __builtin_trap();
  }
  JournalScan pieces;
  for (size_t i = 0; i < bytes.size(); i += 3) pieces.feed(bytes.substr(i, 3));
  if (pieces.good_bytes() != whole.good_bytes() || pieces.done().size() != whole.done().size()) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto rows = llmrun::batch::read_json_lines(bytes)) {
    for (const auto& row : *rows) {
      if (row.fault && row.fault->message.empty()) __builtin_trap();
      if (!row.fault && row.custom_id.empty()) __builtin_trap();
    }
  }
  llmrun::batch::PromptForm form;
  form.prompt_template = "a {text} b {text}";
  (void)llmrun::batch::read_text_lines(bytes, form);
  scan(bytes);
  // Records with good checksums, so that the fuzzer reaches what is behind them.
  std::string journal(llmrun::batch::kJournalMagic);
  journal += *llmrun::batch::journal_record("job {}");
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = bytes.find('\n', at);
    journal += *llmrun::batch::journal_record(bytes.substr(at, end - at));
    at = end == std::string_view::npos ? bytes.size() : end + 1;
  }
  scan(journal);
  return 0;
}
