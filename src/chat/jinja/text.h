// Text that remembers, byte by byte, whether the template or the conversation wrote it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun::chat::jinja {

// The memory that one render has in use; see TemplateLimits.
struct Meter {
  uint64_t live_bytes = 0;
  uint64_t max_bytes = 0;
};

// An immutable string with provenance. Uniform text (nearly all of it) carries one flag; mixed
// text carries runs in order, each reaching from the end of the one before.
class Text {
 public:
  struct Run {
    size_t end = 0;
    bool trusted = false;
  };

  Text() = default;
  Text(std::string bytes, bool trusted) : bytes_(std::move(bytes)), trusted_(trusted) {}

  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // True when no byte of it came from the conversation.
  bool trusted() const { return runs_.empty() && trusted_; }
  bool mixed() const { return !runs_.empty(); }
  bool trusted_at(size_t offset) const;
  const std::vector<Run>& runs() const { return runs_; }
  size_t memory_bytes() const { return bytes_.capacity() + runs_.capacity() * sizeof(Run); }

 private:
  friend class TextBuilder;

  std::string bytes_;
  std::vector<Run> runs_;  // empty: uniform
  bool trusted_ = true;
};

// Appends up to a limit; past it everything is dropped and overflow() tells. With a meter, its
// bytes count as memory in use while the builder holds them.
class TextBuilder {
 public:
  explicit TextBuilder(uint64_t max_bytes, Meter* meter = nullptr)
      : meter_(meter), max_bytes_(max_bytes) {}
  ~TextBuilder() { release(); }
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;

  void append(std::string_view bytes, bool trusted);
  void append(const Text& text) { append(text, 0, text.size()); }
  void append(const Text& text, size_t begin, size_t end);  // bytes [begin, end)
  void append(const Text& text, std::string_view part);     // part: a view into text.view()

  size_t size() const { return bytes_.size(); }
  bool overflow() const { return overflow_; }
  Text take();

 private:
  void release() {
    if (meter_ != nullptr) meter_->live_bytes -= bytes_.size();
  }

  std::string bytes_;
  std::vector<Text::Run> runs_;
  Meter* meter_;
  uint64_t max_bytes_;
  bool overflow_ = false;
};

}  // namespace llmrun::chat::jinja
