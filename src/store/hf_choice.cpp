// Which files of a repository make up a model; see hf_choice.h.
#include "store/hf_choice.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/error.h"
#include "gguf/limits.h"
#include "gguf/split.h"
#include "store/model_name.h"

namespace llmrun::store {
namespace {

// What lies beside models in repositories and is none.
constexpr std::array<std::string_view, 6> kNoModels = {"mmproj",  "imatrix", "mtp-",
                                                       "eagle3-", "dflash-", "dspark-"};
constexpr std::array<std::string_view, 2> kUsual = {"Q4_K_M", "Q8_0"};
constexpr size_t kMaxListed = 40;  // in an error

bool is_model_file(std::string_view path) {
  const std::string base = lower(path.substr(path.rfind('/') + 1));
  return base.ends_with(".gguf") && std::none_of(kNoModels.begin(), kNoModels.end(), [&](auto no) {
           return base.find(no) != std::string::npos;
         });
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Whether the path has `quant` followed by '.' or '-'; `whole`: and no letter or digit before it.
bool has_quant(std::string_view path, std::string_view quant, bool whole) {
  const std::string in = lower(path);
  const std::string wanted = lower(quant);
  for (size_t at = in.find(wanted); at != std::string::npos; at = in.find(wanted, at + 1)) {
    const size_t end = at + wanted.size();
    const bool ends = end < in.size() && (in[end] == '.' || in[end] == '-');
    if (ends && (!whole || at == 0 || !is_word(in[at - 1]))) return true;
  }
  return false;
}

bool is_quant_word(std::string_view word) {
  const std::string text = lower(word);
  for (const std::string_view fixed : {"f16", "f32", "bf16", "fp16", "fp32"}) {
    if (text == fixed) return true;
  }
  for (const std::string_view prefix : {"iq", "tq", "q", "mxfp", "nvfp"}) {
    if (text.starts_with(prefix) && text.size() > prefix.size() && text[prefix.size()] >= '0' &&
        text[prefix.size()] <= '9') {
      return true;
    }
  }
  return false;
}

// The last word of the file's name that says a quantisation.
std::string quant_in(std::string_view path) {
  const auto split = gguf::parse_split_name(path);
  std::string_view stem = split ? std::string_view(split->prefix) : path.substr(0, path.size() - 5);
  stem = stem.substr(stem.rfind('/') + 1);
  std::string found;
  std::string_view before;
  while (!stem.empty()) {
    const size_t end = std::min(stem.find_first_of("-."), stem.size());
    const std::string_view word = stem.substr(0, end);
    if (is_quant_word(word)) found = (before == "UD" ? "UD-" : "") + std::string(word);
    before = word;
    stem.remove_prefix(std::min(end + 1, stem.size()));
  }
  return found;
}

const HfChoice* find_file(std::span<const HfChoice> choices, std::string_view path) {
  for (const HfChoice& choice : choices) {
    for (const HfFile& file : choice.files) {
      if (file.path == path) return &choice;
    }
  }
  return nullptr;
}

const HfChoice* find_quant(std::span<const HfChoice> choices, std::string_view quant) {
  for (const bool whole : {true, false}) {
    for (const HfChoice& choice : choices) {
      if (has_quant(choice.files.front().path, quant, whole)) return &choice;
    }
  }
  return nullptr;
}

const HfChoice* find_usual(std::span<const HfChoice> choices) {
  for (const std::string_view quant : kUsual) {
    if (const HfChoice* found = find_quant(choices, quant)) return found;
  }
  return choices.empty() ? nullptr : &choices.front();
}

}  // namespace

uint64_t HfChoice::bytes() const {
  uint64_t sum = 0;
  for (const HfFile& file : files) sum += std::min(file.size, UINT64_MAX - sum);
  return sum;
}

std::vector<HfChoice> hf_choices(std::span<const HfFile> files) {
  std::map<std::string_view, const HfFile*> by_path;
  for (const HfFile& file : files) by_path.emplace(file.path, &file);
  std::vector<HfChoice> choices;
  for (const HfFile& file : files) {
    if (!is_model_file(file.path)) continue;
    HfChoice choice{quant_in(file.path), {file}};
    const auto split = gguf::parse_split_name(file.path);
    if (split && (split->index != 1 || split->count > gguf::kMaxParts)) continue;
    const uint32_t count = split ? split->count : 1;
    for (uint32_t i = 2; i <= count; ++i) {
      const auto part = by_path.find(gguf::split_path(*split, i));
      if (part == by_path.end()) break;
      choice.files.push_back(*part->second);
    }
    if (choice.files.size() == count) choices.push_back(std::move(choice));
  }
  return choices;
}

Result<HfChoice> choose(std::span<const HfChoice> choices, const HfName& name) {
  const HfChoice* found = nullptr;
  if (!name.file.empty()) {
    found = find_file(choices, name.file);
  } else if (!name.quant.empty()) {
    found = find_quant(choices, name.quant);
  } else {
    found = find_usual(choices);
  }
  if (found != nullptr) return *found;
  if (choices.empty()) {
    return make_error(ErrorCode::kNotFound,
                      "{} holds no complete GGUF model; 'llmrun search {}' finds repositories that "
                      "do",
                      name.repository(), name.repo);
  }
  std::string listed;
  for (size_t i = 0; i < choices.size() && i < kMaxListed; ++i) {
    listed += fmt::format("\n  {}", name_of_choice(choices, name, choices[i]).text());
  }
  return make_error(ErrorCode::kNotFound, "{} has no model {}. It has:{}", name.repository(),
                    name.file.empty() ? name.quant : name.file, listed);
}

HfName name_of_choice(std::span<const HfChoice> choices, const HfName& repository,
                      const HfChoice& choice) {
  HfName name{repository.user, repository.repo, choice.quant, ""};
  const HfChoice* meant = choice.quant.empty() ? nullptr : find_quant(choices, choice.quant);
  if (meant != nullptr && meant->files.front().path == choice.files.front().path) return name;
  name.quant.clear();
  name.file = choice.files.front().path;
  return name;
}

}  // namespace llmrun::store
