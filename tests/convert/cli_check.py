#!/usr/bin/env python3
"""`llmrun convert` as a user calls it: every stored folder in every type, the JSON report, exit
codes; and, where PyPI's gguf is installed, its reader on what came out.

    cli_check.py LLMRUN FOLDER_OF_FOLDERS
"""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

LLMRUN, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
HAS_GGUF = importlib.util.find_spec("gguf") is not None


def convert(*arguments):
    return subprocess.run([LLMRUN, "convert", *map(str, arguments)], capture_output=True, text=True,
                          timeout=120)


class Convert(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="llmrun-convert-")
        self.output = pathlib.Path(self.folder.name) / "out.gguf"

    def tearDown(self):
        self.folder.cleanup()

    def test_every_folder_in_every_type(self):
        for source in sorted(DATA.iterdir()):
            for kind in ("f32", "f16", "bf16", "q8_0"):
                with self.subTest(folder=source.name, type=kind):
                    result = convert(source, "-o", self.output, "--type", kind, "--json")
                    self.assertEqual(result.returncode, 0, result.stderr)
                    report = json.loads(result.stdout)
                    self.assertTrue(report["runnable"], report["why_not"])
                    self.assertEqual(report["output_bytes"], self.output.stat().st_size)
                    self.assertIn(kind.upper(), report["bytes_by_type"])
                    if HAS_GGUF:
                        self.check_with_gguf(report)

    def check_with_gguf(self, report):
        import gguf
        reader = gguf.GGUFReader(self.output)
        self.assertEqual(len(reader.tensors), report["n_tensors"])
        values = sum(gguf.dequantize(t.data, t.tensor_type).size for t in reader.tensors)
        self.assertEqual(values, report["n_parameters"])
        self.assertEqual(reader.get_field("general.architecture").contents(),
                         report["architecture"])

    def test_errors_have_exit_codes_and_leave_nothing(self):
        empty = pathlib.Path(self.folder.name) / "empty"
        empty.mkdir()
        strange = pathlib.Path(self.folder.name) / "strange"
        strange.mkdir()
        (strange / "config.json").write_text('{"architectures": ["NoSuchModel"]}')
        cases = [((DATA / "llama",), 2, "--output"),
                 ((DATA / "llama", "-o", self.output, "--type", "q3_k"), 2, "q3_k"),
                 ((empty, "-o", self.output), 3, "config.json"),
                 ((strange, "-o", self.output), 4, "NoSuchModel")]
        for arguments, code, words in cases:
            result = convert(*arguments)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(words, result.stderr)
            self.assertEqual(result.stdout, "")
            self.assertFalse(self.output.exists())


if __name__ == "__main__":
    print("with gguf's reader" if HAS_GGUF else "without gguf, which is not installed")
    unittest.main(argv=sys.argv[:1])
