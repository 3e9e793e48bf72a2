// Recognises the form of the input and makes rows of it.
#include "batch/input.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "base/error.h"
#include "base/file_io.h"
#include "base/json_depth.h"
#include "base/keyed_hash.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "batch/body.h"
#include "batch/json.h"

namespace llmrun::batch {
namespace {

namespace fs = std::filesystem;

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(ErrorCode::kUsage, format, std::forward<Args>(args)...);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Calls use(number, line) for every line, without its end, numbered from 1.
template <typename Use>
Result<void> for_each_line(std::string_view text, const Use& use) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    LLMRUN_TRY(use(number, line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Result<void> check_room(const std::vector<Row>& rows) {
  if (rows.size() < kMaxRows) return {};
  return bad("there are more than {} requests; split the input", kMaxRows);
}

Result<Json> parse(std::string_view line) {
  if (json_is_deeper_than(line, kMaxJsonDepth)) {
    return bad("JSON nested deeper than {} levels", kMaxJsonDepth);
  }
  try {
    return Json::parse(line);
  } catch (const Json::parse_error& error) {
    return bad("no valid JSON at byte {}", error.byte);
  } catch (const Json::exception&) {  // a number past what a double holds
    return bad("JSON with a number out of range");
  }
}

Result<Endpoint> endpoint_of(const Json& url) {
  if (url == "/v1/chat/completions") return Endpoint::kChat;
  if (url == "/v1/completions") return Endpoint::kCompletion;
  if (url == "/v1/embeddings") return Endpoint::kEmbedding;
  if (!url.is_string()) return bad("there is no 'url'");
  return bad("the url '{}' is not one of /v1/chat/completions, /v1/completions, /v1/embeddings",
             url.get<std::string>());
}

Result<void> read_line(std::string_view line, Row& row) {
  LLMRUN_ASSIGN(const Json json, parse(line));
  if (!json.is_object()) return bad("the line is no JSON object");
  if (const Json id = json.value("custom_id", Json()); id.is_string()) {
    row.custom_id = id.get<std::string>();
  }
  if (row.custom_id.empty()) return bad("there is no 'custom_id', or it is no text");
  for (const auto& [name, value] : json.items()) {
    if (name == "custom_id" || name == "method" || name == "url" || name == "body") continue;
    return bad("the field '{}' of the line is not known", name);
  }
  if (json.value("method", Json()) != "POST") return bad("the 'method' must be \"POST\"");
  LLMRUN_ASSIGN(row.endpoint, endpoint_of(json.value("url", Json())));
  const Json body = json.value("body", Json());
  if (!body.is_object()) return bad("there is no 'body', or it is no object");
  if (const Json model = body.value("model", Json()); model.is_string()) {
    row.model = model.get<std::string>();
  } else if (!model.is_null()) {
    return bad("'model' must be a text");
  }
  return read_body(body, row);
}

Row row_of_text(std::string_view text, const PromptForm& form) {
  Row row;
  std::string prompt(text);
  if (!form.prompt_template.empty()) {
    constexpr std::string_view kPlace = "{text}";
    prompt = form.prompt_template;
    for (size_t at = 0; (at = prompt.find(kPlace, at)) != std::string::npos; at += text.size()) {
      prompt.replace(at, kPlace.size(), text);
    }
  }
  if (form.raw) {
    row.endpoint = Endpoint::kCompletion;
    row.prompt = std::move(prompt);
    return row;
  }
  if (!form.system.empty()) row.messages.push_back({.role = "system", .content = form.system});
  row.messages.push_back({.role = "user", .content = std::move(prompt)});
  return row;
}

Result<std::vector<fs::path>> text_files(const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (auto entry = fs::directory_iterator(folder, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".txt") files.push_back(entry->path());
  }
  if (error) {
    return make_error(ErrorCode::kIo, "cannot read the folder '{}': {}", folder, error.message());
  }
  if (files.empty()) return bad("the folder '{}' holds no .txt file", folder);
  std::sort(files.begin(), files.end());
  return files;
}

Result<Input> read_folder(const std::string& folder, const PromptForm& form) {
  Input input;
  input.form = InputForm::kFolder;
  LLMRUN_ASSIGN(const std::vector<fs::path> files, text_files(folder));
  Sha256 hash;
  uint64_t n_bytes = 0;
  for (const fs::path& file : files) {
    LLMRUN_TRY(check_room(input.rows));
    LLMRUN_ASSIGN(std::string text, read_file(file.string(), kMaxInputBytes - n_bytes));
    n_bytes += text.size();
    LLMRUN_ASSIGN(const std::string digest, sha256_hex(std::as_bytes(std::span(text))));
    const std::string name = file.stem().string();
    const std::string entry = name + "\n" + digest + "\n";
    hash.update(std::as_bytes(std::span(entry)));
    Row row = row_of_text(text, form);
    row.line = static_cast<int64_t>(input.rows.size()) + 1;
    row.custom_id = name;
    if (!utf8::is_valid(text)) row.fault = bad("'{}' is no UTF-8 text", file.string()).value();
    if (is_blank(text)) row.fault = bad("'{}' is empty", file.string()).value();
    input.rows.push_back(std::move(row));
  }
  LLMRUN_ASSIGN(input.sha256, hash.finish());
  return input;
}

// By its name, or by what its first line looks like.
bool is_json_lines(const std::string& path, std::string_view text) {
  const std::string extension = fs::path(path).extension().string();
  if (extension == ".jsonl" || extension == ".ndjson") return true;
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' &&
         text.substr(first, text.find('\n', first) - first).find("\"custom_id\"") !=
             std::string_view::npos;
}

}  // namespace

Result<std::vector<Row>> read_json_lines(std::string_view text) {
  std::vector<Row> rows;
  std::unordered_map<std::string, int64_t, KeyedHash> lines_of_ids;
  const auto add = [&](int64_t number, std::string_view line) -> Result<void> {
    if (is_blank(line)) return {};
    LLMRUN_TRY(check_room(rows));
    Row row;
    row.line = number;
    if (const auto read = read_line(line, row); !read) row.fault = read.error();
    if (!row.custom_id.empty()) {
      const auto [found, is_new] = lines_of_ids.emplace(row.custom_id, number);
      if (!is_new && !row.fault) {
        row.fault =
            bad("the custom_id '{}' stands in line {} already", row.custom_id, found->second)
                .value();
      }
    }
    rows.push_back(std::move(row));
    return {};
  };
  LLMRUN_TRY(for_each_line(text, add));
  return rows;
}

Result<std::vector<Row>> read_text_lines(std::string_view text, const PromptForm& form) {
  std::vector<Row> rows;
  const auto add = [&](int64_t number, std::string_view line) -> Result<void> {
    if (is_blank(line)) return {};
    LLMRUN_TRY(check_room(rows));
    Row row = row_of_text(line, form);
    row.line = number;
    row.custom_id = fmt::format("line-{}", number);
    if (!utf8::is_valid(line)) row.fault = bad("the line is no UTF-8 text").value();
    rows.push_back(std::move(row));
    return {};
  };
  LLMRUN_TRY(for_each_line(text, add));
  return rows;
}

Result<Input> read_input(const std::string& path, const PromptForm& form) {
  std::error_code error;
  if (fs::is_directory(path, error)) return read_folder(path, form);
  Input input;
  LLMRUN_ASSIGN(const std::string text, read_file(path, kMaxInputBytes));
  LLMRUN_ASSIGN(input.sha256, sha256_hex(std::as_bytes(std::span(text))));
  input.form = is_json_lines(path, text) ? InputForm::kJsonLines : InputForm::kTextLines;
  LLMRUN_ASSIGN(input.rows, input.form == InputForm::kJsonLines ? read_json_lines(text)
                                                                : read_text_lines(text, form));
  if (input.rows.empty()) return bad("'{}' holds no request", path);
  return input;
}

}  // namespace llmrun::batch
