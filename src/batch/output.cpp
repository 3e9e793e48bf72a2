// Copies lines from the journal into files that appear when they are complete.
#include "batch/output.h"

#include <filesystem>
#include <fstream>
#include <unordered_set>

#include "base/error.h"
#include "base/file_io.h"
#include "batch/json.h"

namespace llmrun::batch {
namespace {

constexpr std::string_view kLineStart = "{\"id\":\"batch_req_";

// The answer in a line, or what went wrong.
struct Content {
  std::string text;
  bool failed = false;
};
Content content_of(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  const Json::json_pointer chat("/response/body/choices/0/message/content");
  const Json::json_pointer plain("/response/body/choices/0/text");
  for (const auto& place : {chat, plain}) {
    if (json.contains(place) && json[place].is_string()) return {json[place].get<std::string>()};
  }
  return {line, true};
}

}  // namespace

Result<void> publish_lines(const std::string& path, const Journal& journal, const DoneLines& done,
                           std::span<const uint64_t> order) {
  LLMRUN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  for (const uint64_t row : order) {
    LLMRUN_ASSIGN(std::string line, journal.read(done.at(row)));
    line += '\n';
    LLMRUN_TRY(file.write(line));
  }
  return file.commit();
}

Result<void> publish_folder(const std::string& path, const Journal& journal, const DoneLines& done,
                            std::span<const Row> rows) {
  for (size_t row = 0; row < rows.size(); ++row) {
    LLMRUN_ASSIGN(const std::string line, journal.read(done.at(row)));
    const Content content = content_of(line);
    const std::string name = rows[row].custom_id + (content.failed ? ".error.json" : ".txt");
    LLMRUN_TRY(
        write_file_atomic((std::filesystem::path(path) / name).string(), content.text + "\n"));
  }
  return {};
}

bool is_complete_output(const std::string& path, std::span<const std::string> keys) {
  std::ifstream file(path, std::ios::binary);
  std::unordered_set<std::string> wanted(keys.begin(), keys.end());
  std::string line;
  while (std::getline(file, line)) {
    if (file.eof() || !line.starts_with(kLineStart)) return false;  // no end of line: cut off
    const size_t end = line.find('"', kLineStart.size());
    if (end == std::string::npos) return false;
    if (wanted.erase(line.substr(kLineStart.size(), end - kLineStart.size())) == 0) return false;
  }
  return wanted.empty();
}

}  // namespace llmrun::batch
