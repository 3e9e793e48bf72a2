// Steps that several families share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "convert/conversion.h"

namespace llmrun::convert {

// "blk.3.attn_q".
std::string block(int64_t layer, std::string_view name);

// One weight, and its bias when there is one, of every layer.
struct Rename {
  std::string_view from;  // under "<layers>.<i>."
  std::string_view to;    // under "blk.<i>."
  Precision precision = Precision::kWanted;
  bool required = true;
};
void rename_layers(Conversion& c, int64_t n_layers, std::string_view layers,
                   std::initializer_list<Rename> renames);

// Another text under the key than this (which is also the default) is a mistake: the runtime has
// no such variant.
void require_text(const Config& config, const char* key, std::string_view only);

}  // namespace llmrun::convert
