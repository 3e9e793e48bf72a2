// Rotation, the cache and attention: of several sequences, whose page tables are sent ahead.
#include <algorithm>
#include <functional>
#include <vector>

#include "kernels/cuda/ops.h"
#include "kernels/cuda/sizes.h"

namespace llmrun::kernels::cuda {
namespace {

// Whether no float of one is a float of the other.
bool are_apart(const Rows& a, const Rows& b) {
  const auto end = [](const Rows& rows) {
    return rows.data + (rows.n - 1) * rows.stride + rows.width;
  };
  return std::less_equal<>()(end(a), b.data) || std::less_equal<>()(end(b), a.data);
}

// The rope of the call whose rows are the keys of all places, in their order; -1: none.
int rope_of_keys(const RotateCall& call, const KvWriteParams& write,
                 std::span<const WritePlace> places) {
  for (int i = 0; i < call.n_ropes; ++i) {
    const RopeParams& rope = call.ropes[static_cast<size_t>(i)].op;
    const bool fits = rope.n_heads == write.n_kv_heads && rope.head_stride == write.k_dim &&
                      rope.x.stride == write.k.stride &&
                      rope.x.n == places.back().first_row + places.back().n_tokens;
    if (fits && std::all_of(places.begin(), places.end(), [&](const WritePlace& place) {
          return place.k == rope.x.data + place.first_row * rope.x.stride;
        })) {
      return i;
    }
  }
  return -1;
}

}  // namespace

// Ropes one after the other, and the writing of what they rotated, are one launch: the later one
// takes the launch before it back and does its work too.
void CudaOps::rotate(const RotateCall& call, std::string_view what) {
  check(launch_rotate(call, queue_), what);
  rotated_ = call;
  if (call.write.places != nullptr) rotated_.n_ropes = 0;  // nothing joins it any more
}

void CudaOps::rope(const RopeParams& params) {
  if (params.x.n == 0) return;
  const int32_t* const positions = upload(params.positions.data(), params.positions.size());
  if (positions == nullptr) return;
  RotateCall call;
  const RopeParams& before = rotated_.ropes[0].op;
  if (rotated_.n_ropes == 1 && before.x.n == params.x.n && are_apart(before.x, params.x) &&
      queue_.take_back()) {
    call = rotated_;
  }
  call.ropes[static_cast<size_t>(call.n_ropes++)] = {params, positions};
  rotate(call, "rope");
}

void CudaOps::kv_write(std::span<const KvWriteParams> sequences) {
  std::vector<WritePlace> places;
  RotateCall call;
  int64_t n_tokens = 0;
  for (const KvWriteParams& params : sequences) {
    if (params.k.n == 0) continue;
    places.push_back({.k = params.k.data,
                      .v = params.v.data,
                      .k_pages = upload(params.pages.k_pages.data(), params.pages.k_pages.size()),
                      .v_pages = upload(params.pages.v_pages.data(), params.pages.v_pages.size()),
                      .first_row = n_tokens,
                      .first_position = params.first_position,
                      .n_tokens = params.k.n});
    n_tokens += params.k.n;
    call.write.max_tokens = std::max(call.write.max_tokens, params.k.n);
  }
  if (places.empty()) return;
  call.write.op = sequences[0];
  call.write.places = upload(places.data(), places.size());
  call.write.n_places = static_cast<int64_t>(places.size());
  if (call.write.places == nullptr) return;
  const int key_rope = rope_of_keys(rotated_, call.write.op, places);
  if (key_rope >= 0 && queue_.take_back()) {
    call.ropes = rotated_.ropes;
    call.n_ropes = rotated_.n_ropes;
    call.key_rope = key_rope;
  }
  rotate(call, "kv_write");
}

// Texts of many tokens and of few are different launches; of few, so many that their partial
// results have room.
void CudaOps::attention(std::span<const AttentionParams> sequences) {
  while (!sequences.empty()) {
    int64_t n_split = 0;
    size_t n = 0;
    for (; n < sequences.size(); ++n) {
      const int64_t more = sequences[n].q.n <= kSplitTokens ? sequences[n].q.n : 0;
      if (n_split + more > kMaxSplitRows) break;
      n_split += more;
    }
    attend(sequences.first(n), true);
    attend(sequences.first(n), false);
    sequences = sequences.subspan(n);
  }
}

// The sequences that are split, or the others.
void CudaOps::attend(std::span<const AttentionParams> sequences, bool split) {
  std::vector<AttendPlace> places;
  AttendCall call;
  Rows y;  // of all places, while they lie side by side; else n is 0
  for (const AttentionParams& params : sequences) {
    if (params.q.n == 0 || (params.q.n <= kSplitTokens) != split) continue;
    AttendPlace place{.q = params.q.data,
                      .y = params.y.data,
                      .k_pages = upload(params.pages.k_pages.data(), params.pages.k_pages.size()),
                      .v_pages = upload(params.pages.v_pages.data(), params.pages.v_pages.size()),
                      .first_position = params.first_position,
                      .n_tokens = params.q.n,
                      .n_keys = params.n_keys,
                      .first_row = call.n_tokens};
    set_segments(params, place);
    if (places.empty()) y = {params.y.data, 0, params.y.width, params.y.stride};
    y.n = params.y.data == y.data + call.n_tokens * y.stride ? call.n_tokens + params.q.n : 0;
    call.max_tokens = std::max(call.max_tokens, params.q.n);
    call.max_segments = std::max(call.max_segments, place.last_segment - place.first_segment + 1);
    call.n_tokens += params.q.n;
    places.push_back(place);
  }
  if (places.empty()) return;
  call.op = sequences[0];
  if (split) {
    const bool quantizes = quantizes_ && y.n == call.n_tokens && call.op.v_dim % 32 == 0;
    const size_t quantized = quantizes ? quantized_bytes(y.n, y.width) : 0;
    const int64_t floats = attention_scratch_floats(call.n_tokens, call.op.n_heads, call.op.v_dim);
    std::byte* const at =
        scratch(quantized + static_cast<size_t>(floats) * sizeof(float), "scratch of attention");
    if (at == nullptr) return;
    if (quantizes) call.quantized = lay_out(at, y.n * y.width);
    call.scratch = reinterpret_cast<float*>(at + quantized);
  }
  call.places = upload(places.data(), places.size());
  call.n_places = static_cast<int64_t>(places.size());
  if (call.places == nullptr) return;
  check(launch_attention(call, queue_), "attention");
  beside_ = {y, call.quantized};
}

}  // namespace llmrun::kernels::cuda
