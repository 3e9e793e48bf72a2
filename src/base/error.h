// Helpers to make and pass on errors. Error and Result<T> themselves are in llmrun/error.h.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "llmrun/error.h"

namespace llmrun {

// An unexpected value with a formatted message; converts to any Result<T>.
template <typename... Args>
tl::unexpected<Error> make_error(ErrorCode code, fmt::format_string<Args...> format,
                                 Args&&... args) {
  return tl::unexpected<Error>(
      Error{code, fmt::format(format, std::forward<Args>(args)...), std::string()});
}

// The same error, with one more place put in front of its context ("model.gguf: tensor x").
inline tl::unexpected<Error> with_context(Error error, std::string_view where) {
  error.context =
      error.context.empty() ? std::string(where) : fmt::format("{}: {}", where, error.context);
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace llmrun

#define LLMRUN_CONCAT_INNER(a, b) a##b
#define LLMRUN_CONCAT(a, b) LLMRUN_CONCAT_INNER(a, b)

// Returns the error of `expression` (a Result<void> or Result<T>) from the current function.
#define LLMRUN_TRY(expression)                                                                    \
  do {                                                                                            \
    auto llmrun_result = (expression);                                                            \
    if (!llmrun_result) return tl::unexpected<::llmrun::Error>(std::move(llmrun_result).error()); \
  } while (false)

// `LLMRUN_ASSIGN(auto x, f());`: x is the value of f(), or the function returns f()'s error.
#define LLMRUN_ASSIGN(declaration, expression)                       \
  auto LLMRUN_CONCAT(llmrun_result_, __LINE__) = (expression);       \
  if (!LLMRUN_CONCAT(llmrun_result_, __LINE__))                      \
    return tl::unexpected<::llmrun::Error>(                          \
        std::move(LLMRUN_CONCAT(llmrun_result_, __LINE__)).error()); \
  declaration = std::move(*LLMRUN_CONCAT(llmrun_result_, __LINE__))
