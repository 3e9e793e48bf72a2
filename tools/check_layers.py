#!/usr/bin/env python3
"""Checks that includes point one way (the table below) and that headers stay light.

CMake enforces the same between libraries (tools/cmake/Layers.cmake); this names the line, and it
also holds where two layers are linked for another reason.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# layer: (folder, layers it may include)
LAYERS = {
    "base": ("src/base", []),
    "gguf": ("src/gguf", ["base"]),
    "kernels": ("kernels", ["base"]),
    "tokenizer": ("src/tokenizer", ["base", "gguf"]),
    "chat": ("src/chat", ["base"]),
    "sampling": ("src/sampling", ["base"]),
    "runtime": ("src/runtime", ["base", "gguf", "kernels"]),
    "models": ("models", ["base", "gguf", "kernels", "runtime"]),
    "convert": ("src/convert", ["base", "gguf", "kernels"]),
    "quantize": ("src/quantize", ["base", "gguf", "kernels"]),
    "engine": ("src/engine", ["base", "gguf", "kernels", "runtime", "models", "tokenizer",
                              "sampling", "chat"]),
    "api": ("src/api", ["base", "gguf", "kernels", "runtime", "models", "tokenizer", "sampling",
                        "chat", "convert", "quantize", "engine"]),
    "store": ("src/store", ["base", "gguf"]),
    "batch": ("src/batch", ["base"]),
    "cli": ("src/cli", ["base", "store", "batch"]),
}
# Headers of include/llmrun that are plain data and open to every layer.
VOCABULARY = {"embedding_options.h", "error.h", "export.h", "generation.h", "message.h",
              "rope_override.h", "sampling_options.h"}
WHOLE_API = {"api", "batch", "cli", "store"}
HEAVY_HEADERS = {"src/batch/json.h", "src/cli/json.h"}  # included by .cpp files alone
HEAVY = {"nlohmann/json.hpp", "regex", "iostream", "CLI/CLI.hpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def layer_of(path):
    matches = [name for name, (folder, _) in LAYERS.items() if path.startswith(folder + "/")]
    return matches[0] if matches else None


def problems(path, layer):
    allowed = set(LAYERS[layer][1]) | {layer}
    for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(1) or match.group(2)
        first, _, rest = name.partition("/")
        if first == "llmrun" and rest not in VOCABULARY and layer not in WHOLE_API:
            yield f"{path}:{number}: {layer} may include only {sorted(VOCABULARY)} of llmrun/"
        elif match.group(1) and first in LAYERS and first not in allowed:
            yield f"{path}:{number}: {layer} may not include {first} ({name})"
        elif path.endswith(".h") and name in HEAVY and path not in HEAVY_HEADERS:
            yield f"{path}:{number}: <{name}> does not belong in a header"


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "src", "kernels", "models"],
                           cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    found = [text for path in files if path.endswith((".h", ".cpp", ".inc"))
             and (ROOT / path).exists() and (layer := layer_of(path))
             for text in problems(path, layer)]
    print("\n".join(found) if found else f"layers: {len(files)} files, includes point one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
