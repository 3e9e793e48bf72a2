// Access to JSON objects with remembered mistakes.
#include "convert/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace llmrun::convert {
namespace {

constexpr size_t kMaxListed = size_t{1} << 20;  // entries of one array

std::optional<int64_t> integer_in(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > INT64_MAX) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  // Some programs write 1024 as 1024.0.
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (std::abs(number) < 1e15 && number == std::floor(number))
      return static_cast<int64_t>(number);
  }
  return std::nullopt;
}

std::optional<double> number_in(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = value.get<double>();
  return std::isfinite(number) ? std::optional<double>(number) : std::nullopt;
}

}  // namespace

Config::Config(JsonDocument document, std::string path)
    : document_(std::move(document)), path_(std::move(path)) {
  if (document_ == nullptr) return;
  if (document_->is_object()) {
    object_ = document_.get();
  } else {
    fail(ErrorCode::kBadModel, "the file holds no JSON object");
  }
}

const Json* Config::find(const char* key) const {
  if (object_ == nullptr) return nullptr;
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool Config::has(const char* key) const { return find(key) != nullptr; }

bool Config::is_array(const char* key) const {
  const Json* value = find(key);
  return value != nullptr && value->is_array();
}

bool Config::is_text(const char* key) const {
  const Json* value = find(key);
  return value != nullptr && value->is_string();
}

bool Config::is_object(const char* key) const {
  const Json* value = find(key);
  return value != nullptr && value->is_object();
}

void Config::wrong(const char* key, const char* wanted) const {
  fail(ErrorCode::kBadModel, fmt::format("{}{} is not {}", prefix_, key, wanted));
}

void Config::missing(const char* key) const {
  fail(ErrorCode::kBadModel,
       fmt::format("{}{} is missing, and this architecture needs it", prefix_, key));
}

int64_t Config::integer(const char* key, Range range) const {
  if (!has(key)) missing(key);
  return integer(key, range.min, range);
}

int64_t Config::integer(const char* key, int64_t fallback, Range range) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const auto number = integer_in(*value);
  if (!number) {
    wrong(key, "an integer");
    return fallback;
  }
  if (*number >= range.min && *number <= range.max) return *number;
  fail(ErrorCode::kBadModel, fmt::format("{}{} is {}, but must lie in {} to {}", prefix_, key,
                                         *number, range.min, range.max));
  return fallback;
}

double Config::number(const char* key) const {
  if (!has(key)) missing(key);
  return number(key, 1.0);
}

double Config::number(const char* key, double fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const auto number = number_in(*value);
  if (!number) wrong(key, "a finite number");
  return number.value_or(fallback);
}

bool Config::flag(const char* key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong(key, "true or false");
  return fallback;
}

std::string Config::text(const char* key, std::string_view fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (value->is_string()) return value->get<std::string>();
  wrong(key, "a text");
  return std::string(fallback);
}

std::vector<int64_t> Config::integers(const char* key, Range range) const {
  const Json* value = find(key);
  std::vector<int64_t> numbers;
  if (value == nullptr) return numbers;
  if (!value->is_array() || value->size() > kMaxListed) {
    wrong(key, "a list of integers");
    return numbers;
  }
  for (const Json& element : *value) {
    const auto number = integer_in(element);
    if (!number || *number < range.min || *number > range.max) {
      wrong(key, "a list of integers in range");
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<double> Config::numbers(const char* key) const {
  const Json* value = find(key);
  std::vector<double> numbers;
  if (value == nullptr) return numbers;
  if (!value->is_array() || value->size() > kMaxListed) {
    wrong(key, "a list of numbers");
    return numbers;
  }
  for (const Json& element : *value) {
    const auto number = number_in(element);
    if (!number) {
      wrong(key, "a list of finite numbers");
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::string> Config::texts(const char* key) const {
  const Json* value = find(key);
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  const bool all_texts =
      value->is_array() && value->size() <= kMaxListed &&
      std::all_of(value->begin(), value->end(), [](const Json& e) { return e.is_string(); });
  if (!all_texts) {
    wrong(key, "a list of texts");
    return texts;
  }
  for (const Json& element : *value) texts.push_back(element.get<std::string>());
  return texts;
}

Config Config::section(const char* key) const {
  Config part;
  part.document_ = document_;
  part.path_ = path_;
  part.prefix_ = prefix_ + key + ".";
  part.status_ = status_;
  const Json* value = find(key);
  if (value != nullptr && value->is_object()) part.object_ = value;
  if (value != nullptr && !value->is_object()) wrong(key, "an object");
  return part;
}

}  // namespace llmrun::convert
