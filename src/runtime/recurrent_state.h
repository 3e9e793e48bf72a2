// What recurrent mixers remember of each sequence, in float32: a fixed piece of memory per sequence
// that never grows, from one buffer whose size the memory plan gives. It is the state after the
// sequence's last token and nothing else, so a sequence cannot go back to an earlier token (see
// Context::restorable). Checkpoints at page borders would lie here, beside `buffer_`.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "runtime/batch.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// Where the layers' parts of a sequence's state lie, in floats.
struct StateLayout {
  struct Layer {
    StateShape shape;
    int64_t window = 0;
    int64_t memory = 0;
  };
  std::vector<Layer> layers;
  int64_t sequence_floats = 0;
};
StateLayout state_layout(const ModelSpec& spec);

class RecurrentStates {
 public:
  // `buffer` holds the states of as many sequences as the context has.
  RecurrentStates(StateLayout layout, std::unique_ptr<kernels::Buffer> buffer);

  // False: the model has no recurrent mixer.
  [[nodiscard]] bool any() const { return layout_.sequence_floats > 0; }
  // The state before the first token.
  void clear(SequenceId id);
  void copy(SequenceId from, SequenceId to);

  // The rows that entered the convolutions of a layer: [window_rows, window_width].
  [[nodiscard]] float* window(SequenceId id, size_t layer) const;
  [[nodiscard]] float* memory(SequenceId id, size_t layer) const;

 private:
  [[nodiscard]] float* state(SequenceId id) const;

  StateLayout layout_;
  std::unique_ptr<kernels::Buffer> buffer_;
};

}  // namespace llmrun::runtime
