// Selection and softmax over the candidates.
#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>

namespace llmrun::sampling {

Candidates::Candidates(size_t n_vocab)
    : items_(n_vocab), probabilities_(n_vocab), scratch_(n_vocab) {}

void Candidates::assign(std::span<const float> logits) {
  size_ = std::min(logits.size(), items_.size());
  sorted_ = 0;
  for (size_t i = 0; i < size_; ++i) items_[i] = {static_cast<TokenId>(i), logits[i]};
}

void Candidates::sort_first(size_t n) {
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
  sort_first(k);
  resize(k);
}

void Candidates::keep_at_least(float limit) {
  if (size_ == 0) return;
  const Candidate top = items_[best()];
  keep_if([&](size_t i) { return items_[i].logit >= limit; });
  if (size_ == 0) {
    items_[0] = top;
    size_ = sorted_ = 1;
  }
}

size_t Candidates::best() const {
  if (sorted_ > 0) return 0;
  size_t best = 0;
  for (size_t i = 1; i < size_; ++i) {
    if (better(items_[i], items_[best])) best = i;
  }
  return best;
}

std::span<const double> Candidates::probabilities() {
  if (size_ == 0) return {};
  const double top = items_[best()].logit;
  double sum = 0;
  for (size_t i = 0; i < size_; ++i) {
    probabilities_[i] = std::exp(static_cast<double>(items_[i].logit) - top);
    sum += probabilities_[i];
  }
  for (size_t i = 0; i < size_; ++i) probabilities_[i] /= sum;
  return {probabilities_.data(), size_};
}

}  // namespace llmrun::sampling
