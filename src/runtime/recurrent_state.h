// What recurrent mixers remember of each sequence, in float32: a fixed piece of memory per sequence
// that never grows, from one buffer whose size the memory plan gives. It is the state after the
// sequence's last token and nothing else, so a sequence cannot go back to an earlier token (see
// Context::restorable). Whoever wants to go on from there later keeps a copy, of which there is
// room for a planned number. Where layers are divided among devices, so is every state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/backend.h"
#include "runtime/batch.h"
#include "runtime/layer_devices.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// Where the layers' parts of a sequence's state lie, in floats; each device has a part of its own.
struct StateLayout {
  struct Layer {
    StateShape shape;
    int64_t window = 0;
    int64_t memory = 0;
    int64_t ngram_window = 0;
    uint8_t device = 0;
  };
  std::vector<Layer> layers;
  std::vector<int64_t> device_floats;  // of the part of a sequence's state on each device
  int64_t sequence_floats = 0;         // their sum
  int64_t n_tokens_back = 0;           // last tokens that are remembered
};
StateLayout state_layout(const ModelSpec& spec, const LayerDevices& devices = {});

class RecurrentStates {
 public:
  using Buffers = std::vector<std::unique_ptr<kernels::Buffer>>;
  // Each device's buffer holds its parts of n_states states, of which those of `max_sequences`
  // sequences are the first and the others are for copies.
  RecurrentStates(StateLayout layout, Buffers buffers, int64_t max_sequences, int64_t n_states);

  // False: the model remembers nothing but keys and values.
  [[nodiscard]] bool any() const {
    return layout_.sequence_floats > 0 || layout_.n_tokens_back > 0;
  }
  // The state before the first token.
  void clear(SequenceId id);
  void copy(SequenceId from, SequenceId to);

  // A place for a copy, named like a sequence; nothing when all are taken.
  std::optional<SequenceId> take_place();
  void release_place(SequenceId id) { free_places_.push_back(id); }
  // All that a place or a sequence holds, as n_bytes() bytes, as KvCache::read() and write().
  [[nodiscard]] size_t n_bytes() const;
  Result<void> read(SequenceId id, std::span<std::byte> to) const;
  void write(SequenceId id, std::span<const std::byte> from);

  // The rows that entered the convolutions of a layer: [window_rows, window_width].
  [[nodiscard]] float* window(SequenceId id, size_t layer) const;
  [[nodiscard]] float* memory(SequenceId id, size_t layer) const;
  [[nodiscard]] float* ngram_window(SequenceId id, size_t layer) const;

  static constexpr TokenId kNoToken = -1;  // before the first
  // The tokens before the next one, the latest last.
  [[nodiscard]] std::span<const TokenId> last_tokens(SequenceId id) const;
  // The sequence went on with `tokens`.
  void remember(SequenceId id, std::span<const TokenId> tokens);

 private:
  [[nodiscard]] float* state(size_t device, SequenceId id) const;
  [[nodiscard]] std::span<TokenId> tokens(SequenceId id) {
    return std::span(last_tokens_)
        .subspan(static_cast<size_t>(id * layout_.n_tokens_back),
                 static_cast<size_t>(layout_.n_tokens_back));
  }
  [[nodiscard]] size_t state_bytes(size_t device) const {
    return static_cast<size_t>(layout_.device_floats[device]) * sizeof(float);
  }
  [[nodiscard]] size_t state_offset(size_t device, SequenceId id) const {
    return static_cast<size_t>(id) * state_bytes(device);
  }

  StateLayout layout_;
  Buffers buffers_;
  std::vector<TokenId> last_tokens_;  // [n_states, n_tokens_back]
  std::vector<SequenceId> free_places_;
};

}  // namespace llmrun::runtime
