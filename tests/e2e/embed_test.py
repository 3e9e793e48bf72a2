#!/usr/bin/env python3
"""Runs `llmrun embed` and `llmrun rerank` as scripts do.

    embed_test.py LLMRUN FOLDER_OF_ENCODERS
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

LLMRUN, FOLDER = sys.argv[1:3]
BERT = os.path.join(FOLDER, "bert.gguf")
RERANKER = os.path.join(FOLDER, "bert-reranker.gguf")
LINES = ["the cat sat", "where is the dog?", "", "red and blue"]
LONG = "cat " * 70


def run(*arguments, stdin="", check=0):
    result = subprocess.run([LLMRUN, *arguments], input=stdin, capture_output=True, text=True,
                            timeout=60)
    if result.returncode != check:
        raise AssertionError(f"{arguments}: exit {result.returncode}, not {check}\n{result.stderr}")
    return result


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


class Embed(unittest.TestCase):
    def test_one_line_of_json_for_each_line(self):
        out = rows(run("embed", BERT, "-", stdin="\n".join(LINES) + "\n").stdout)
        self.assertEqual([row["index"] for row in out], [0, 1, 2, 3])
        for row, line in zip(out, LINES):
            self.assertEqual(len(row["embedding"]), 32)
            self.assertAlmostEqual(math.hypot(*row["embedding"]), 1, places=5)
            alone = rows(run("embed", BERT, line).stdout)[0]
            self.assertEqual(alone["embedding"], row["embedding"], line)
        threads = run("embed", BERT, "--threads", "1", "--batch", "16", stdin="\n".join(LINES)).stdout
        self.assertEqual(rows(threads), out)

    def test_a_file_and_a_prefix(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("cat\r\ndog\n")
            file.flush()
            out = rows(run("embed", BERT, "--file", file.name, "--prefix", "the ").stdout)
        self.assertEqual([row["tokens"] for row in out], [4, 4])
        self.assertEqual(out[1]["embedding"], rows(run("embed", BERT, "the dog").stdout)[0]["embedding"])

    def test_formats(self):
        line = rows(run("embed", BERT, "the cat").stdout)[0]["embedding"]
        raw = run("embed", BERT, "the cat", "--format", "raw").stdout
        self.assertEqual([float(number) for number in raw.split()], line)
        whole = json.loads(run("embed", BERT, "the cat", "--json").stdout)
        self.assertEqual(whole["embeddings"][0]["embedding"], line)
        self.assertEqual((whole["pooling"], whole["dimensions"]), ("mean", 32))
        none = json.loads(run("embed", BERT, "the cat", "--pooling", "none", "--json").stdout)
        self.assertEqual(len(none["embeddings"][0]["embedding"]), 4)
        few = rows(run("embed", BERT, "the cat", "--dimensions", "4").stdout)[0]["embedding"]
        self.assertEqual(len(few), 4)
        plain = rows(run("embed", BERT, "the cat", "--no-normalize").stdout)[0]["embedding"]
        self.assertNotAlmostEqual(math.hypot(*plain), 1, places=3)

    def test_too_long_a_text_names_both_lengths(self):
        result = run("embed", BERT, "-", stdin="cat\n" + LONG + "\n", check=2)
        self.assertEqual(result.stdout, "")
        for word in ("Text 2", "72", "64", "--truncate"):
            self.assertIn(word, result.stderr)
        out = rows(run("embed", BERT, "-", "--truncate", stdin="cat\n" + LONG + "\n").stdout)
        self.assertEqual((out[1]["tokens"], out[1]["dropped_tokens"]), (64, 8))
        self.assertNotIn("dropped_tokens", out[0])

    def test_errors(self):
        self.assertIn("--dimensions", run("embed", BERT, "a", "--dimensions", "0", check=2).stderr)
        self.assertIn("32", run("embed", BERT, "a", "--dimensions", "33", check=2).stderr)
        self.assertIn("rerank", run("embed", RERANKER, "a", check=2).stderr)
        self.assertIn("llmrun embed", run("run", BERT, "a", check=4).stderr)
        error = run("embed", BERT, LONG, "--json", check=2).stderr
        self.assertIn("64", json.loads(error)["error"]["message"])
        run("embed", BERT, "a", "--json", "--format", "raw", check=2)
        self.assertIn("64", run("embed", BERT, "cat " * 70, "--ctx", "80", check=2).stderr)
        self.assertIn("at most 5", run("embed", BERT, "a b c d e", "--ctx", "5", check=2).stderr)


class Rerank(unittest.TestCase):
    def test_best_first(self):
        out = rows(run("rerank", RERANKER, "--query", "where is the cat", *LINES[:2], LINES[3]).stdout)
        scores = [row["score"] for row in out]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertEqual(sorted(row["index"] for row in out), [0, 1, 2])
        piped = rows(run("rerank", RERANKER, "-q", "where is the cat", "--top", "1",
                         stdin="\n".join([*LINES[:2], LINES[3]])).stdout)
        self.assertEqual(piped, out[:1])
        whole = json.loads(run("rerank", RERANKER, "-q", "where is the cat", *LINES[:2], LINES[3],
                               "--json").stdout)
        self.assertEqual(whole["results"], out)

    def test_errors(self):
        self.assertIn("--query", run("rerank", RERANKER, "a", check=2).stderr)
        self.assertIn("cls.output", run("rerank", BERT, "-q", "a", "b", check=4).stderr)
        result = run("rerank", RERANKER, "-q", "a", "b", LONG, check=2)
        for word in ("Document 2", "74", "64"):
            self.assertIn(word, result.stderr)
        out = rows(run("rerank", RERANKER, "-q", "a", LONG, "--truncate").stdout)
        self.assertEqual(out[0]["dropped_tokens"], 10)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
