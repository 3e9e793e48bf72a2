"""Runs `llmrun bench` and `llmrun run` on a model and gathers samples.

A test is named as `llmrun bench` names it: pp512 reads a prompt of 512 tokens, tg48 decodes 48,
tg48@d4096 with 4,096 tokens in the context before, tg48x8 in 8 answers at once. `first` is the
time from the start of the process to its first token after a prompt of 9 tokens.
"""
import json
import os
import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = ROOT / "build/release/bin"
LLMRUN = str(BIN / "llmrun")
DEFAULT = ["smollm2:135m", "gemma3:270m", "qwen2-1.5b:Q4_K_M"]
TESTS = "pp9,pp16,pp32,pp64,pp512,tg48,tg48x8,tg48x32,tg48@d4096,first"
CONTEXT_TESTS = ("tg32,tg32@d512,tg32@d1024,tg32@d2048,tg32@d4096,"
                 "pp128,pp512,pp1024,pp2048,pp4096")
TESTS_HELP = f"comma-separated, default {TESTS}"
NINE_TOKENS = "Why is the sky blue in the morning?"


class Sample:
    """Values of one test over the rounds. `unit` is "tok/s" or "s"; shares are of the peak."""

    def __init__(self, unit):
        self.unit, self.values, self.shares, self.peak_bytes = unit, [], [], []


def path_of(name):
    """The file of a MODEL; writes the synthetic ones when they are not there yet."""
    if os.path.exists(name):
        return name
    shape, _, mix = name.partition(":")
    if mix and shape in shapes():
        path = ROOT / "build/bench-models" / f"{shape}-{mix}.gguf"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([BIN / "synthetic_model", path, shape, mix], check=True)
        return str(path)
    out = subprocess.run([LLMRUN, "pull", "--print-path", name], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    return out.strip().splitlines()[-1]


def shapes():
    """The names that synthetic_model knows, as it lists them itself."""
    usage = subprocess.run([BIN / "synthetic_model"], capture_output=True, text=True).stderr
    return usage.rpartition("shapes:")[2].split()


def parse_test(test):
    """("tg", tokens, depth, sequences)"""
    match = re.fullmatch(r"(pp|tg)(\d+)(?:@d(\d+))?(?:x(\d+))?", test)
    if not match:
        raise SystemExit(f"{test} is no test; {TESTS_HELP}")
    kind, tokens, depth, sequences = match.groups()
    return kind, int(tokens), int(depth or 0), int(sequences or 1)


def tests_for(args, path):
    """The tests asked for; without a tokenizer there is no first token of a text."""
    tests = (args.tests or TESTS).split(",")
    return [test for test in tests if test != "first" or has_tokenizer(path)]


def has_tokenizer(path):
    return subprocess.run([LLMRUN, "tokenize", path, "a"], capture_output=True).returncode == 0


def measure(name, args, samples):
    """One round of all tests; adds to samples, {test: Sample}."""
    path = path_of(name)
    for test in tests_for(args, path):
        if test == "first":
            seconds, peak = first_token(path, args.threads)
            sample = samples.setdefault(test, Sample("s"))
            sample.values.append(seconds)
            sample.peak_bytes.append(peak)
            continue
        kind, tokens, depth, sequences = parse_test(test)
        sizes = ["-p", str(tokens), "-n", "0"] if kind == "pp" else ["-p", "0", "-n", str(tokens)]
        out = subprocess.run([LLMRUN, "bench", path, *sizes, "-d", str(depth), "-s", str(sequences),
                              "-t", str(args.threads), "-r", "1", "--json"],
                             check=True, capture_output=True, text=True).stdout
        result = json.loads(out)["results"][0]
        sample = samples.setdefault(test, Sample("tok/s"))
        sample.values.append(result["tokens_per_second"])
        share = "share_of_peak" if kind == "pp" else "share_of_bandwidth"
        sample.shares.append(result[share])


def first_token(path, threads):
    """(seconds, peak bytes) of a whole process that answers with one token."""
    start = time.perf_counter()
    process = subprocess.Popen([LLMRUN, "run", path, NINE_TOKENS, "-n", "1", "-t", str(threads)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        raise SystemExit(f"llmrun run {path} failed")
    return time.perf_counter() - start, usage.ru_maxrss * 1024
