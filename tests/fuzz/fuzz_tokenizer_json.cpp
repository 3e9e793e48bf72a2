// tokenizer.json, tokenizer_config.json and generation_config.json, with zero bytes between them.
// A vocabulary that is accepted is written, read back by the tokenizer, and used.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "convert/tokenizer/special_tokens.h"
#include "gguf/reader.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace {

using namespace llmrun;  // NOLINT: a program of one file

std::string_view next_part(std::string_view& input) {
  const size_t end = input.find('\0');
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return part;
}

convert::Config config_of(std::string_view text) {
  auto document = convert::parse_json(text, "fuzz");
  return {document ? std::move(*document) : nullptr, "fuzz"};
}

void use(const convert::Vocabulary& vocabulary) {
  gguf::Writer writer;
  convert::write_vocabulary(vocabulary, writer);
  const auto bytes = writer.to_bytes();
  if (!bytes) return;  // a token longer than the format allows
  const auto file = gguf::File::from_bytes(*bytes);
  if (!file) std::abort();
  const auto data = tokenizer::read_vocabulary(file->metadata());
  if (!data) std::abort();
  const auto tokenizer = tokenizer::Tokenizer::create(*data);
  if (!tokenizer) return;
  const auto ids = (*tokenizer)->encode("Hello, the \xC3\xA9t\xC3\xA9 12345\n", {});
  if (ids && !(*tokenizer)->decode(*ids, true)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto document = convert::parse_json(next_part(input), "tokenizer.json");
  if (!document) return 0;
  const convert::Config tokenizer_config = config_of(next_part(input));
  const convert::Config generation = config_of(next_part(input));
  convert::TokenizerOptions options;
  options.n_tokens = size % 3 == 0 ? 400 : 0;
  auto vocabulary = convert::read_tokenizer(**document, options);
  if (!vocabulary) {
    if (vocabulary.error().message.empty()) std::abort();
    return 0;
  }
  const auto special = convert::read_special_tokens(
      **document, {tokenizer_config, tokenizer_config, generation, generation}, *vocabulary);
  if (special) use(*vocabulary);
  return 0;
}
