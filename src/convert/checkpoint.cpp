// Finds, maps and joins the shards.
#include "convert/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "convert/json_text.h"
#include "convert/limits.h"

namespace llmrun::convert {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";

// File names of shards come from outside: a name is a name, and no path out of the folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name.front() != '.';
}

Result<std::vector<std::string>> names_of_index(const fs::path& path) {
  LLMRUN_ASSIGN(const JsonDocument index, read_json(path.string(), kMaxIndexBytes));
  const auto map = index->is_object() ? index->find("weight_map") : index->end();
  if (!index->is_object() || map == index->end() || !map->is_object()) {
    return with_context({ErrorCode::kBadModel, "the index has no weight_map", {}}, path.string());
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get_ref<const std::string&>())) {
      return with_context({ErrorCode::kBadModel,
                           fmt::format("tensor '{}' is said to lie in something that is no file "
                                       "name",
                                       tensor.substr(0, kMaxSourceNameBytes)),
                           {}},
                          path.string());
    }
    names.insert(file.get<std::string>());
  }
  return std::vector<std::string>(names.begin(), names.end());
}

// What to tell somebody whose folder has no weights we read.
tl::unexpected<Error> no_weights(const std::string& folder) {
  std::error_code error;
  bool has_pytorch = false;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string ending = entry.path().extension().string();
    has_pytorch = has_pytorch || ending == ".bin" || ending == ".pt" || ending == ".pth";
  }
  if (error) {
    return with_context({ErrorCode::kNotFound, "there is no such folder", {}}, folder);
  }
  return with_context(
      {ErrorCode::kNotFound,
       has_pytorch ? "the folder has PyTorch weights (.bin) only, which are programs and are not "
                     "read; save the model with save_pretrained(…, safe_serialization=True)"
                   : "the folder holds no model.safetensors and no model.safetensors.index.json; "
                     "give the folder of a Hugging Face model",
       {}},
      folder);
}

Result<std::vector<std::string>> file_names(const std::string& folder) {
  const fs::path base(folder);
  std::error_code error;
  if (fs::exists(base / kIndex, error)) return names_of_index(base / kIndex);
  if (fs::exists(base / "model.safetensors", error))
    return std::vector<std::string>{"model.safetensors"};
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(base, error)) {
    if (entry.path().extension() == ".safetensors")
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  if (names.empty()) return no_weights(folder);
  return names;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(const std::string& folder) {
  LLMRUN_ASSIGN(const auto names, file_names(folder));
  if (names.size() > kMaxShards) {
    return with_context({ErrorCode::kBadModel,
                         fmt::format("{} weight files, more than {}", names.size(), kMaxShards),
                         {}},
                        folder);
  }
  Checkpoint checkpoint;
  for (const std::string& name : names) {
    LLMRUN_TRY(checkpoint.add_file((fs::path(folder) / name).string()));
  }
  return checkpoint;
}

Result<Checkpoint> Checkpoint::from_tensors(std::vector<SourceTensor> tensors) {
  Checkpoint checkpoint;
  LLMRUN_TRY(checkpoint.add_tensors(std::move(tensors)));
  return checkpoint;
}

Result<void> Checkpoint::add_file(const std::string& path) {
  LLMRUN_ASSIGN(MappedFile file, MappedFile::open(path));
  file.advise(MappedFile::Advice::kSequential);
  LLMRUN_ASSIGN(auto tensors, read_safetensors(file.bytes(), path));
  files_.push_back(std::move(file));  // the bytes stay where they are
  auto added = add_tensors(std::move(tensors));
  if (!added) return with_context(std::move(added).error(), path);
  return {};
}

Result<void> Checkpoint::add_tensors(std::vector<SourceTensor> tensors) {
  if (tensors_.size() + tensors.size() > kMaxSourceTensors) {
    return make_error(ErrorCode::kBadModel, "the shards together have more than {} tensors",
                      kMaxSourceTensors);
  }
  for (SourceTensor& tensor : tensors) {
    if (!by_name_.emplace(tensor.name, tensors_.size()).second) {
      return make_error(ErrorCode::kBadModel, "tensor '{}' stands in two weight files",
                        tensor.name);
    }
    n_bytes_ += tensor.bytes.size();
    tensors_.push_back(std::move(tensor));
  }
  return {};
}

const SourceTensor* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

void Checkpoint::release_pages() const {
  for (const MappedFile& file : files_) file.advise(MappedFile::Advice::kDontNeed);
}

}  // namespace llmrun::convert
