// Reads and writes saved conversations.
#include "cli/chat_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <random>

#include "base/error.h"
#include "base/file_io.h"
#include "cli/json.h"

namespace llmrun::cli {
namespace {

constexpr uint64_t kMaxChatBytes = uint64_t{256} << 20;
constexpr const char* kFormat = "llmrun-chat";
constexpr int kVersion = 1;

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// "20260102-030405-1a2b3c": sorts by time, and two processes do not meet.
std::string new_id() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  char text[32] = "";
  if (gmtime_r(&now, &parts) != nullptr)
    (void)std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
  std::random_device random;
  return fmt::format("{}-{:06x}", text, random() & 0xFFFFFFU);
}

// Nothing that leads out of the folder.
bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= 100 &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
             std::string_view::npos;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

tl::unexpected<Error> damaged(std::string_view what) {
  return make_error(ErrorCode::kIo,
                    "the saved chat is damaged ({}); it is left as it is: repair the file, or move "
                    "it away",
                    what);
}

Json message_to_json(const Message& message) {
  Json out = {{"role", message.role}, {"content", message.content}};
  if (!message.thinking.empty()) out["thinking"] = message.thinking;
  if (!message.tool_call_id.empty()) out["tool_call_id"] = message.tool_call_id;
  for (const ToolCall& call : message.tool_calls) {
    out["tool_calls"].push_back(
        {{"id", call.id}, {"name", call.name}, {"arguments", call.arguments_json}});
  }
  return out;
}

Result<Message> message_from_json(const Json& json) {
  if (!json.is_object() || !json.contains("role") || !json["role"].is_string() ||
      !json.contains("content") || !json["content"].is_string()) {
    return damaged("a message has no role or no content");
  }
  Message message;
  message.role = text_of(json, "role");
  message.content = text_of(json, "content");
  message.thinking = text_of(json, "thinking");
  message.tool_call_id = text_of(json, "tool_call_id");
  if (const auto calls = json.find("tool_calls"); calls != json.end()) {
    if (!calls->is_array()) return damaged("tool_calls is no array");
    for (const Json& call : *calls) {
      if (!call.is_object()) return damaged("a tool call is no object");
      message.tool_calls.push_back(
          {text_of(call, "id"), text_of(call, "name"), text_of(call, "arguments")});
    }
  }
  return message;
}

}  // namespace

std::string chat_to_json(const Chat& chat) {
  Json out = {{"format", kFormat},       {"version", kVersion},        {"id", chat.id},
              {"name", chat.name},       {"model", chat.model},        {"created", chat.created},
              {"updated", chat.updated}, {"sampling", Json::object()}, {"messages", Json::array()}};
  for (const auto& [name, value] : chat.sampling) out["sampling"][name] = value;
  for (const Message& message : chat.messages) out["messages"].push_back(message_to_json(message));
  return to_text(out, 1) + "\n";
}

Result<Chat> chat_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return damaged("it is no JSON object");
  if (text_of(json, "format") != kFormat) return damaged("it has no \"format\": \"llmrun-chat\"");
  if (number_of(json, "version") != kVersion) {
    return make_error(ErrorCode::kUnsupported,
                      "the saved chat has version {}, this llmrun reads version {}; use the llmrun "
                      "that wrote it",
                      number_of(json, "version"), kVersion);
  }
  Chat chat;
  chat.id = text_of(json, "id");
  chat.name = text_of(json, "name");
  chat.model = text_of(json, "model");
  chat.created = number_of(json, "created");
  chat.updated = number_of(json, "updated");
  const auto sampling = json.find("sampling");
  if (sampling != json.end() && sampling->is_object()) {
    for (const auto& [name, value] : sampling->items()) {
      if (!value.is_string()) return damaged("an option is no text");
      LLMRUN_TRY(choose(chat.sampling, name, value.get<std::string>()));
    }
  }
  const auto messages = json.find("messages");
  if (messages == json.end() || !messages->is_array()) return damaged("it has no messages");
  for (const Json& each : *messages) {
    LLMRUN_ASSIGN(Message message, message_from_json(each));
    chat.messages.push_back(std::move(message));
  }
  return chat;
}

Result<void> ChatStore::save(Chat& chat) const {
  std::error_code failure;
  std::filesystem::create_directories(folder_, failure);
  if (failure) {
    return make_error(ErrorCode::kIo,
                      "cannot make the folder '{}' for chats: {}; set LLMRUN_HOME "
                      "to a folder that can be written",
                      folder_.string(), failure.message());
  }
  if (chat.id.empty()) {
    chat.id = new_id();
    chat.created = now_seconds();
  }
  chat.updated = now_seconds();
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path_of(chat.id).string(), 0600));
  LLMRUN_TRY(file.write(chat_to_json(chat)));
  return file.commit();
}

Result<Chat> ChatStore::read(const std::filesystem::path& path) {
  LLMRUN_ASSIGN(const std::string text, read_file(path.string(), kMaxChatBytes));
  Result<Chat> chat = chat_from_json(text);
  if (!chat) return with_context(chat.error(), path.string());
  chat->id = path.stem().string();  // the file's name counts, also after a copy
  return chat;
}

std::vector<ChatStore::File> ChatStore::files() const {
  std::vector<File> found;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, failure)) {
    if (entry.path().extension() != ".json") continue;
    struct stat status = {};
    if (stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    found.push_back({entry.path(), int64_t{status.st_mtim.tv_sec} * 1'000'000'000 +
                                       int64_t{status.st_mtim.tv_nsec}});
  }
  std::sort(found.begin(), found.end(), [](const File& a, const File& b) {
    return a.modified != b.modified ? a.modified > b.modified : a.path > b.path;
  });
  return found;
}

std::filesystem::path ChatStore::path_of(std::string_view id) const {
  return folder_ / (std::string(id) + ".json");
}

std::vector<Chat> ChatStore::list(std::vector<std::string>* unreadable) const {
  std::vector<Chat> chats;
  for (const File& file : files()) {
    if (Result<Chat> chat = read(file.path)) {
      chats.push_back(std::move(*chat));
    } else if (unreadable != nullptr) {
      unreadable->push_back(file.path.string());
    }
  }
  return chats;
}

Result<Chat> ChatStore::load(std::string_view id_or_name) const {
  if (is_plain_id(id_or_name) && access(path_of(id_or_name).c_str(), F_OK) == 0) {
    return read(path_of(id_or_name));
  }
  std::vector<std::string> unreadable;
  for (Chat& chat : list(&unreadable)) {
    if (chat.name == id_or_name) return std::move(chat);
  }
  std::string hint;
  if (!unreadable.empty()) {
    hint = fmt::format("; {} damaged, such as {}",
                       unreadable.size() == 1 ? std::string("one file is")
                                              : fmt::format("{} files are", unreadable.size()),
                       unreadable.front());
  }
  return make_error(ErrorCode::kNotFound, "there is no saved chat '{}' in {}{}", id_or_name,
                    folder_.string(), hint);
}

bool ChatStore::exists(std::string_view id_or_name) const {
  if (is_plain_id(id_or_name) && access(path_of(id_or_name).c_str(), F_OK) == 0) return true;
  for (const Chat& chat : list()) {
    if (!chat.name.empty() && chat.name == id_or_name) return true;
  }
  return false;
}

Result<Chat> ChatStore::latest(std::string_view model) const {
  for (const File& file : files()) {
    Result<Chat> chat = read(file.path);
    if (!chat && !model.empty()) continue;  // whose it was cannot be told
    if (!chat || model.empty() || chat->model == model) return chat;
  }
  return make_error(ErrorCode::kNotFound, "there is no saved chat{} in {} to go on with",
                    model.empty() ? "" : fmt::format(" with {}", model), folder_.string());
}

}  // namespace llmrun::cli
