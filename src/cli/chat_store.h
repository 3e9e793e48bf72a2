// Saved conversations: one JSON file each, written after every turn so that a kill loses nothing
// that was said. A file that cannot be read is reported and never overwritten.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/sampling_fields.h"
#include "llmrun/error.h"
#include "llmrun/message.h"

namespace llmrun::cli {

struct Chat {
  std::string id;                    // file name without ".json"; empty: not saved yet
  std::string name;                  // given by /save; may be empty
  std::string model;                 // as the user named it
  int64_t created = 0, updated = 0;  // seconds since 1970
  SamplingChoices sampling;
  std::vector<Message> messages;  // a system message, if any, is the first one
};

std::string chat_to_json(const Chat& chat);
Result<Chat> chat_from_json(std::string_view text);

class ChatStore {
 public:
  explicit ChatStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Gives the chat an id when it has none, and writes its file atomically.
  Result<void> save(Chat& chat) const;
  // By id or name. kNotFound when there is none.
  [[nodiscard]] Result<Chat> load(std::string_view id_or_name) const;
  [[nodiscard]] bool exists(std::string_view id_or_name) const;
  // The one written last; of that model, when it is given.
  [[nodiscard]] Result<Chat> latest(std::string_view model = {}) const;
  // Newest first; files that cannot be read are left out and listed in `damaged`.
  [[nodiscard]] std::vector<Chat> list(std::vector<std::string>* damaged = nullptr) const;

 private:
  struct File {
    std::filesystem::path path;
    int64_t modified;  // nanoseconds
  };
  [[nodiscard]] std::vector<File> files() const;  // newest first
  [[nodiscard]] std::filesystem::path path_of(std::string_view id) const;
  static Result<Chat> read(const std::filesystem::path& path);

  std::filesystem::path folder_;
};

}  // namespace llmrun::cli
