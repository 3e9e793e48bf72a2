// A model whose every layer is shared by several devices: each has some of the heads of attention
// and some of the hidden columns of a feed-forward, so that what it computes is one part of a sum.
// A device's share is a model of its own, with fewer heads and narrower matrices; the devices meet
// after each mixer and each feed-forward (see run_branch() in forward.cpp). Embeddings, norms and
// routers are on every device; the output matrix is cut by tokens of the vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gguf/reader.h"
#include "llmrun/error.h"
#include "runtime/spec.h"

namespace llmrun::runtime {

// The shares of n devices, in their order. kUnsupported names what cannot be shared: a block that
// has no such form, or a matrix with fewer heads or blocks of values than there are devices. Of
// fewer heads of keys and values than devices several have the same one.
Result<std::vector<ModelSpec>> split_tensors(const ModelSpec& spec, const gguf::File& file,
                                             size_t n);
// How often the devices meet in one pass.
int64_t n_meetings(const ModelSpec& spec);

}  // namespace llmrun::runtime
