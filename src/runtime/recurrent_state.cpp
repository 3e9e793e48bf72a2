// Layout of recurrent states. Nothing is allocated after construction.
#include "runtime/recurrent_state.h"

#include <algorithm>

namespace llmrun::runtime {

namespace {
constexpr int64_t kAlignment = 16;  // floats: a cache line

int64_t aligned(int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }
}  // namespace

StateLayout state_layout(const ModelSpec& spec) {
  StateLayout layout;
  for (const LayerSpec& layer : spec.layers) {
    const StateShape shape = state_shape(layer);
    const int64_t window = layout.sequence_floats;
    const int64_t memory = window + aligned(shape.window_rows * shape.window_width);
    layout.sequence_floats = memory + aligned(shape.memory);
    layout.layers.push_back({shape, window, memory});
  }
  return layout;
}

RecurrentStates::RecurrentStates(StateLayout layout, std::unique_ptr<kernels::Buffer> buffer)
    : layout_(std::move(layout)), buffer_(std::move(buffer)) {}

void RecurrentStates::clear(SequenceId id) {
  std::fill_n(state(id), layout_.sequence_floats, 0.0F);
}

void RecurrentStates::copy(SequenceId from, SequenceId to) {
  std::copy_n(state(from), layout_.sequence_floats, state(to));
}

float* RecurrentStates::window(SequenceId id, size_t layer) const {
  return state(id) + layout_.layers[layer].window;
}

float* RecurrentStates::memory(SequenceId id, size_t layer) const {
  return state(id) + layout_.layers[layer].memory;
}

float* RecurrentStates::state(SequenceId id) const {
  return reinterpret_cast<float*>(buffer_->data()) + id * layout_.sequence_floats;
}

}  // namespace llmrun::runtime
