// Layout of recurrent states. Nothing is allocated after construction.
#include "runtime/recurrent_state.h"

#include <algorithm>

#include "base/error.h"

namespace llmrun::runtime {

namespace {
constexpr int64_t kAlignment = 16;  // floats: a cache line

int64_t aligned(int64_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }
}  // namespace

StateLayout state_layout(const ModelSpec& spec, const LayerDevices& devices) {
  StateLayout layout;
  layout.device_floats.resize(devices.count);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    const StateShape shape = state_shape(spec.layers[i]);
    const uint8_t device = devices[i];
    const int64_t window = layout.device_floats[device];
    const int64_t memory = window + aligned(shape.window_rows * shape.window_width);
    const int64_t ngram_window = memory + aligned(shape.memory);
    layout.device_floats[device] = ngram_window + aligned(shape.ngram_window);
    layout.layers.push_back({shape, window, memory, ngram_window, device});
  }
  for (const int64_t n : layout.device_floats) layout.sequence_floats += n;
  layout.n_tokens_back = n_tokens_back(spec);
  return layout;
}

RecurrentStates::RecurrentStates(StateLayout layout, Buffers buffers, int64_t max_sequences,
                                 int64_t n_states)
    : layout_(std::move(layout)),
      buffers_(std::move(buffers)),
      last_tokens_(static_cast<size_t>(n_states * layout_.n_tokens_back), kNoToken) {
  for (int64_t id = n_states - 1; id >= max_sequences; --id) {
    free_places_.push_back(static_cast<SequenceId>(id));
  }
}

std::optional<SequenceId> RecurrentStates::take_place() {
  if (free_places_.empty()) return std::nullopt;
  const SequenceId id = free_places_.back();
  free_places_.pop_back();
  return id;
}

size_t RecurrentStates::n_bytes() const {
  return static_cast<size_t>(layout_.sequence_floats) * sizeof(float) +
         static_cast<size_t>(layout_.n_tokens_back) * sizeof(TokenId);
}

Result<void> RecurrentStates::read(SequenceId id, std::span<std::byte> to) const {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    const size_t bytes = state_bytes(device);
    LLMRUN_TRY(buffers_[device]->read(to.data(), state_offset(device, id), bytes));
    to = to.subspan(bytes);
  }
  const auto tokens = std::as_bytes(last_tokens(id));
  std::copy(tokens.begin(), tokens.end(), to.begin());
  return {};
}

void RecurrentStates::write(SequenceId id, std::span<const std::byte> from) {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    const size_t bytes = state_bytes(device);
    buffers_[device]->write(state_offset(device, id), from.data(), bytes);
    from = from.subspan(bytes);
  }
  std::copy(from.begin(), from.end(), std::as_writable_bytes(tokens(id)).begin());
}

void RecurrentStates::clear(SequenceId id) {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    buffers_[device]->clear(state_offset(device, id), state_bytes(device));
  }
  std::fill_n(last_tokens_.begin() + id * layout_.n_tokens_back, layout_.n_tokens_back, kNoToken);
}

void RecurrentStates::copy(SequenceId from, SequenceId to) {
  for (size_t device = 0; device < buffers_.size(); ++device) {
    buffers_[device]->copy(state_offset(device, to), state_offset(device, from),
                           state_bytes(device));
  }
  std::copy_n(last_tokens_.begin() + from * layout_.n_tokens_back, layout_.n_tokens_back,
              last_tokens_.begin() + to * layout_.n_tokens_back);
}

std::span<const TokenId> RecurrentStates::last_tokens(SequenceId id) const {
  return {last_tokens_.data() + id * layout_.n_tokens_back,
          static_cast<size_t>(layout_.n_tokens_back)};
}

void RecurrentStates::remember(SequenceId id, std::span<const TokenId> tokens) {
  const auto back = static_cast<size_t>(layout_.n_tokens_back);
  TokenId* const last = last_tokens_.data() + static_cast<size_t>(id) * back;
  const size_t n_new = std::min(back, tokens.size());
  std::copy(last + n_new, last + back, last);
  std::copy(tokens.end() - static_cast<ptrdiff_t>(n_new), tokens.end(), last + back - n_new);
}

float* RecurrentStates::window(SequenceId id, size_t layer) const {
  const StateLayout::Layer& at = layout_.layers[layer];
  return state(at.device, id) + at.window;
}

float* RecurrentStates::memory(SequenceId id, size_t layer) const {
  const StateLayout::Layer& at = layout_.layers[layer];
  return state(at.device, id) + at.memory;
}

float* RecurrentStates::ngram_window(SequenceId id, size_t layer) const {
  const StateLayout::Layer& at = layout_.layers[layer];
  return state(at.device, id) + at.ngram_window;
}

float* RecurrentStates::state(size_t device, SequenceId id) const {
  return reinterpret_cast<float*>(buffers_[device]->data()) + id * layout_.device_floats[device];
}

}  // namespace llmrun::runtime
