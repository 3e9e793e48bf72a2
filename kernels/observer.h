// Sees what goes into every product of a backend: importances are gathered with it. A backend
// without an observer pays for one comparison per call.
#pragma once

#include "kernels/ops.h"

namespace llmrun::kernels {

class MatmulObserver {
 public:
  virtual ~MatmulObserver() = default;
  // Matrix `matrix` of the stack is about to be multiplied with these rows. Called from the thread
  // that runs the forward pass.
  virtual void on_product(const Weight& weight, int64_t matrix, ConstRows x) = 0;
};

// Breaks a call into products; nothing happens without an observer.
void tell(MatmulObserver* observer, const MatmulParams& params);
void tell(MatmulObserver* observer, const ExpertMatmulParams& params);
void tell(MatmulObserver* observer, const HeadMatmulParams& params);

}  // namespace llmrun::kernels
