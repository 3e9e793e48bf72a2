// Steps that opening a model, inspecting it and estimating its memory share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "gguf/reader.h"
#include "llmrun/embedding_options.h"
#include "llmrun/model_info.h"
#include "runtime/memory_plan.h"
#include "runtime/model.h"
#include "runtime/spec.h"
#include "tokenizer/tokenizer.h"

namespace llmrun {

// Opens the file; errors carry its path.
Result<gguf::File> open_gguf(const std::filesystem::path& path);

// The tokenizer of a file, or why it has none.
struct LoadedTokenizer {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  std::string why_not;
  uint64_t bytes = 0;  // memory it takes
};
// A file without a tokenizer is no error; one with a broken tokenizer is.
Result<LoadedTokenizer> load_tokenizer(const gguf::File& file);

// Fills everything from the file's directory. `spec` may be null: then `why_not` says why.
ModelInfo describe_file(const gguf::File& file, const std::filesystem::path& path,
                        const runtime::ModelSpec* spec, const std::string& why_not);

// The layers of the table of `show`.
std::vector<LayerGroup> describe_layers(const gguf::File& file, const runtime::ModelSpec& spec);
// The rotary embeddings of the layers, in words.
std::string describe_ropes(const gguf::File& file, const runtime::ModelSpec& spec);

// The runtime's options for those of the API, with every 0 that means "as the model" replaced.
Result<runtime::ContextOptions> context_options(const ContextOptions& options,
                                                const runtime::ModelSpec& spec);
// The same of an embedder. kUsage when neither the options nor the model name a pooling.
Result<runtime::ContextOptions> embedder_context(const EmbedderOptions& options,
                                                 const runtime::ModelSpec& spec);
// The runtime's plan and what the layers above it add.
Result<MemoryEstimate> estimate(const gguf::File& file, const runtime::Model& model,
                                const runtime::ContextOptions& options, uint64_t vocabulary_bytes);

// Replaces sizes that were not asked for by the largest that take at most half of the free memory:
// of the context at most the model's own, of the pool what all sequences can use. The plan of it.
// `room` has what is free on each device beside the weights; empty: all is main memory.
Result<MemoryEstimate> choose_sizes(const ContextOptions& options, const gguf::File& file,
                                    const runtime::Model& model, uint64_t vocabulary_bytes,
                                    runtime::ContextOptions& wanted,
                                    std::span<const uint64_t> room = {});

// Whether the memory of a context is to be taken at once; kOutOfMemory when it is not there.
Result<bool> must_commit(const MemoryEstimate& plan);

// Which template a chat is rendered with.
struct TemplateChoice {
  std::string source;  // Jinja or Go text
  std::string name;    // for error messages
  std::string origin;  // "option", "model", "Go template layer", "built-in: llama3"
  bool is_go = false;
};
inline constexpr const char* kGoTemplateOrigin = "Go template layer";
// The option (Jinja, or Go when it looks like it), else the model's own (the one for tools when
// there are tools and the model has one), else the Go template that came with the model, else the
// built-in one of its architecture; else kUsage asking for --template.
Result<TemplateChoice> choose_template(const gguf::File& file, const std::string& option,
                                       bool with_tools, const std::string& go_template = {});

// Weights that one decoded token reads, and the multiplications that one prompt token takes (the
// head is left out: of a prompt only the last token goes through it).
struct TokenCost {
  uint64_t weight_bytes = 0;
  uint64_t multiplications = 0;
  uint64_t float_bytes = 0;  // of weight_bytes, those in float types
};
// Tensor name -> the share of it that one token reads. Vectors are not in it.
std::map<std::string, double> token_shares(const runtime::ModelSpec& spec);
TokenCost token_cost(const gguf::File& file, const runtime::ModelSpec& spec);

// Bytes of memory this machine could give to a new process now.
uint64_t available_memory();
uint64_t total_memory();

}  // namespace llmrun
