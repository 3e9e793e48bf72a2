// Made from families.def.
#include "convert/families/family.h"

namespace llmrun::convert {

#define LLMRUN_FAMILY(name, stem) void convert_##stem(Conversion&);
#include "convert/families/families.def"
#undef LLMRUN_FAMILY

namespace {

struct Entry {
  std::string_view name;
  ConvertFamily convert;
};
constexpr Entry kFamilies[] = {
#define LLMRUN_FAMILY(name, stem) {name, &convert_##stem},
#include "convert/families/families.def"
#undef LLMRUN_FAMILY
};

}  // namespace

ConvertFamily find_family(std::string_view class_name) {
  for (const Entry& entry : kFamilies) {
    if (entry.name == class_name) return entry.convert;
  }
  return nullptr;
}

std::vector<std::string_view> family_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kFamilies) names.push_back(entry.name);
  return names;
}

}  // namespace llmrun::convert
