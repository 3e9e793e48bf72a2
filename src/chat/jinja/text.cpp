// Runs are kept merged: neighbours always differ in their flag.
#include "chat/jinja/text.h"

#include <algorithm>
#include <utility>

namespace llmrun::chat::jinja {
namespace {

// The run that holds byte `offset`.
std::vector<Text::Run>::const_iterator run_at(const std::vector<Text::Run>& runs, size_t offset) {
  return std::upper_bound(runs.begin(), runs.end(), offset,
                          [](size_t at, const Text::Run& run) { return at < run.end; });
}

}  // namespace

bool Text::trusted_at(size_t offset) const {
  if (runs_.empty()) return trusted_;
  const auto run = run_at(runs_, offset);
  return run != runs_.end() && run->trusted;
}

void TextBuilder::append(std::string_view bytes, bool trusted) {
  if (bytes.empty() || overflow_) return;
  if (bytes.size() > max_bytes_ - bytes_.size()) {
    overflow_ = true;
    return;
  }
  if (meter_ != nullptr) {
    if (meter_->live_bytes > meter_->max_bytes ||
        bytes.size() > meter_->max_bytes - meter_->live_bytes) {
      overflow_ = true;
      return;
    }
    meter_->live_bytes += bytes.size();
  }
  bytes_.append(bytes);
  if (runs_.empty() || runs_.back().trusted != trusted) {
    runs_.push_back({bytes_.size(), trusted});
  } else {
    runs_.back().end = bytes_.size();
  }
}

void TextBuilder::append(const Text& text, size_t begin, size_t end) {
  const std::string_view bytes = text.view();
  if (!text.mixed()) {
    append(bytes.substr(begin, end - begin), text.trusted());
    return;
  }
  for (auto run = run_at(text.runs(), begin); run != text.runs().end() && begin < end; ++run) {
    const size_t stop = std::min(run->end, end);
    append(bytes.substr(begin, stop - begin), run->trusted);
    begin = stop;
  }
}

void TextBuilder::append(const Text& text, std::string_view part) {
  if (part.empty()) return;
  const auto begin = static_cast<size_t>(part.data() - text.view().data());
  append(text, begin, begin + part.size());
}

Text TextBuilder::take() {
  release();
  Text text;
  text.bytes_ = std::move(bytes_);
  if (runs_.size() > 1) {
    text.runs_ = std::move(runs_);
  } else {
    text.trusted_ = runs_.empty() || runs_.front().trusted;
  }
  bytes_.clear();
  runs_.clear();
  return text;
}

}  // namespace llmrun::chat::jinja
