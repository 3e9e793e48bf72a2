// What architecture files are made of. Each helper declares the tensors of one part of the model
// with their shapes; the options say how an architecture departs from the plain decoder
// (interleaved rope, RMS norm before mixer and feed-forward, no biases, scale 1/sqrt(head size),
// SwiGLU).
#pragma once

#include "models/common/attention.h"
#include "models/common/decoder.h"
#include "models/common/feed_forward.h"
#include "models/common/norms.h"
#include "models/common/positions.h"
#include "models/common/recurrent.h"
#include "models/common/tensors.h"
