// Looking at the logits once, selection, and softmax over the candidates.
#include "sampling/candidates.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>

#include "base/exp.h"

namespace llmrun::sampling {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr size_t kBlock = 128;  // logits

size_t n_blocks(size_t n) { return (n + kBlock - 1) / kBlock; }

// Four at a time, as every x86-64 and ARM64 can: compilers keep the order of comparisons with NaN
// and so make no vector code of a plain loop.
using Floats = float __attribute__((vector_size(16)));
using Bits = int32_t __attribute__((vector_size(16)));
constexpr size_t kLanes = 4;
constexpr size_t kVectors = 4;  // at once: a comparison takes several cycles
constexpr size_t kGroup = kVectors * kLanes;

// The largest of a block; +inf when one is no number.
float top_of(std::span<const float> block) {
  const Floats infinite = {kInfinity, kInfinity, kInfinity, kInfinity};
  Floats top[kVectors];
  std::fill(std::begin(top), std::end(top), -infinite);
  Bits numbers = {-1, -1, -1, -1};
  size_t i = 0;
  for (; i + kGroup <= block.size(); i += kGroup) {
    Floats x[kVectors];
    std::memcpy(x, block.data() + i, sizeof(x));
    for (size_t j = 0; j < kVectors; ++j) {
      top[j] = x[j] > top[j] ? x[j] : top[j];
      numbers &= x[j] < infinite;
    }
  }
  float best = -kInfinity;
  bool all_numbers = true;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (const Floats& each : top) best = each[lane] > best ? each[lane] : best;
    all_numbers = all_numbers && numbers[lane] != 0;
  }
  for (; i < block.size(); ++i) {
    best = block[i] > best ? block[i] : best;
    all_numbers = all_numbers && block[i] < kInfinity;
  }
  return all_numbers ? best : kInfinity;
}

bool any_at_least(const float* group, float limit) {
  const Floats limits = {limit, limit, limit, limit};
  Floats x[kVectors];
  std::memcpy(x, group, sizeof(x));
  Bits any = {};
  for (const Floats& each : x) any |= each >= limits;
  uint64_t halves[2];
  std::memcpy(halves, &any, sizeof(any));
  return (halves[0] | halves[1]) != 0;
}

}  // namespace

Candidates::Candidates(size_t n_vocab)
    : changed_(n_vocab),
      items_(n_vocab),
      probabilities_(n_vocab),
      scratch_(n_vocab),
      is_changed_(n_blocks(n_vocab)) {
  block_tops_.reserve(n_blocks(n_vocab));
  sorted_tops_.reserve(n_blocks(n_vocab));
}

// ---- by id -------------------------------------------------------------------------------------

void Candidates::assign(std::span<const float> logits) {
  logits_ = logits.first(std::min(logits.size(), items_.size()));
  size_ = logits_.size();
  sorted_ = 0;
  is_list_ = false;
  std::fill(is_changed_.begin(), is_changed_.end(), false);
  block_tops_.clear();
  for (size_t block = 0; block < n_blocks(size_); ++block) {
    block_tops_.push_back(top_of(block_of(block)));
  }
}

std::span<const float> Candidates::block_of(size_t block) const {
  const size_t first = block * kBlock;
  const size_t n = std::min(kBlock, logits_.size() - first);
  return {(is_changed_[block] ? changed_.data() : logits_.data()) + first, n};
}

void Candidates::assign(std::span<const TokenId> ids, std::span<const float> logits) {
  size_ = std::min({ids.size(), logits.size(), items_.size()});
  for (size_t i = 0; i < size_; ++i) items_[i] = {ids[i], logits[i]};
  const auto end = items_.begin() + static_cast<ptrdiff_t>(size_);
  std::sort(items_.begin(), end,
            [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  const auto last = std::unique(
      items_.begin(), end, [](const Candidate& a, const Candidate& b) { return a.id == b.id; });
  size_ = static_cast<size_t>(last - items_.begin());
  sorted_ = 0;
  is_list_ = true;
}

// Of a list by id; size_ when it is not there.
size_t Candidates::place_in_list(TokenId id) const {
  const auto end = items_.begin() + static_cast<ptrdiff_t>(size_);
  const auto at = std::lower_bound(items_.begin(), end, id,
                                   [](const Candidate& a, TokenId b) { return a.id < b; });
  return static_cast<size_t>((at != end && at->id == id ? at : end) - items_.begin());
}

bool Candidates::has(TokenId id) const {
  return is_list_ ? place_in_list(id) < size_ : id >= 0 && static_cast<size_t>(id) < size_;
}

void Candidates::change(TokenId id, float logit) {
  if (is_list_) {
    items_[place_in_list(id)].logit = logit;
    return;
  }
  const size_t block = static_cast<size_t>(id) / kBlock;
  if (!is_changed_[block]) {
    const auto original = block_of(block);
    std::copy(original.begin(), original.end(),
              changed_.begin() + static_cast<ptrdiff_t>(block * kBlock));
    is_changed_[block] = true;
  }
  changed_[static_cast<size_t>(id)] = logit;
  block_tops_[block] = top_of(block_of(block));
}

float Candidates::logit_of(TokenId id) const {
  if (is_list_) return items_[place_in_list(id)].logit;
  const auto at = static_cast<size_t>(id);
  return block_of(at / kBlock)[at % kBlock];
}

Candidates::Condition Candidates::condition() const {
  if (is_list_) {
    const auto all = std::span(items_).first(size_);
    if (!std::all_of(all.begin(), all.end(),
                     [](const Candidate& c) { return c.logit < kInfinity; }))
      return Condition::kNoNumber;
    return size_ == 0 || top().logit == -kInfinity ? Condition::kNonePossible : Condition::kGood;
  }
  const auto top = std::max_element(block_tops_.begin(), block_tops_.end());
  if (top == block_tops_.end() || *top == -kInfinity) return Condition::kNonePossible;
  return *top == kInfinity ? Condition::kNoNumber : Condition::kGood;
}

size_t Candidates::best() const {
  if (sorted_ > 0) return 0;
  if (is_list_) {
    const auto end = items_.begin() + static_cast<ptrdiff_t>(size_);
    return static_cast<size_t>(std::min_element(items_.begin(), end, better) - items_.begin());
  }
  const auto top = std::max_element(block_tops_.begin(), block_tops_.end());
  const auto index = static_cast<size_t>(top - block_tops_.begin());
  const auto block = block_of(index);
  return index * kBlock +
         static_cast<size_t>(std::find(block.begin(), block.end(), *top) - block.begin());
}

Candidate Candidates::top() const {
  const size_t at = best();
  return is_list_ ? items_[at]
                  : Candidate{static_cast<TokenId>(at), logit_of(static_cast<TokenId>(at))};
}

// ---- the list ----------------------------------------------------------------------------------

void Candidates::list_at_least(float limit) {
  is_list_ = true;
  size_ = 0;
  for (size_t block = 0; block < block_tops_.size(); ++block) {
    if (block_tops_[block] < limit) continue;
    const auto logits = block_of(block);
    for (size_t first = 0; first < logits.size(); first += kGroup) {
      const size_t end = std::min(first + kGroup, logits.size());
      if (end - first == kGroup && !any_at_least(logits.data() + first, limit)) continue;
      for (size_t i = first; i < end; ++i) {
        if (logits[i] < limit) continue;
        items_[size_++] = {static_cast<TokenId>(block * kBlock + i), logits[i]};
      }
    }
  }
}

void Candidates::make_list() {
  is_list_ = true;
  size_ = 0;
  for (size_t block = 0; block < block_tops_.size(); ++block) {
    auto id = static_cast<TokenId>(block * kBlock);
    for (const float logit : block_of(block)) items_[size_++] = {id++, logit};
  }
}

// When k blocks have tops of at least some value, the k best are not below it. False: there are
// not enough blocks to tell.
bool Candidates::list_around_best(size_t k) {
  if (k > block_tops_.size()) return false;
  sorted_tops_ = block_tops_;
  const auto kth = sorted_tops_.begin() + static_cast<ptrdiff_t>(k - 1);
  std::nth_element(sorted_tops_.begin(), kth, sorted_tops_.end(), std::greater<>());
  list_at_least(*kth);
  return true;
}

void Candidates::sort_first(size_t n) {
  if (!is_list_) make_list();
  n = std::min(n, size_);
  if (n <= sorted_) return;
  const auto begin = items_.begin();
  const auto end = begin + static_cast<ptrdiff_t>(size_);
  const auto from = begin + static_cast<ptrdiff_t>(sorted_);
  const auto middle = begin + static_cast<ptrdiff_t>(n);
  // A heap of n rejects nearly every candidate with one comparison; for a large n that heap no
  // longer fits the cache and selecting first is faster.
  constexpr ptrdiff_t kHeapLimit = 1024;
  if (middle - from <= kHeapLimit) {
    std::partial_sort(from, middle, end, better);
  } else {
    if (middle != end) std::nth_element(from, middle, end, better);
    std::sort(from, middle, better);
  }
  sorted_ = n;
}

void Candidates::keep_best(size_t k) {
  k = std::max<size_t>(k, 1);
  if (!is_list_ && !list_around_best(k)) make_list();
  sort_first(k);
  resize(k);
}

void Candidates::resize(size_t n) {
  if (!is_list_) make_list();
  size_ = std::min(n, size_);
  sorted_ = std::min(sorted_, size_);
}

void Candidates::keep_at_least(float limit) {
  if (size_ == 0) return;
  const Candidate best = top();
  if (is_list_) {
    keep_if([&](size_t i) { return items_[i].logit >= limit; });
  } else {
    list_at_least(limit);
  }
  if (size_ == 0) {
    items_[0] = best;
    size_ = sorted_ = 1;
  }
}

std::span<const double> Candidates::probabilities() {
  if (size_ == 0) return {};
  if (!is_list_) make_list();
  const double top = items_[best()].logit;
  double sum = 0;
  for (size_t i = 0; i < size_; ++i) {
    probabilities_[i] = exp_negative(static_cast<double>(items_[i].logit) - top);
    sum += probabilities_[i];
  }
  for (size_t i = 0; i < size_; ++i) probabilities_[i] /= sum;
  return {probabilities_.data(), size_};
}

}  // namespace llmrun::sampling
