// Looks for the note GNU/NT_GNU_BUILD_ID among the program headers of the loaded objects.
#include "base/build_id.h"

#include <link.h>

#include <cstdint>
#include <cstring>

namespace llmrun {
namespace {

struct Search {
  uintptr_t address;  // of code in the object that is looked for
  std::string id;
};

std::string hexadecimal(const unsigned char* bytes, size_t n) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < n; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

// The notes of a segment, which the linker wrote: sizes are multiples of 4.
std::string id_in(const unsigned char* notes, size_t n_bytes) {
  size_t at = 0;
  while (at + sizeof(ElfW(Nhdr)) <= n_bytes) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes + at, sizeof(header));
    const size_t name = at + sizeof(header);
    const size_t text = name + (header.n_namesz + 3) / 4 * 4;
    const size_t next = text + (header.n_descsz + 3) / 4 * 4;
    if (next > n_bytes) break;
    const bool is_id = header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
                       std::memcmp(notes + name, "GNU", 4) == 0;
    if (is_id) return hexadecimal(notes + text, header.n_descsz);
    at = next;
  }
  return "";
}

int look(dl_phdr_info* object, size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool is_here = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    const uintptr_t start = object->dlpi_addr + part.p_vaddr;
    is_here = is_here || (part.p_type == PT_LOAD && search.address >= start &&
                          search.address < start + part.p_memsz);
  }
  if (!is_here) return 0;
  for (int i = 0; i < object->dlpi_phnum && search.id.empty(); ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_NOTE) continue;
    search.id = id_in(reinterpret_cast<const unsigned char*>(object->dlpi_addr + part.p_vaddr),
                      part.p_memsz);
  }
  return 1;
}

}  // namespace

std::string build_id() {
  Search search{reinterpret_cast<uintptr_t>(&look), {}};
  dl_iterate_phdr(&look, &search);
  return search.id;
}

}  // namespace llmrun
