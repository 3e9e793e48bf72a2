// A place that models come from: files, stores on this machine, servers. One file in sources/ and
// one line in sources.def make a new one; resolving, listing, suggestions, estimates and errors
// follow.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "llmrun/error.h"
#include "store/local_store.h"
#include "store/remote.h"

namespace llmrun::store {

struct SourceOptions {
  bool fetch = true;       // a model that is not on this machine is downloaded
  bool offline = false;    // nothing is asked over the network
  bool insecure = false;   // plain http to other machines is allowed
  int stall_seconds = 30;  // as in HttpOptions
  int max_tries = 6;
  // Asked before a model is downloaded; an error keeps it from being fetched.
  std::function<Result<void>(const std::string& name, uint64_t bytes)> approve = {};
  std::function<bool()> cancelled = {};  // true ends what is running with kInterrupted
};

// By the options, HF_HUB_OFFLINE=1 or LLMRUN_OFFLINE=1.
bool is_offline(const SourceOptions& options);

struct HttpOptions;
// What the options mean for a client of HTTP.
HttpOptions http_options(const SourceOptions& options);

class Source {
 public:
  virtual ~Source() = default;

  // Whether a name of this form can mean a model of this place.
  [[nodiscard]] virtual bool speaks(const std::string& name) const = 0;
  // For "looked in …": "Ollama's store /home/me/.ollama/models".
  [[nodiscard]] virtual std::string where() const = 0;
  // A model that is on this machine; reads only, and asks no network.
  [[nodiscard]] virtual std::optional<StoredModel> find(const std::string& name) const = 0;
  [[nodiscard]] virtual std::vector<StoredModel> list() const { return {}; }
  // Other names that find(), locate() or fetch() know, for suggestions.
  [[nodiscard]] virtual std::vector<std::string> names() const { return {}; }

  // A server stands behind it: locate() and fetch() work.
  [[nodiscard]] virtual bool is_remote() const { return false; }
  // What it offers under a name today may be another model tomorrow.
  [[nodiscard]] virtual bool can_change() const { return is_remote(); }
  // What the server offers under that name; kNotFound when it has none such.
  virtual Result<RemoteModel> locate(const std::string& name, const SourceOptions& options) const;
  // Brings it to this machine, verified.
  virtual Result<StoredModel> fetch(const std::string& name, const SourceOptions& options) const;
};

// In the order in which they are asked.
std::span<const std::unique_ptr<Source>> all_sources();

}  // namespace llmrun::store
