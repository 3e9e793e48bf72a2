"""Runs build/release/bin/kernels_bench on every CPU target that this machine has.

Products of few tokens are told in GB/s of weights read, those of many in Gop/s.
"""
import json
import os
import subprocess

from .models import BIN, LLMRUN, Sample

MANY_TOKENS = 16


def machine():
    """The peaks of each CPU target, as `llmrun bench` measures them."""
    out = subprocess.run([LLMRUN, "bench", "--json"], check=True, capture_output=True,
                         text=True).stdout
    return {peak["target"]: peak for peak in json.loads(out)["machine"]}


def measure(pattern, threads, rounds):
    figures = {}
    for target, peak in machine().items():
        out = subprocess.run(
            [BIN / "kernels_bench", f"--benchmark_filter={pattern}", "--benchmark_format=json",
             f"--benchmark_repetitions={rounds}", "--benchmark_min_time=0.05"],
            check=True, capture_output=True, text=True,
            env={**os.environ, "LLMRUN_CPU": target}).stdout
        for run in json.loads(out)["benchmarks"]:
            if run["run_type"] == "iteration":
                add(figures, target, peak, run)
    return figures


def add(figures, target, peak, run):
    name = f"{target} {run['run_name'].removesuffix('/real_time')}"
    tokens = next((int(part[7:]) for part in name.split("/") if part.startswith("tokens:")), 0)
    if "Gop/s" in run and tokens >= MANY_TOKENS:
        is_float = "attention/" in name or any(f"/{kind}/" in name
                                               for kind in ("F32", "F16", "BF16"))
        most = peak["f32_gigaflops_per_second" if is_float else "int8_gigaops_per_second"]
        unit, value = "Gop/s", run["Gop/s"]
    elif "GB/s" in run:
        most = peak["read_gigabytes_per_second"]
        unit, value = "GB/s", run["GB/s"]
    else:
        most, unit, value = 0, "Gupdates/s", run["Gupdates/s"]
    sample = figures.setdefault(name, Sample(unit))
    sample.values.append(value)
    if most:
        sample.shares.append(value / most)
