#!/usr/bin/env python3
"""tools/bench: what it takes for a fall in speed, how it reads names of tests, what it draws."""
import argparse
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tools"))
from benchmarks import baseline, models, peer, plot, report  # noqa: E402


def sample(values, unit="tok/s"):
    made = models.Sample(unit)
    made.values = values
    made.shares = [value / 100 for value in values]
    return made


def figure(share, noise=0.0):
    return {"tg8": {"share": share, "noise": noise}}


class Baseline(unittest.TestCase):
    def test_a_fall_beyond_noise_fails(self):
        self.assertEqual(baseline.check(figure(0.5), figure(0.44)), 1)
        self.assertEqual(baseline.check(figure(0.5), figure(0.46)), 0)

    def test_noisy_figures_get_a_wider_margin(self):
        self.assertEqual(baseline.check(figure(0.5, 0.1), figure(0.40, 0.15)), 0)
        self.assertEqual(baseline.check(figure(0.5, 0.1), figure(0.36, 0.15)), 1)

    def test_nothing_in_common_is_no_success(self):
        self.assertEqual(baseline.check({"pp9": {"share": 1, "noise": 0}}, figure(1)), 1)

    def test_noise_is_relative(self):
        self.assertEqual(baseline.noise([0.5]), 0)
        self.assertAlmostEqual(baseline.noise([0.4, 0.5, 0.6]), 0.4)


class Tests(unittest.TestCase):
    def test_names(self):
        self.assertEqual(models.parse_test("pp512"), ("pp", 512, 0, 1))
        self.assertEqual(models.parse_test("tg48@d4096x8"), ("tg", 48, 4096, 8))
        with self.assertRaises(SystemExit):
            models.parse_test("tg")

    def test_ratios_are_of_pairs(self):
        result = {"llmrun": sample([10, 30, 20]), "llama.cpp": sample([5, 10, 20])}
        self.assertEqual(report.ratio(result), 2)
        result = {"llmrun": sample([1.0], "s"), "llama.cpp": sample([3.0], "s")}
        self.assertEqual(report.ratio(result), 3)

    def test_the_drawing_is_xml(self):
        pair = {"llmrun": sample([10]), "llama.cpp": sample([5])}
        drawing = plot.comparison({"a<b": {"tg8": pair, "tg8@d512": pair, "pp9": pair}}, True)
        root = xml.dom.minidom.parseString(drawing).documentElement
        self.assertEqual(len(root.getElementsByTagName("polyline")), 2)
        self.assertEqual(len(root.getElementsByTagName("rect")), 4)

    def test_lines_alone_show_decoding_and_prompts_by_length(self):
        tests = {test: {"llmrun": sample([10]), "llama.cpp": sample([5])}
                 for test in models.CONTEXT_TESTS.split(",")}
        self.assertEqual([p[0] for p in plot.points_of(tests, "tg")], [0, 512, 1024, 2048, 4096])
        self.assertEqual([p[0] for p in plot.points_of(tests, "pp")], [128, 512, 1024, 2048, 4096])
        root = xml.dom.minidom.parseString(plot.comparison({"a": tests}, False)).documentElement
        self.assertEqual(len(root.getElementsByTagName("polyline")), 4)
        self.assertEqual(len(root.getElementsByTagName("rect")), 1)  # the background

    def test_a_pair_is_equal_or_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            python = pathlib.Path(folder) / "python"
            python.write_text("#!/bin/sh\necho 'CPU : AVX2 = 1 | AVX512 = 1 |'\n")
            python.chmod(0o755)
            args = argparse.Namespace(python=str(python), cpu="avx2")
            with unittest.mock.patch.dict(os.environ):
                with self.assertRaises(SystemExit):
                    peer.use_target(args)
                python.write_text("#!/bin/sh\necho 'CPU : AVX2 = 1 |'\n")
                peer.use_target(args)
                self.assertEqual(os.environ["LLMRUN_CPU"], "avx2")


if __name__ == "__main__":
    unittest.main()
