// Marks what the shared library shows; everything else in it is hidden.
#pragma once

#if defined(__GNUC__)
#define LLMRUN_API __attribute__((visibility("default")))
#else
#define LLMRUN_API
#endif
