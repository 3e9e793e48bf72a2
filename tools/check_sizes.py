#!/usr/bin/env python3
"""Checks that no source file outgrew its room (800 lines) and that the repository stays small.

Generated tables (a first line that says so) may be longer.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_LINES = 800
MAX_TEST_DATA = 20_000_000  # bytes in tests/data and tests/corpus together


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    paths = [ROOT / name for name in files if name and (ROOT / name).is_file()]
    found = []
    for path in paths:
        if path.suffix not in {".h", ".cpp", ".inc", ".py", ".cu", ".cuh", ".sh"}:
            continue
        lines = path.read_text().splitlines()
        if len(lines) > MAX_LINES and "generated" not in " ".join(lines[:3]).lower():
            found.append(f"{path.relative_to(ROOT)}: {len(lines)} lines, more than {MAX_LINES}")
    data = sum(path.stat().st_size for path in paths
               if path.relative_to(ROOT).parts[:2] in {("tests", "data"), ("tests", "corpus")})
    if data > MAX_TEST_DATA:
        found.append(f"tests/data and tests/corpus: {data} bytes, more than {MAX_TEST_DATA}")
    print("\n".join(found) if found else f"sizes: {len(paths)} files, test data {data / 1e6:.1f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
