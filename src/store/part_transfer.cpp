// Ranges of a file over several connections; see part_transfer.h.
#include "store/part_transfer.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/error.h"

namespace llmrun::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTick = std::chrono::milliseconds(100);
// More connections help while each of them is slow. From here on they only contend for the file and
// take time from the hash, and parts that arrive one after another are hashed while still in cache.
constexpr uint64_t kEnoughPerTick = 30'000'000;
// What came over a slow or stalled connection does not wait for its piece to become whole: it shows
// in the progress, and a kill does not lose it.
constexpr auto kLongestWait = std::chrono::milliseconds(200);

struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  std::optional<uint64_t> total;  // "*": not said
};

// "bytes 0-99/1234" (RFC 9110, 14.4).
std::optional<ContentRange> parse_content_range(std::string_view text) {
  ContentRange range;
  const auto number = [&](uint64_t& value, char behind) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const auto length = static_cast<size_t>(end - text.data());
    if (error != std::errc()) return false;
    text.remove_prefix(length);
    if (behind == 0) return text.empty();
    if (text.empty() || text.front() != behind) return false;
    text.remove_prefix(1);
    return true;
  };
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  if (!number(range.first, '-') || !number(range.last, '/')) return std::nullopt;
  if (text == "*") return range;
  uint64_t total = 0;
  if (!number(total, 0)) return std::nullopt;
  range.total = total;
  return range;
}

tl::unexpected<Error> wrong_size(uint64_t server, uint64_t expected) {
  return make_error(ErrorCode::kNetwork,
                    "the server's file has {} bytes, and it should have {}; it may be another one, "
                    "or cut short by a proxy",
                    server, expected);
}

}  // namespace

PartTransfer::PartTransfer(const HttpClient& client, const TransferSource& source,
                           std::span<const FilePart> parts, Store store)
    : client_(client), source_(source), store_(std::move(store)) {
  for (const FilePart& part : parts) {
    auto mine = std::make_unique<Part>();
    mine->offset = part.offset;
    mine->size = part.size;
    mine->completed = part.completed;
    mine->arrived = PieceBuffer(part.offset + part.completed);
    parts_.push_back(std::move(mine));
  }
}

std::vector<uint64_t> PartTransfer::completed() const {
  std::vector<uint64_t> result;
  result.reserve(parts_.size());
  for (const auto& part : parts_) result.push_back(part->completed);
  return result;
}

uint64_t PartTransfer::total_completed() const {
  uint64_t total = 0;
  for (const auto& part : parts_) total += part->completed;
  return total;
}

uint64_t PartTransfer::frontier() const {
  uint64_t total = 0;
  for (const auto& part : parts_) {
    const uint64_t completed = part->completed;
    total += completed;
    if (completed < part->size) break;
  }
  return total;
}

Result<void> PartTransfer::run(const std::function<void()>& tick) {
  const auto n_missing = std::count_if(parts_.begin(), parts_.end(),
                                       [](const auto& part) { return !part->is_complete(); });
  const int n_workers = static_cast<int>(std::clamp<std::ptrdiff_t>(
      std::min<std::ptrdiff_t>(n_missing, source_.connections), n_missing > 0 ? 1 : 0, 64));
  n_working_ = n_workers;
  n_admitted_ = 1;
  {
    std::vector<std::jthread> workers;
    workers.reserve(static_cast<size_t>(n_workers));
    for (int i = 0; i < n_workers; ++i) workers.emplace_back([this, i] { work(i); });
    wait_for_workers(tick);
  }
  if (error_) return tl::unexpected<Error>(*error_);
  if (mode_ == Mode::kWhole) return fetch_whole(tick);
  return {};
}

void PartTransfer::wait_for_workers(const std::function<void()>& tick) {
  std::unique_lock lock(mutex_);
  while (n_working_ > 0) {
    const uint64_t before = received_;
    changed_.wait_for(lock, kTick, [&] { return n_working_ == 0; });
    if (received_ - before < kEnoughPerTick) {
      n_admitted_ = std::min(2 * n_admitted_, source_.connections);
      changed_.notify_all();
    }
    lock.unlock();
    tick();
    lock.lock();
  }
}

// The first worker finds out whether the server knows ranges; the others wait for that, and until
// they are needed.
void PartTransfer::work(int index) {
  if (index > 0) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return stop_ || next_ == parts_.size() || mode_ == Mode::kWhole ||
             (mode_ == Mode::kRanges && index < n_admitted_);
    });
  }
  while (!stop_ && mode_ != Mode::kWhole) {
    Part* const part = next_part();
    if (part == nullptr) break;
    auto result = fetch_part(*part);
    if (!result) fail(std::move(result.error()));
  }
  const std::lock_guard lock(mutex_);
  --n_working_;
  changed_.notify_all();
}

PartTransfer::Part* PartTransfer::next_part() {
  const std::lock_guard lock(mutex_);
  while (next_ < parts_.size()) {
    Part* const part = parts_[next_++].get();
    if (next_ == parts_.size()) changed_.notify_all();
    if (!part->is_complete()) return part;
  }
  return nullptr;
}

void PartTransfer::set_mode(Mode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  changed_.notify_all();
}

// The first error counts; it ends the other workers, too.
void PartTransfer::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  stop_ = true;
  changed_.notify_all();
}

Result<void> PartTransfer::fetch_part(Part& part) {
  BackOff back_off(client_.options());
  while (!part.is_complete()) {
    const uint64_t before = part.completed;
    HttpOutcome outcome = fetch_range(part);
    if (mode_ == Mode::kWhole) return {};
    if (part.is_complete()) break;
    if (part.completed > before) back_off.progressed();
    if (outcome.response && outcome.response->is_success()) {
      if (part.completed > before) continue;  // a shorter range than asked for is allowed
      outcome = {make_error(ErrorCode::kNetwork, "the server answered without any bytes"), true};
    }
    LLMRUN_TRY(back_off.wait(outcome, [this] { return stop_.load(); }));
  }
  part.arrived = PieceBuffer(part.arrived.end());  // its memory is for the next part
  return {};
}

HttpRequest PartTransfer::make_request() {
  HttpRequest request;
  request.cancelled = [this] { return stop_.load(); };
  const std::lock_guard lock(mutex_);
  request.headers = source_.headers;
  request.url = direct_url_.empty() ? source_.url : direct_url_;
  if (direct_url_.empty()) request.authorization = source_.authorization;
  return request;
}

HttpOutcome PartTransfer::fetch_range(Part& part) {
  HttpRequest request = make_request();
  const bool is_direct = request.url != source_.url;
  request.range = {part.offset + part.completed, part.offset + part.size - 1};
  request.on_head = [&](const HttpResponse& head) { return check_range(head, part); };
  request.sink = [&](std::span<const std::byte> bytes) { return store_in(part, bytes); };
  request.tick = [&] { return store_if_waiting(part); };
  HttpOutcome outcome = client_.try_once(request);
  if (auto stored = store_rest(part); !stored)
    return {tl::unexpected<Error>(stored.error()), false};
  if (is_direct && outcome.response && outcome.response->status >= 400 && !outcome.is_transient) {
    // The address was signed and has expired: ask the source for a new one.
    const std::lock_guard lock(mutex_);
    direct_url_.clear();
    outcome.is_transient = true;
  }
  return outcome;
}

Result<void> PartTransfer::check_range(const HttpResponse& head, const Part& part) {
  const uint64_t first = part.offset + part.completed;
  const uint64_t last = part.offset + part.size - 1;
  if (head.status == 200 && (first > 0 || last + 1 < source_.size)) {
    set_mode(Mode::kWhole);
    return make_error(ErrorCode::kNetwork, "the server does not know ranges");
  }
  if (head.status == 200) {
    const auto length = head.content_length();
    if (length && *length != source_.size) return wrong_size(*length, source_.size);
    return {};
  }
  const auto range = parse_content_range(head.header("content-range"));
  if (head.status != 206 || !range) {
    return make_error(ErrorCode::kNetwork, "the server answered {} without saying which bytes",
                      head.status);
  }
  if (range->total && *range->total != source_.size) return wrong_size(*range->total, source_.size);
  if (range->first != first || range->last > last || range->last < first) {
    return make_error(ErrorCode::kNetwork, "the server sent bytes {}-{} instead of {}-{}",
                      range->first, range->last, first, last);
  }
  const auto source = parse_url(source_.url);
  if (source && !source->same_origin(head.url)) {
    const std::lock_guard lock(mutex_);
    direct_url_ = head.url.text;
  }
  if (mode_ == Mode::kUnknown) set_mode(Mode::kRanges);
  return {};
}

Result<void> PartTransfer::store_in(Part& part, std::span<const std::byte> bytes) {
  const uint64_t end = part.offset + part.size;
  if (bytes.size() > end - part.arrived.end()) {
    return make_error(ErrorCode::kNetwork, "the server sent more bytes than it was asked for");
  }
  received_ += bytes.size();
  LLMRUN_TRY(part.arrived.add(bytes, writer_of(part)));
  return part.arrived.end() == end ? store_rest(part) : store_if_waiting(part);
}

Result<void> PartTransfer::store_if_waiting(Part& part) {
  if (Clock::now() - part.stored_at < kLongestWait) return {};
  return store_rest(part);
}

Result<void> PartTransfer::store_rest(Part& part) { return part.arrived.flush(writer_of(part)); }

PartTransfer::Store PartTransfer::writer_of(Part& part) {
  return [this, &part](uint64_t offset, std::span<const std::byte> bytes) -> Result<void> {
    LLMRUN_TRY(store_(offset, bytes));
    part.completed = offset + bytes.size() - part.offset;
    part.stored_at = Clock::now();
    return {};
  };
}

// Every try begins at the first byte; what is here already is passed over.
Result<void> PartTransfer::fetch_whole(const std::function<void()>& tick) {
  Result<void> result;
  n_working_ = 1;
  std::jthread worker([&] {
    BackOff back_off(client_.options());
    while (result && total_completed() < source_.size) {
      const uint64_t before = total_completed();
      HttpOutcome outcome = fetch_stream();
      if (total_completed() > before) back_off.progressed();
      if (total_completed() == source_.size) break;
      if (outcome.response && outcome.response->is_success()) {
        outcome = {make_error(ErrorCode::kNetwork, "the answer ended too early"), true};
      }
      result = back_off.wait(outcome);
    }
    const std::lock_guard lock(mutex_);
    n_working_ = 0;
    changed_.notify_all();
  });
  wait_for_workers(tick);
  worker.join();
  return result;
}

HttpOutcome PartTransfer::fetch_stream() {
  HttpRequest request = make_request();
  uint64_t position = 0;
  request.on_head = [&](const HttpResponse& head) -> Result<void> {
    const auto length = head.content_length();
    if (length && *length != source_.size) return wrong_size(*length, source_.size);
    return {};
  };
  request.sink = [&](std::span<const std::byte> bytes) -> Result<void> {
    if (bytes.size() > source_.size - position) return wrong_size(source_.size + 1, source_.size);
    LLMRUN_TRY(store_stream(position, bytes));
    position += bytes.size();
    return {};
  };
  request.tick = [&]() -> Result<void> {
    for (const auto& part : parts_) LLMRUN_TRY(store_if_waiting(*part));
    return {};
  };
  HttpOutcome outcome = client_.try_once(request);
  for (const auto& part : parts_) {
    if (auto stored = store_rest(*part); !stored)
      return {tl::unexpected<Error>(stored.error()), false};
  }
  return outcome;
}

Result<void> PartTransfer::store_stream(uint64_t position, std::span<const std::byte> bytes) {
  for (const auto& part : parts_) {
    const uint64_t wanted = part->arrived.end();
    const uint64_t part_end = part->offset + part->size;
    const uint64_t end = std::min(position + bytes.size(), part_end);
    if (wanted < position || wanted >= end) continue;
    LLMRUN_TRY(store_in(*part, bytes.subspan(wanted - position, end - wanted)));
  }
  return {};
}

}  // namespace llmrun::store
