// Everything of the public API in one include.
#pragma once

#include "llmrun/batch_session.h"     // IWYU pragma: export
#include "llmrun/checkup.h"           // IWYU pragma: export
#include "llmrun/embedder.h"          // IWYU pragma: export
#include "llmrun/error.h"             // IWYU pragma: export
#include "llmrun/generation.h"        // IWYU pragma: export
#include "llmrun/judge.h"             // IWYU pragma: export
#include "llmrun/message.h"           // IWYU pragma: export
#include "llmrun/model.h"             // IWYU pragma: export
#include "llmrun/model_info.h"        // IWYU pragma: export
#include "llmrun/quantize.h"          // IWYU pragma: export
#include "llmrun/receipt.h"           // IWYU pragma: export
#include "llmrun/sampling_options.h"  // IWYU pragma: export
#include "llmrun/tools.h"             // IWYU pragma: export
