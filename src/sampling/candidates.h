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

// Candidates in one of three forms: the logits themselves, by id, as assigned; a list by id; or a
// list with the best first, once a stage sorted it. The list is made only for stages that need it:
// greedy and top-k look at a few blocks of the logits, whose largest values one pass has found.
// Ties in the logit go to the lower id everywhere, so that every result is a function of the input.
class Candidates {
 public:
  explicit Candidates(size_t n_vocab);

  // All tokens. The logits must stay where they are until the next call; they are not written to.
  void assign(std::span<const float> logits);
  // Some tokens of a larger vocabulary: these, in any order, each as often as they come.
  void assign(std::span<const TokenId> ids, std::span<const float> logits);
  // What the stages rely on: no NaN, no +inf, and at least one token that is possible.
  enum class Condition : uint8_t { kGood, kNoNumber, kNonePossible };
  [[nodiscard]] Condition condition() const;
  // Whether the token is a candidate, and its logit, before any stage cut or sorted.
  [[nodiscard]] bool has(TokenId id) const;
  [[nodiscard]] float logit_of(TokenId id) const;
  void change(TokenId id, float logit);

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] std::span<Candidate> items() {
    if (!is_list_) make_list();
    return {items_.data(), size_};
  }
  // The best candidate, and its position; there must be one.
  [[nodiscard]] Candidate top() const;
  [[nodiscard]] size_t best() const;

  // Keeps the k best, sorted best first. Selects, never sorts the whole vocabulary.
  void keep_best(size_t k);
  // Makes the first n (or all) candidates the n best in order; the others follow in any order.
  void sort_first(size_t n);
  // Keeps the first n.
  void resize(size_t n);
  // Keeps those with logit >= limit, in their order. At least the best one stays.
  void keep_at_least(float limit);

  // Keeps the candidates at the positions for which keep(position) holds, in their order.
  template <typename Predicate>
  void keep_if(const Predicate& keep) {
    const auto all = items();
    size_t kept = 0;
    size_t kept_sorted = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!keep(i)) continue;
      if (i < sorted_) ++kept_sorted;
      all[kept++] = all[i];
    }
    size_ = kept;
    sorted_ = kept_sorted;
  }

  // Softmax over the candidates, in their order, in a buffer that lives as long as the array.
  // Valid until the next call.
  std::span<const double> probabilities();
  // A second buffer of the same size for a stage's own use.
  std::span<double> scratch() { return {scratch_.data(), size_}; }

 private:
  [[nodiscard]] size_t place_in_list(TokenId id) const;
  [[nodiscard]] std::span<const float> block_of(size_t block) const;
  void make_list();
  void list_at_least(float limit);
  bool list_around_best(size_t k);

  std::span<const float> logits_;  // by id, as assigned
  std::vector<float> changed_;     // by id; blocks for which is_changed_
  bool is_list_ = false;           // items_ holds the candidates; before, the logits do
  std::vector<Candidate> items_;
  std::vector<double> probabilities_;
  std::vector<double> scratch_;
  size_t size_ = 0;
  size_t sorted_ = 0;  // so many at the front are the best ones, in order

  // For each block of logits, while there is no list.
  std::vector<uint8_t> is_changed_;
  std::vector<float> block_tops_;  // the largest; +inf: one is no number
  std::vector<float> sorted_tops_;
};

// Memory that one token of the vocabulary takes here and in the counts of a Workspace.
inline constexpr uint64_t kBytesPerCandidate =
    sizeof(float) + sizeof(Candidate) + 2 * sizeof(double) + sizeof(int32_t);

// Better candidates come first.
inline bool better(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace llmrun::sampling
