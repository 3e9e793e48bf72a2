// Every product as rows of one matrix.
#include "kernels/observer.h"

namespace llmrun::kernels {

void tell(MatmulObserver* observer, const MatmulParams& params) {
  if (observer == nullptr) return;
  for (const MatmulOutput& output : params.outputs) {
    observer->on_product(output.weight, 0, params.x);
  }
}

void tell(MatmulObserver* observer, const ExpertMatmulParams& params) {
  if (observer == nullptr) return;
  const ConstRows& x = params.x;
  for (const ExpertMatmulOutput& output : params.outputs) {
    for (int64_t i = 0; i < params.n_pairs; ++i) {
      observer->on_product(output.weight, params.experts[i],
                           {x.data + i / params.pairs_per_row * x.stride, 1, x.width, x.stride});
    }
  }
}

void tell(MatmulObserver* observer, const HeadMatmulParams& params) {
  if (observer == nullptr) return;
  const Weight& weight = params.weight;
  for (int64_t head = 0; head < weight.n_matrices; ++head) {
    observer->on_product(
        weight, head,
        {params.x.data + head * params.x_head_stride, params.x.n, weight.n_in, params.x.stride});
  }
}

}  // namespace llmrun::kernels
