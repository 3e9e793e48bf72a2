// Reference row-wise ops: normalisation, rotary embedding, activations, sums and scalings.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/ref/ref.h"

namespace llmrun::kernels::ref {

double activate(Activation activation, double x) {
  const auto sigmoid = [](double v) { return 1.0 / (1.0 + std::exp(-v)); };
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kSilu:
      return x * sigmoid(x);
    case Activation::kGelu:  // Hendrycks and Gimpel 2016, the tanh approximation
      return 0.5 * x *
             (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::kGeluErf:
      return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
    case Activation::kGeluQuick:
      return x * sigmoid(1.702 * x);
    case Activation::kRelu:
      return std::max(x, 0.0);
    case Activation::kRelu2:
      return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kSigmoid:
      return sigmoid(x);
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSoftplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case Activation::kExp:
      return std::exp(x);
    case Activation::kReciprocal:
      return 1.0 / x;
  }
  return x;
}

void norm(const NormParams& params) {
  for (int64_t t = 0; t < params.x.n; ++t) {
    for (int64_t first = 0; first < params.x.width; first += params.group) {
      const float* x = params.x.data + t * params.x.stride + first;
      float* y = params.y.data + t * params.y.stride + first;
      const auto n = params.kind == NormKind::kLength ? 1.0 : static_cast<double>(params.group);
      double mean = 0;
      if (params.kind == NormKind::kLayer) {
        for (int64_t i = 0; i < params.group; ++i) mean += static_cast<double>(x[i]) / n;
      }
      double square = 0;
      for (int64_t i = 0; i < params.group; ++i) {
        const double centred = static_cast<double>(x[i]) - mean;
        square += centred * centred;
      }
      const double factor = 1.0 / std::sqrt(square / n + static_cast<double>(params.eps));
      for (int64_t i = 0; i < params.group; ++i) {
        const int64_t w = params.weight_size == params.group ? i : first + i;
        double value = (static_cast<double>(x[i]) - mean) * factor;
        if (params.weight != nullptr) value *= static_cast<double>(params.weight[w]);
        if (params.bias != nullptr) value += static_cast<double>(params.bias[w]);
        y[i] = static_cast<float>(value);
      }
    }
  }
}

void rope(const RopeParams& params) {
  for (int64_t t = 0; t < params.x.n; ++t) {
    for (int64_t i = 0; i < params.n_pairs; ++i) {
      if (params.frequencies[i] == 0.0F) continue;
      const float angle =
          static_cast<float>(params.positions[static_cast<size_t>(t)]) * params.frequencies[i];
      const double cosine =
          std::cos(static_cast<double>(angle)) * static_cast<double>(params.magnitude);
      const double sine =
          std::sin(static_cast<double>(angle)) * static_cast<double>(params.magnitude);
      for (int64_t h = 0; h < params.n_heads; ++h) {
        float* head =
            params.x.data + t * params.x.stride + h * params.head_stride + params.first_dim;
        float& a = head[params.split_halves ? i : 2 * i];
        float& b = head[params.split_halves ? i + params.n_pairs : 2 * i + 1];
        const auto a0 = static_cast<double>(a);
        const auto b0 = static_cast<double>(b);
        a = static_cast<float>(a0 * cosine - b0 * sine);
        b = static_cast<float>(a0 * sine + b0 * cosine);
      }
    }
  }
}

namespace {

double soft_cap(double x, float cap) {
  const auto c = static_cast<double>(cap);
  return c > 0 ? c * std::tanh(x / c) : x;
}

// One element of gated_activation.
double gated(const GatedActivationParams& params, double gate, double up) {
  if (params.gate_cap > 0) {
    return soft_cap(gate, params.gate_cap) * activate(Activation::kSigmoid, gate) *
           soft_cap(up, params.up_cap);
  }
  const auto limit = static_cast<double>(params.limit);
  if (limit > 0 && params.up.data != nullptr) up = std::clamp(up, -limit, limit);
  if (limit > 0 && params.limit_activated) {
    return std::min(activate(params.activation, gate), limit) * up;
  }
  if (limit > 0) gate = std::min(gate, limit);
  if (params.swiglu_oai) {
    return gate * activate(Activation::kSigmoid, static_cast<double>(params.alpha) * gate) *
           (up + 1.0);
  }
  return activate(params.activation, gate) * up;
}

}  // namespace

void gated_activation(const GatedActivationParams& params) {
  for (int64_t t = 0; t < params.gate.n; ++t) {
    for (int64_t i = 0; i < params.gate.width; ++i) {
      const auto gate = static_cast<double>(params.gate.data[t * params.gate.stride + i]);
      const double up = params.up.data == nullptr
                            ? 1.0
                            : static_cast<double>(params.up.data[t * params.up.stride + i]);
      const double y = gated(params, gate, up);
      params.y.data[t * params.y.stride + i] = static_cast<float>(y);
    }
  }
}

void add(const AddParams& params) {
  for (int64_t t = 0; t < params.x.n; ++t) {
    for (int64_t i = 0; i < params.x.width; ++i) {
      float& y = params.y.data[t * params.y.stride + i];
      y = params.x.data[t * params.x.stride + i] * params.x_scale + y * params.y_scale;
    }
  }
}

void multiply(const MultiplyParams& params) {
  for (int64_t t = 0; t < params.y.n; ++t) {
    for (int64_t i = 0; i < params.y.width; ++i) {
      const auto x = static_cast<double>(params.x.data[t * params.x.stride + i / params.repeat]);
      float& y = params.y.data[t * params.y.stride + i];
      y = static_cast<float>(static_cast<double>(y) * activate(params.activation, x));
    }
  }
}

void scale(const ScaleParams& params) {
  for (int64_t t = 0; t < params.x.n; ++t) {
    const float row = params.row_factor == nullptr ? 1.0F : params.row_factor[t];
    for (int64_t i = 0; i < params.x.width; ++i) {
      float& x = params.x.data[t * params.x.stride + i];
      float value = x * row * params.factor;
      if (params.clamp > 0) value = std::clamp(value, -params.clamp, params.clamp);
      if (params.soft_cap > 0) {
        const auto cap = static_cast<double>(params.soft_cap);
        value = static_cast<float>(cap * std::tanh(static_cast<double>(value) / cap));
      }
      x = value;
    }
  }
}

void group_dot(const GroupDotParams& params) {
  for (int64_t t = 0; t < params.y.n; ++t) {
    for (int64_t g = 0; g < params.y.width; ++g) {
      double sum = 0;
      for (int64_t i = g * params.group; i < (g + 1) * params.group; ++i) {
        sum += static_cast<double>(params.a.data[t * params.a.stride + i]) *
               static_cast<double>(params.b.data[t * params.b.stride + i]);
      }
      double y = static_cast<double>(params.scale) * sum;
      if (params.signed_root && y != 0.0)
        y = std::copysign(std::sqrt(std::max(std::abs(y), 1e-6)), y);
      params.y.data[t * params.y.stride + g] = static_cast<float>(y);
    }
  }
}

void mix_rows(const MixRowsParams& params) {
  const int64_t n_mixed = params.scores.width;
  for (int64_t t = 0; t < params.y.n; ++t) {
    const float* const scores = params.scores.data + t * params.scores.stride;
    const auto largest = static_cast<double>(*std::max_element(scores, scores + n_mixed));
    double total = 0;
    for (int64_t j = 0; j < n_mixed; ++j) {
      total += std::exp(static_cast<double>(scores[j]) - largest);
    }
    for (int64_t i = 0; i < params.y.width; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < n_mixed; ++j) {
        const float x = params.x.data[j * params.x_step + t * params.x.stride + i];
        sum += std::exp(static_cast<double>(scores[j]) - largest) * static_cast<double>(x);
      }
      params.y.data[t * params.y.stride + i] = static_cast<float>(sum / total);
    }
  }
}

}  // namespace llmrun::kernels::ref
