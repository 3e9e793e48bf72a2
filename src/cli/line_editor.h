// A line of text from a terminal, with editing and history (libedit).
#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace llmrun::cli {

class LineEditor {
 public:
  enum class Event { kLine, kInterrupted, kEnd };

  // The history is read from `history_file` and every line is added to it at once; an empty path
  // keeps none.
  explicit LineEditor(std::filesystem::path history_file);
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;
  ~LineEditor();

  // `prompt` stays valid during the call. The line comes without its newline.
  Event read(const wchar_t* prompt, std::string& line);
  // More lines are already there: they were pasted together with the last one.
  [[nodiscard]] bool more_waiting() const;
  void remember(const std::string& line);
  // The next line begins with this text, to be edited.
  void prefill(const std::string& text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun::cli
