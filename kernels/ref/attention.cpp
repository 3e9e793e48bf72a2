// Reference attention and the cache's row formats: scores of all visible keys, then their softmax.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/quant/float_formats.h"
#include "kernels/ref/ref.h"

namespace llmrun::kernels {

size_t cache_row_bytes(CacheType type, int64_t dim) {
  const auto n = static_cast<size_t>(dim);
  switch (type) {
    case CacheType::kF32:
      return n * 4;
    case CacheType::kF16:
    case CacheType::kBf16:
      return n * 2;
    case CacheType::kFp8E4m3:
      return n;
    case CacheType::kInt8:
      return n + sizeof(float);
  }
  return 0;
}

namespace ref {
namespace {

// The vector of one token within the tile of its head, [dim] values that lie `step` apart, and its
// scale (int8).
struct CacheVector {
  CacheType type;
  std::byte* scale;
  std::byte* first;
  size_t step;
};
CacheVector cache_vector(std::span<std::byte* const> pages, CacheType type, int64_t dim,
                         bool dim_major, int64_t head, int64_t position) {
  const auto t = static_cast<size_t>(position % kPageTokens);
  const size_t tile_bytes = kPageTokens * cache_row_bytes(type, dim);
  std::byte* tile =
      pages[static_cast<size_t>(position / kPageTokens)] + static_cast<size_t>(head) * tile_bytes;
  const size_t scales = type == CacheType::kInt8 ? kPageTokens * sizeof(float) : 0;
  const size_t element = (tile_bytes - scales) / static_cast<size_t>(kPageTokens * dim);
  std::byte* elements = tile + scales;
  if (dim_major) {
    return {type, tile + t * sizeof(float), elements + t * element, kPageTokens * element};
  }
  return {type, tile + t * sizeof(float), elements + t * static_cast<size_t>(dim) * element,
          element};
}

void encode(const float* values, int64_t dim, const CacheVector& to) {
  float largest = 0;
  for (int64_t i = 0; i < dim; ++i) largest = std::max(largest, std::abs(values[i]));
  const float scale = largest / 127.0F;
  const float inverse = largest > 0 ? 127.0F / largest : 0.0F;
  if (to.type == CacheType::kInt8) std::memcpy(to.scale, &scale, sizeof(scale));
  for (int64_t i = 0; i < dim; ++i) {
    std::byte* element = to.first + static_cast<size_t>(i) * to.step;
    const float value = values[i];
    switch (to.type) {
      case CacheType::kF32:
        std::memcpy(element, &value, sizeof(value));
        break;
      case CacheType::kF16:
      case CacheType::kBf16: {
        const uint16_t half = to.type == CacheType::kF16 ? quant::f16_from_float(value)
                                                         : quant::bf16_from_float(value);
        std::memcpy(element, &half, sizeof(half));
        break;
      }
      case CacheType::kFp8E4m3:
        *element = static_cast<std::byte>(quant::e4m3_from_float(value));
        break;
      case CacheType::kInt8:
        *element = static_cast<std::byte>(static_cast<int8_t>(std::nearbyint(value * inverse)));
        break;
    }
  }
}

void decode(const CacheVector& from, int64_t dim, float* values) {
  float scale = 0;
  if (from.type == CacheType::kInt8) std::memcpy(&scale, from.scale, sizeof(scale));
  for (int64_t i = 0; i < dim; ++i) {
    const std::byte* element = from.first + static_cast<size_t>(i) * from.step;
    uint16_t half = 0;
    switch (from.type) {
      case CacheType::kF32:
        std::memcpy(&values[i], element, sizeof(float));
        break;
      case CacheType::kF16:
      case CacheType::kBf16:
        std::memcpy(&half, element, sizeof(half));
        values[i] = from.type == CacheType::kF16 ? quant::float_from_f16(half)
                                                 : quant::float_from_bf16(half);
        break;
      case CacheType::kFp8E4m3:
        values[i] = quant::float_from_e4m3(static_cast<uint8_t>(*element));
        break;
      case CacheType::kInt8:
        values[i] = scale * static_cast<float>(static_cast<int8_t>(*element));
        break;
    }
  }
}

bool visible(const AttentionParams& p, int64_t query, int64_t key) {
  if (p.causal && key > query) return false;
  if (p.window > 0 && p.causal && query - key >= p.window) return false;
  if (p.window > 0 && !p.causal && std::abs(query - key) > p.window / 2) return false;
  return p.chunk <= 0 || query / p.chunk == key / p.chunk;
}

// The output of one query row and head.
void attend(const AttentionParams& p, int64_t t, int64_t head) {
  const int64_t query = p.first_position + t;
  const int64_t kv_head = head / (p.n_heads / p.n_kv_heads);
  const float* q = p.q.data + t * p.q.stride + head * p.k_dim;
  std::vector<float> row(static_cast<size_t>(std::max(p.k_dim, p.v_dim)));
  std::vector<double> scores(static_cast<size_t>(p.n_keys),
                             -std::numeric_limits<double>::infinity());
  double highest = p.sinks == nullptr ? -std::numeric_limits<double>::infinity()
                                      : static_cast<double>(p.sinks[head]);
  for (int64_t key = 0; key < p.n_keys; ++key) {
    if (!visible(p, query, key)) continue;
    decode(cache_vector(p.pages.k_pages, p.k_type, p.k_dim, !p.v_in_k, kv_head, key), p.k_dim,
           row.data());
    double score = 0;
    for (int64_t i = 0; i < p.k_dim; ++i) {
      score += static_cast<double>(q[i]) * static_cast<double>(row[static_cast<size_t>(i)]);
    }
    score *= static_cast<double>(p.scale);
    const auto cap = static_cast<double>(p.soft_cap);
    if (cap > 0) score = cap * std::tanh(score / cap);
    if (p.alibi_slopes != nullptr) {
      score -=
          static_cast<double>(p.alibi_slopes[head]) * static_cast<double>(std::abs(query - key));
    }
    scores[static_cast<size_t>(key)] = score;
    highest = std::max(highest, score);
  }
  double sum = p.sinks == nullptr ? 0.0 : std::exp(static_cast<double>(p.sinks[head]) - highest);
  std::vector<double> out(static_cast<size_t>(p.v_dim), 0.0);
  for (int64_t key = 0; key < p.n_keys; ++key) {
    if (!visible(p, query, key)) continue;
    const double weight = std::exp(scores[static_cast<size_t>(key)] - highest);
    sum += weight;
    const CacheType type = p.v_in_k ? p.k_type : p.v_type;
    const int64_t dim = p.v_in_k ? p.k_dim : p.v_dim;
    const auto pages = p.v_in_k ? p.pages.k_pages : p.pages.v_pages;
    decode(cache_vector(pages, type, dim, false, kv_head, key), dim, row.data());
    for (size_t i = 0; i < out.size(); ++i) out[i] += weight * static_cast<double>(row[i]);
  }
  float* y = p.y.data + t * p.y.stride + head * p.v_dim;
  for (size_t i = 0; i < out.size(); ++i) y[i] = sum > 0 ? static_cast<float>(out[i] / sum) : 0.0F;
}

}  // namespace

void kv_write(const KvWriteParams& p) {
  for (int64_t t = 0; t < p.k.n; ++t) {
    const int64_t position = p.first_position + t;
    for (int64_t head = 0; head < p.n_kv_heads; ++head) {
      const bool latent = p.v.data == nullptr;
      encode(p.k.data + t * p.k.stride + head * p.k_dim, p.k_dim,
             cache_vector(p.pages.k_pages, p.k_type, p.k_dim, !latent, head, position));
      if (latent) continue;
      encode(p.v.data + t * p.v.stride + head * p.v_dim, p.v_dim,
             cache_vector(p.pages.v_pages, p.v_type, p.v_dim, false, head, position));
    }
  }
}

void attention(const AttentionParams& params) {
  for (int64_t t = 0; t < params.q.n; ++t) {
    for (int64_t head = 0; head < params.n_heads; ++head) attend(params, t, head);
  }
}

}  // namespace ref
}  // namespace llmrun::kernels
