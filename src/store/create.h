// Makes a named model of a Modelfile: layers as blobs and a manifest in the store. The weights are
// linked or already there; what is written are small texts.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "llmrun/error.h"
#include "store/local_store.h"
#include "store/modelfile.h"

namespace llmrun::store {

struct CreateReport {
  StoredModel model;
  std::vector<std::string> warnings;  // sentences, with their lines
  std::vector<std::string> reused;    // layers that the model's origin has already
  std::vector<std::string> made;      // layers that were written
};

// How a FROM that is no path is found; find_or_fetch() of resolver.h.
using FindModel = std::function<Result<StoredModel>(const std::string& name)>;

// Paths of the file are relative to `folder`. The name appears last, whole or not at all; until
// then nothing but blobs is written. kUsage with the line, kNotFound, kBadModel, kIo.
Result<CreateReport> create_model(const Modelfile& file, const std::filesystem::path& folder,
                                  const ModelName& name, const LocalStore& store,
                                  const FindModel& find);

}  // namespace llmrun::store
