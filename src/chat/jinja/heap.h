// What one render may use up (steps, memory), and the owner of every object it makes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "chat/chat_template.h"
#include "chat/jinja/value.h"

namespace llmrun::chat::jinja {

// An error of the template: what it did is wrong, or it exceeded a limit. The place is added by
// the interpreter, which knows it.
template <typename... Args>
tl::unexpected<Error> template_error(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kBadModel, format, std::forward<Args>(args)...);
}

class Heap {
 public:
  explicit Heap(const TemplateLimits& limits)
      : max_steps_(limits.max_steps), meter_{0, limits.max_memory_bytes} {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Counts work; an error when the budget is used up.
  Result<void> spend(uint64_t steps) {
    steps_ += steps;
    if (steps_ > max_steps_) return steps_exceeded();
    return {};
  }
  // Work over `bytes` of text: one step per 256 bytes.
  Result<void> spend_bytes(uint64_t bytes) { return spend(bytes >> 8U); }
  uint64_t steps() const { return steps_; }

  // Books memory that is kept until the render ends; an error when there is not that much left.
  Result<void> book(uint64_t bytes);
  // The error of book() without booking: for memory that is about to be used for a while.
  Result<void> require(uint64_t bytes) const;
  uint64_t free_bytes() const {
    return meter_.live_bytes < meter_.max_bytes ? meter_.max_bytes - meter_.live_bytes : 0;
  }

  // A builder that stops at the memory that is left; give it to text() when done.
  TextBuilder builder() { return TextBuilder(UINT64_MAX, &meter_); }
  Result<Value> text(TextBuilder& builder, bool markup = false);
  Result<Value> text(Text text, bool markup = false);
  Result<Value> text(std::string_view bytes, bool trusted) {
    return text(Text(std::string(bytes), trusted));
  }
  // The characters of `source` that `part`, a view into it, shows.
  Result<Value> part(const Value& source, std::string_view part);

  Result<Value> list(std::vector<Value> items, ObjectKind flavour = ObjectKind::kList);
  Result<Value> pair(Value first, Value second);  // a tuple
  Result<void> append(ListObject& list, Value item);
  Result<DictObject*> dict(ObjectKind flavour = ObjectKind::kDict);
  Result<void> set(DictObject& dict, const Value& key, Value value);
  Result<void> set(DictObject& dict, std::string_view key, bool trusted_key, Value value);

  // Any object; books its own size.
  template <typename T, typename... Args>
  Result<T*> make(Args&&... args) {
    LLMRUN_TRY(book(sizeof(T) + sizeof(void*)));
    auto object = std::make_unique<T>(std::forward<Args>(args)...);
    T* address = object.get();
    objects_.push_back(std::move(object));
    return address;
  }

 private:
  Result<void> steps_exceeded() const;

  uint64_t steps_ = 0;
  uint64_t max_steps_;
  Meter meter_;  // before objects_: their strings give their bytes back to it
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace llmrun::chat::jinja
