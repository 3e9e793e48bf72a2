// libedit's wide-character interface: keys, history, Ctrl-C as a key.
#include "cli/line_editor.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "base/file_io.h"
#include "base/utf8.h"

namespace llmrun::cli {
namespace {

constexpr int kHistoryLines = 1000;
constexpr uint64_t kMaxHistoryBytes = uint64_t{16} << 20;
// Pasted lines come in several reads of the terminal, a few milliseconds apart over a network.
constexpr int kPasteGapMilliseconds = 25;

std::wstring to_wide(std::string_view text) {
  std::wstring wide;
  for (size_t i = 0; i < text.size();) {
    const utf8::Decoded character = utf8::decode(text, i);
    wide += static_cast<wchar_t>(character.code_point);
    i += std::max<size_t>(1, character.length);
  }
  return wide;
}

std::string to_narrow(const wchar_t* wide, int n) {
  std::string text;
  for (int i = 0; i < n; ++i) utf8::append(text, static_cast<uint32_t>(wide[i]));
  return text;
}

}  // namespace

struct LineEditor::Impl {
  EditLine* editor = nullptr;
  HistoryW* history = nullptr;
  HistEventW event = {};
  std::filesystem::path history_file;
  const wchar_t* prompt = L"";
  bool interrupted = false;

  static Impl* of(EditLine* editor) {
    void* data = nullptr;
    (void)el_wget(editor, EL_CLIENTDATA, &data);
    return static_cast<Impl*>(data);
  }
  static wchar_t* show_prompt(EditLine* editor) {
    return const_cast<wchar_t*>(of(editor)->prompt);  // libedit's signature; it only reads it
  }
  // Ctrl-C ends the line at once; read() tells that it was not meant.
  static unsigned char on_interrupt(EditLine* editor, wint_t) {
    of(editor)->interrupted = true;
    return CC_NEWLINE;
  }
  // Ctrl-Z, because the terminal sends no signals while a line is edited.
  static unsigned char on_suspend(EditLine* editor, wint_t) {
    (void)el_wset(editor, EL_PREP_TERM, 0);
    (void)std::raise(SIGTSTP);
    (void)el_wset(editor, EL_PREP_TERM, 1);
    return CC_REDISPLAY;
  }

  void set_up_keys() const;
  void load_history();
};

void LineEditor::Impl::set_up_keys() const {
  (void)el_wset(editor, EL_EDITOR, L"emacs");
  // Ctrl-C, Ctrl-Z and Ctrl-O reach us as keys.
  (void)el_wset(editor, EL_SETTY, L"-d", L"-isig", L"-iexten", nullptr);
  (void)el_wset(editor, EL_ADDFN, L"llmrun-interrupt", L"give the line up", on_interrupt);
  (void)el_wset(editor, EL_ADDFN, L"llmrun-suspend", L"suspend the program", on_suspend);
  const struct {
    const wchar_t* key;
    const wchar_t* command;
  } kKeys[] = {
      {L"^C", L"llmrun-interrupt"},        {L"^Z", L"llmrun-suspend"},
      {L"^R", L"em-inc-search-prev"},      {L"^W", L"ed-delete-prev-word"},
      {L"^U", L"vi-kill-line-prev"},       {L"^L", L"ed-clear-screen"},
      {L"\\e[3~", L"ed-delete-next-char"}, {L"\\e[H", L"ed-move-to-beg"},
      {L"\\e[F", L"ed-move-to-end"},       {L"\\e[1~", L"ed-move-to-beg"},
      {L"\\e[4~", L"ed-move-to-end"},      {L"\\e[1;5C", L"em-next-word"},
      {L"\\e[1;5D", L"ed-prev-word"},
  };
  for (const auto& key : kKeys) {
    (void)el_wset(editor, EL_BIND, key.key, key.command, nullptr);
  }
}

void LineEditor::Impl::load_history() {
  if (history_file.empty()) return;
  const Result<std::string> text = read_file(history_file.string(), kMaxHistoryBytes);
  if (!text) return;  // the first time there is none
  std::vector<std::string_view> lines;
  for (size_t i = 0; i < text->size();) {
    const size_t end = std::min(text->find('\n', i), text->size());
    lines.push_back(std::string_view(*text).substr(i, end - i));
    i = end + 1;
  }
  const size_t first = lines.size() > kHistoryLines ? lines.size() - kHistoryLines : 0;
  std::string kept;
  for (size_t i = first; i < lines.size(); ++i) {
    (void)history_w(history, &event, H_ENTER, to_wide(lines[i]).c_str());
    kept += std::string(lines[i]) + "\n";
  }
  if (first < kHistoryLines) return;
  // The file has grown to twice its length: keep its end.
  if (auto file = AtomicFile::create(history_file.string(), 0600); file && file->write(kept)) {
    (void)file->commit();
  }
}

LineEditor::LineEditor(std::filesystem::path history_file) : impl_(std::make_unique<Impl>()) {
  impl_->history_file = std::move(history_file);
  impl_->history = history_winit();
  (void)history_w(impl_->history, &impl_->event, H_SETSIZE, kHistoryLines);
  (void)history_w(impl_->history, &impl_->event, H_SETUNIQUE, 1);
  impl_->editor = el_init("llmrun", stdin, stdout, stderr);
  if (impl_->editor == nullptr) return;
  (void)el_wset(impl_->editor, EL_CLIENTDATA, impl_.get());
  (void)el_wset(impl_->editor, EL_PROMPT, Impl::show_prompt);
  (void)el_wset(impl_->editor, EL_HIST, history_w, impl_->history);
  impl_->set_up_keys();
  impl_->load_history();
}

LineEditor::~LineEditor() {
  if (impl_->editor != nullptr) el_end(impl_->editor);
  history_wend(impl_->history);
}

LineEditor::Event LineEditor::read(const wchar_t* prompt, std::string& line) {
  line.clear();
  if (impl_->editor == nullptr) return Event::kEnd;
  impl_->prompt = prompt;
  impl_->interrupted = false;
  int n = 0;
  const wchar_t* const text = el_wgets(impl_->editor, &n);
  if (impl_->interrupted) {
    (void)std::fputs("\n", stdout);
    (void)std::fflush(stdout);
    // What stood on the line tells an empty Ctrl-C from one that gave a line up.
    if (text != nullptr && n > 0) line = to_narrow(text, n);
    return Event::kInterrupted;
  }
  if (text == nullptr || n <= 0) return Event::kEnd;
  line = to_narrow(text, n);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  return Event::kLine;
}

bool LineEditor::more_waiting() const {
  pollfd waiting = {STDIN_FILENO, POLLIN, 0};
  return poll(&waiting, 1, kPasteGapMilliseconds) > 0 && (waiting.revents & POLLIN) != 0;
}

void LineEditor::remember(const std::string& line) {
  if (line.empty() || line.find('\n') != std::string::npos) return;
  (void)history_w(impl_->history, &impl_->event, H_ENTER, to_wide(line).c_str());
  if (impl_->history_file.empty()) return;
  // One short write in append mode: several programs at once do not tear each other's lines.
  const int file =
      open(impl_->history_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  const std::string text = line + "\n";
  if (write(file, text.data(), text.size()) < 0) { /* a history is not worth an error */
  }
  (void)close(file);
}

void LineEditor::prefill(const std::string& text) {
  if (impl_->editor != nullptr) el_wpush(impl_->editor, to_wide(text).c_str());
}

}  // namespace llmrun::cli
