// What a family file talks to: asks config.json, takes tensors of the checkpoint, gives metadata
// and tensors of the GGUF file. The first mistake is remembered (by the config), later calls are
// harmless, and the caller checks once.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/checkpoint.h"
#include "convert/config.h"
#include "convert/rows.h"
#include "gguf/writer.h"

namespace llmrun::convert {

// In which type a tensor is written.
enum class Precision : uint8_t {
  kWanted,   // what the user asked for
  kFloat32,  // small tensors that every program expects in F32 (norms, routers, biases)
};

// A tensor of the file to be written.
struct OutputTensor {
  // Writes the bytes of rows [first, first + n). Called from several threads at once.
  using Encode = std::function<void(int64_t first, int64_t n, std::byte* out)>;

  std::string name;
  Precision precision = Precision::kWanted;
  Rows rows;  // its shape always; what to read unless `encode` is there
  // Tensors that keep their packed form: a GGUF type and how to get its bytes.
  uint32_t packed_type = 0;
  Encode encode;
};

class Conversion {
 public:
  // `keep_packed`: tensors that are packed in the folder stay so where GGUF has their form.
  Conversion(const Config& config, const Checkpoint& checkpoint, gguf::Writer& writer,
             bool keep_packed)
      : config_(config), checkpoint_(checkpoint), writer_(writer), keep_packed_(keep_packed) {}

  [[nodiscard]] const Config& config() const { return config_; }
  // Asks another part of config.json from now on (the language model of a model that sees).
  void use_config(Config config) { config_ = std::move(config); }
  [[nodiscard]] bool ok() const { return config_.ok(); }
  void fail(ErrorCode code, std::string message) const { config_.fail(code, std::move(message)); }
  [[nodiscard]] bool keeps_packed() const { return keep_packed_; }
  // Something that the user should know and that does not stop the conversion.
  void warn(std::string message) { warnings_.push_back(std::move(message)); }

  // ---- metadata: keys of the architecture; `architecture` comes first ----
  void set_architecture(std::string name);
  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  // T is what the file stores: uint32_t, float, bool, or text.
  template <typename T>
  void set(std::string_view key, T value) {
    writer_.add_metadata(architecture_ + "." + std::string(key), value);
  }
  void set_integer(std::string_view key, int64_t value) { set(key, static_cast<uint32_t>(value)); }
  void set_number(std::string_view key, double value) { set(key, static_cast<float>(value)); }
  template <typename T>
  void set_array(std::string_view key, const std::vector<T>& values) {
    writer_.add_array(architecture_ + "." + std::string(key), values);
  }
  gguf::Writer& writer() { return writer_; }

  // ---- tensors of the checkpoint ----
  // What names begin with here and nowhere in the family file ("model.").
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  [[nodiscard]] bool has(std::string_view name) const;
  // Is used up by this. FP8 weights with block scales come scaled.
  Rows take(std::string_view name);
  // The same; another shape than this is a mistake.
  Rows take(std::string_view name, const std::vector<int64_t>& shape);
  // As it lies in the file: any dtype; null when it is missing (a mistake).
  const SourceTensor* take_raw(std::string_view name);
  // Tensors whose name ends so are not needed.
  void drop_endings(std::initializer_list<std::string_view> endings);
  void drop_beginnings(std::initializer_list<std::string_view> beginnings);

  // ---- tensors of the file ----
  void add(std::string name, Rows rows, Precision precision = Precision::kWanted);
  void add_packed(std::string name, uint32_t type, std::vector<int64_t> shape,
                  OutputTensor::Encode encode);
  // "<from>.weight" becomes "<to>.weight"; a "<from>.bias" follows when there is one.
  void rename(std::string_view from, std::string_view to, Precision precision = Precision::kWanted);
  // The same when the weight is there.
  void rename_if_there(std::string_view from, std::string_view to,
                       Precision precision = Precision::kWanted);

  // A mistake when a tensor of the checkpoint was neither taken nor dropped.
  void check_all_used() const;
  [[nodiscard]] const std::vector<OutputTensor>& outputs() const { return outputs_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  [[nodiscard]] std::string full(std::string_view name) const {
    return prefix_ + std::string(name);
  }
  Rows with_block_scales(std::string_view name, Rows rows);
  void use(std::string_view name) { used_.insert(std::string(name)); }

  Config config_;
  const Checkpoint& checkpoint_;
  gguf::Writer& writer_;
  const bool keep_packed_;
  std::string architecture_;
  std::string prefix_;
  std::set<std::string> used_;  // full names
  std::vector<OutputTensor> outputs_;
  std::vector<std::string> warnings_;
};

}  // namespace llmrun::convert
