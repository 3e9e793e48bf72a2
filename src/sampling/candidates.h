// The tokens that may still be drawn, with their logits. Allocated once for the vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llmrun/message.h"

namespace llmrun::sampling {

struct Candidate {
  TokenId id = 0;
  float logit = 0.0F;
};

// Candidates in one of two orders: by id (as assigned), or best first once a stage sorted them.
// Ties in the logit go to the lower id everywhere, so that every result is a function of the input.
class Candidates {
 public:
  explicit Candidates(size_t n_vocab);

  void assign(std::span<const float> logits);
  [[nodiscard]] std::span<Candidate> items() { return {items_.data(), size_}; }
  [[nodiscard]] std::span<const Candidate> items() const { return {items_.data(), size_}; }
  [[nodiscard]] size_t size() const { return size_; }
  // Candidate `id` in an array that no stage has cut or sorted yet.
  [[nodiscard]] Candidate& by_id(TokenId id) { return items_[static_cast<size_t>(id)]; }

  // Keeps the k best, sorted best first. Selects, never sorts the whole vocabulary.
  void keep_best(size_t k);
  // Makes the first n (or all) candidates the n best in order; the others follow in any order.
  void sort_first(size_t n);
  // Keeps the first n.
  void resize(size_t n) {
    size_ = n < size_ ? n : size_;
    sorted_ = sorted_ < size_ ? sorted_ : size_;
  }
  // Keeps those with logit >= limit, in their order. At least the best one stays.
  void keep_at_least(float limit);

  // Keeps the candidates at the positions for which keep(position) holds, in their order.
  template <typename Predicate>
  void keep_if(const Predicate& keep) {
    size_t kept = 0;
    size_t kept_sorted = 0;
    for (size_t i = 0; i < size_; ++i) {
      if (!keep(i)) continue;
      if (i < sorted_) ++kept_sorted;
      items_[kept++] = items_[i];
    }
    size_ = kept;
    sorted_ = kept_sorted;
  }

  // Position of the best candidate; the array must not be empty.
  [[nodiscard]] size_t best() const;
  // Softmax over the candidates, in their order, in a buffer that lives as long as the array.
  // Valid until the next call.
  std::span<const double> probabilities();
  // A second buffer of the same size for a stage's own use.
  std::span<double> scratch() { return {scratch_.data(), size_}; }

 private:
  std::vector<Candidate> items_;
  std::vector<double> probabilities_;
  std::vector<double> scratch_;
  size_t size_ = 0;
  size_t sorted_ = 0;  // so many at the front are the best ones, in order
};

// Memory that one token of the vocabulary takes here and in the counts of the chain.
inline constexpr uint64_t kBytesPerCandidate =
    sizeof(Candidate) + 2 * sizeof(double) + sizeof(int32_t);

// Better candidates come first.
inline bool better(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace llmrun::sampling
