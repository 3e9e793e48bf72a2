// Where bytes go that arrive in order.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "llmrun/error.h"

namespace llmrun::store {

// Receives the bytes of a file in order; an error stops the transfer.
using ByteSink = std::function<Result<void>(std::span<const std::byte>)>;

}  // namespace llmrun::store
