// Reference products: a weight row is decoded to float32 and multiplied in double.
#include <vector>

#include "kernels/ref/ref.h"
#include "kernels/tensor_type.h"

namespace llmrun::kernels::ref {
namespace {

void decode_row(const Weight& weight, int64_t matrix, int64_t out, std::vector<float>& row) {
  row.resize(static_cast<size_t>(weight.n_in));
  quant::dequantize_row(weight.type, weight.row(matrix, out), weight.n_in, row.data());
}

double dot(const std::vector<float>& w, const float* x) {
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i)
    sum += static_cast<double>(w[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

void matmul(const MatmulParams& params) {
  std::vector<float> row;
  for (const MatmulOutput& output : params.outputs) {
    for (int64_t o = 0; o < output.weight.n_out; ++o) {
      decode_row(output.weight, 0, o, row);
      for (int64_t t = 0; t < params.x.n; ++t) {
        double y = dot(row, params.x.data + t * params.x.stride);
        if (output.scale != nullptr) y *= static_cast<double>(*output.scale);
        if (output.bias != nullptr) y += static_cast<double>(output.bias[o]);
        float& target = output.y[t * output.y_stride + o];
        target = static_cast<float>(output.accumulate ? static_cast<double>(target) + y : y);
      }
    }
  }
}

void expert_matmul(const ExpertMatmulParams& params) {
  std::vector<float> row;
  for (const ExpertMatmulOutput& output : params.outputs) {
    const Weight& weight = output.weight;
    for (int64_t i = 0; i < params.n_pairs; ++i) {
      const int64_t expert = params.experts[i];
      for (int64_t o = 0; o < weight.n_out; ++o) {
        decode_row(weight, expert, o, row);
        double y = dot(row, params.x.data + i / params.pairs_per_row * params.x.stride);
        if (output.scale != nullptr) y *= static_cast<double>(output.scale[expert]);
        if (output.bias != nullptr) {
          y += static_cast<double>(output.bias[expert * weight.n_out + o]);
        }
        output.y[i * output.y_stride + o] = static_cast<float>(y);
      }
    }
  }
}

void head_matmul(const HeadMatmulParams& params) {
  std::vector<float> row;
  const Weight& weight = params.weight;
  for (int64_t h = 0; h < weight.n_matrices; ++h) {
    for (int64_t o = 0; o < weight.n_out; ++o) {
      decode_row(weight, h, o, row);
      for (int64_t t = 0; t < params.x.n; ++t) {
        params.y.data[t * params.y.stride + h * params.y_head_stride + o] = static_cast<float>(
            dot(row, params.x.data + t * params.x.stride + h * params.x_head_stride));
      }
    }
  }
}

void embed(const EmbedParams& params) {
  for (size_t t = 0; t < params.ids.size(); ++t) {
    float* y = params.y.data + static_cast<int64_t>(t) * params.y.stride;
    quant::dequantize_row(params.table.type, params.table.row(0, params.ids[t]), params.table.n_in,
                          y);
    for (int64_t i = 0; i < params.table.n_in; ++i) y[i] *= params.scale;
  }
}

}  // namespace llmrun::kernels::ref
