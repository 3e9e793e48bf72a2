// The one error type of llmrun and Result<T>, the return type of everything that can fail.
// Vocabulary: any layer may include this header.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

namespace llmrun {

// What kind of failure it was. The CLI turns the kind into an exit code.
enum class ErrorCode : uint8_t {
  kUsage,            // the caller asked for something that makes no sense      exit 2
  kNotFound,         // a model, file, tensor or key that is not there          exit 3
  kBadModel,         // a model file, tokenizer or template that is malformed   exit 4
  kUnsupported,      // well-formed, but not something this build can run       exit 4
  kOutOfMemory,      // the plan does not fit                                   exit 5
  kNetwork,          // a download failed                                       exit 6
  kIo,               // reading or writing a local file failed                  exit 1
  kContextOverflow,  // more tokens than the context holds                      exit 2
  kInterrupted,      // the user pressed Ctrl-C                                 exit 130
  kInternal,         // our own bug                                             exit 1
};

// A failure, told so that the reader can act on it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // what went wrong and what to do next; one sentence or two
  std::string context;  // where: file, tensor, key, byte offset, line and column; may be empty
};

template <typename T>
using Result = tl::expected<T, Error>;

}  // namespace llmrun
