// Typed, bounded access to config.json and its like. The first mistake is remembered, so that a
// family file can ask one value after the other and the caller checks once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/json_text.h"
#include "convert/limits.h"
#include "llmrun/error.h"

namespace llmrun::convert {

struct Range {
  int64_t min = 0;
  int64_t max = 0;
};
inline constexpr Range kWidths{1, kMaxWidth};
inline constexpr Range kTokenIds{0, kMaxTokenIds - 1};

// Remembers the first mistake.
class Status {
 public:
  void fail(ErrorCode code, std::string message, std::string context = {}) {
    if (!error_) error_ = Error{code, std::move(message), std::move(context)};
  }
  [[nodiscard]] bool ok() const { return !error_; }
  [[nodiscard]] Result<void> result() const {
    if (error_) return tl::unexpected<Error>(*error_);
    return {};
  }

 private:
  std::optional<Error> error_;
};

class Config {
 public:
  // `document` may be null: then there are no keys. Not an object: kBadModel at the first access.
  Config(JsonDocument document, std::string path);

  // There, and not null.
  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] bool is_array(const char* key) const;
  [[nodiscard]] bool is_text(const char* key) const;
  [[nodiscard]] bool is_object(const char* key) const;

  // A key without a fallback must be there. A value of the wrong kind or out of range is a mistake.
  int64_t integer(const char* key, Range range) const;
  int64_t integer(const char* key, int64_t fallback, Range range) const;
  double number(const char* key) const;
  double number(const char* key, double fallback) const;
  bool flag(const char* key, bool fallback) const;
  std::string text(const char* key, std::string_view fallback) const;
  // Empty when there is no such key.
  std::vector<int64_t> integers(const char* key, Range range) const;
  std::vector<double> numbers(const char* key) const;
  std::vector<std::string> texts(const char* key) const;

  // The object under the key (no keys when it is not there); shares the memory of mistakes.
  Config section(const char* key) const;

  void fail(ErrorCode code, std::string message) const {
    status_->fail(code, std::move(message), path_);
  }
  [[nodiscard]] bool ok() const { return status_->ok(); }
  [[nodiscard]] Result<void> result() const { return status_->result(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Config() = default;
  const Json* find(const char* key) const;
  void wrong(const char* key, const char* wanted) const;
  void missing(const char* key) const;

  JsonDocument document_;
  const Json* object_ = nullptr;  // inside document_; null: no keys
  std::string path_;
  std::string prefix_;  // of the section, for messages: "rope_scaling."
  std::shared_ptr<Status> status_ = std::make_shared<Status>();
};

}  // namespace llmrun::convert
