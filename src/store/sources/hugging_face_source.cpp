// The Hugging Face hub, and the cache on disk that its tools share.
#include "base/error.h"
#include "store/hf_cache.h"
#include "store/hf_hub.h"
#include "store/hf_pull.h"
#include "store/paths.h"
#include "store/source.h"

namespace llmrun::store {
namespace {

class HuggingFaceSource : public Source {
 public:
  [[nodiscard]] bool speaks(const std::string& name) const override { return is_hf_name(name); }
  [[nodiscard]] std::string where() const override {
    return fmt::format("the Hugging Face cache {}; the hub {}", hf_cache_dir().string(),
                       hf_endpoint());
  }
  [[nodiscard]] std::optional<StoredModel> find(const std::string& name) const override {
    const auto parsed = parse_hf_name(name);
    return parsed ? HfCache(hf_cache_dir()).find(*parsed) : std::nullopt;
  }
  [[nodiscard]] std::vector<StoredModel> list() const override {
    return HfCache(hf_cache_dir()).list();
  }
  [[nodiscard]] bool is_remote() const override { return true; }
  Result<RemoteModel> locate(const std::string& name, const SourceOptions& options) const override {
    LLMRUN_ASSIGN(const HfName parsed, parse_hf_name(name));
    return locate_on_hub(parsed, options);
  }
  Result<StoredModel> fetch(const std::string& name, const SourceOptions& options) const override {
    LLMRUN_ASSIGN(const HfName parsed, parse_hf_name(name));
    return pull_from_hub(parsed, options);
  }
};

}  // namespace

std::unique_ptr<Source> make_hugging_face_source() { return std::make_unique<HuggingFaceSource>(); }

}  // namespace llmrun::store
