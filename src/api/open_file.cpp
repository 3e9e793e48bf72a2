// Opening a model file: the mapped directory and its tokenizer.
#include "api/open_file.h"

#include <malloc.h>

#include "base/error.h"
#include "tokenizer/vocabulary.h"

namespace llmrun {
namespace {

// Bytes that the heap holds now, for what a component takes.
uint64_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

}  // namespace

Result<gguf::File> open_gguf(const std::filesystem::path& path) {
  auto file = gguf::File::open(path.string());
  if (!file && file.error().context.find(path.string()) == std::string::npos &&
      file.error().message.find(path.string()) == std::string::npos) {
    return with_context(file.error(), path.string());
  }
  return file;
}

Result<LoadedTokenizer> load_tokenizer(const gguf::File& file) {
  LoadedTokenizer loaded;
  const uint64_t before = heap_bytes();
  auto data = tokenizer::read_vocabulary(file.metadata());
  if (!data && data.error().code == ErrorCode::kUnsupported) {
    loaded.why_not = data.error().message;
    return loaded;
  }
  if (!data) return with_context(data.error(), file.path());
  auto tokenizer = tokenizer::Tokenizer::create(*data);
  if (!tokenizer) return with_context(tokenizer.error(), file.path());
  loaded.tokenizer = std::move(*tokenizer);
  data = tokenizer::VocabularyData();
  const uint64_t after = heap_bytes();
  loaded.bytes = after > before ? after - before : 0;
  return loaded;
}

}  // namespace llmrun
