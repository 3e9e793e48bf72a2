// What is behind the handles of the public API.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/devices.h"
#include "chat/chat_template.h"
#include "engine/engine.h"
#include "gguf/reader.h"
#include "kernels/backend.h"
#include "llmrun/model.h"
#include "runtime/model.h"
#include "tokenizer/tokenizer.h"

namespace llmrun {

struct Model::Impl {
  explicit Impl(gguf::File opened) : file(std::move(opened)) {}

  gguf::File file;
  std::vector<gguf::File> adapters;
  std::vector<AdapterOption> adapter_options;  // beside adapters
  std::string go_template;                     // LoadOptions::go_template
  ModelInfo info;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null: the file has none
  std::string why_no_tokenizer;
  Devices devices;  // none: opened for its vocabulary only
  std::unique_ptr<runtime::Model> model;
  RopeOverride rope;
  uint64_t vocabulary_bytes = 0;  // memory that the tokenizer takes
  double load_seconds = 0;

  // Remembers LoadOptions::go_template, and says in `info` when it is the one to be used.
  void keep_go_template(const std::string& source);
  // The first device, where the host's work is done; only where there are any.
  [[nodiscard]] kernels::Backend& backend() const { return *devices.backends[0]; }
  // What the bits of answers depend on besides the file: the kernels, and who has which layers.
  [[nodiscard]] std::string target() const;
  // Errors that say what cannot be done without.
  [[nodiscard]] Result<const tokenizer::Tokenizer*> need_tokenizer() const;
  [[nodiscard]] Result<runtime::Model*> need_weights() const;
};

struct Session::Impl {
  std::shared_ptr<Model::Impl> model;
  std::unique_ptr<runtime::Context> context;
  std::unique_ptr<engine::Engine> engine;
  MemoryEstimate memory;
  ContextOptions options;
  // What a receipt is written from; nothing without GenerateOptions::hash_logits.
  struct Answered {
    std::vector<TokenId> prompt;
    GenerateOptions options;
    std::string template_source;
    Generation generation;
  };
  std::optional<Answered> answered;
  std::atomic<bool> cancelled{false};
};

// Lets the rest of this layer look behind the handles.
struct Access {
  using ModelImpl = Model::Impl;
  using SessionImpl = Session::Impl;
  static Model::Impl& of(const Model& model) { return *model.impl_; }
  static Session::Impl& of(const Session& session) { return *session.impl_; }
  // Model::open() with an observer of every product (or null), which must outlive the model.
  static Result<Model> open(const std::filesystem::path& path, const LoadOptions& options,
                            kernels::MatmulObserver* observer);
  static std::shared_ptr<Model::Impl> share(const Model& model) { return model.impl_; }
};

using ModelImpl = Access::ModelImpl;

// kUnsupported for a model that cannot write token by token.
Result<void> check_writes_text(const ModelImpl& model);

Result<RenderedChat> render_chat(const ModelImpl& model, std::span<const Message> messages,
                                 const RenderOptions& options);

}  // namespace llmrun
