"""llama.cpp beside llmrun: the PyPI package llama-cpp-python, built from source for this machine.

It runs with both of its weight layouts (repacked, and as in the file); the better one counts.
"""
import json
import os
import statistics
import subprocess
import sys

from . import models

# How every program for the peer begins: argv is the model, threads, repack (0 or 1), then what the
# program itself takes. What Python takes to start is not counted.
LOAD = r"""
import ctypes, json, resource, sys, time
import llama_cpp as lc
path, threads, repack = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
quiet = lc.llama_log_callback(lambda level, text, data: None)
lc.llama_log_set(quiet, None)
lc.llama_backend_init()
start = time.perf_counter()
params = lc.llama_model_default_params()
if not repack:
    params.use_extra_bufts = False
model = lc.llama_model_load_from_file(path.encode(), params)
vocab = lc.llama_model_get_vocab(model)
n_vocab = lc.llama_vocab_n_tokens(vocab)
"""

# Takes the tests as JSON; prints {test: value}.
SCRIPT = LOAD + r"""
tests = json.loads(sys.argv[4])

def new_context(n_tokens, n_sequences):
    options = lc.llama_context_default_params()
    options.n_ctx = n_tokens * n_sequences + 64
    options.n_seq_max = n_sequences
    options.kv_unified = n_sequences == 1
    options.n_batch = options.n_ubatch = 512
    options.n_threads = options.n_threads_batch = threads
    return lc.llama_init_from_model(model, options)

def decode(context, rows):
    batch = lc.llama_batch_init(len(rows), 0, 1)
    batch.n_tokens = len(rows)
    for i, (token, position, sequence, logits) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
        batch.seq_id[i][0], batch.logits[i] = sequence, logits
    assert lc.llama_decode(context, batch) == 0
    lc.llama_batch_free(batch)

def token(i):
    return (i * 7919) % (n_vocab - 10) + 5

def read(context, first, n, sequence=0):
    for at in range(first, first + n, 512):
        end = min(at + 512, first + n)
        decode(context, [(token(i), i, sequence, i + 1 == first + n) for i in range(at, end)])

def speed(kind, n, depth, sequences):
    context = new_context(depth + n, sequences)
    memory = lc.llama_get_memory(context)
    for warm_up in (True, False):
        lc.llama_memory_clear(memory, True)
        start = 0 if warm_up else depth
        for sequence in range(sequences):
            read(context, 0, start, sequence)
        lc.llama_synchronize(context)
        begin = time.perf_counter()
        if kind == "pp":
            read(context, start, min(n, 512) if warm_up else n)
        else:
            for i in range(start, start + (min(n, 16) if warm_up else n)):
                decode(context, [(token(i), i, s, True) for s in range(sequences)])
                lc.llama_get_logits_ith(context, 0)
        lc.llama_synchronize(context)
        seconds = time.perf_counter() - begin
    lc.llama_free(context)
    return n * sequences / seconds

def first_token():
    context = new_context(512, 1)
    ids = (lc.llama_token * 64)()
    text = sys.argv[5].encode()
    n = lc.llama_tokenize(vocab, text, len(text), ids, 64, True, True)
    decode(context, [(ids[i], i, 0, i + 1 == n) for i in range(n)])
    lc.llama_get_logits_ith(context, -1)
    return time.perf_counter() - start

if tests == "first":
    print(json.dumps({"first": first_token(),
                      "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
else:
    print(json.dumps({name: speed(*shape) for name, shape in tests.items()}))
"""


# What the peer is compiled for: this machine, or one without AVX-512.
BUILDS = {
    "native": "-DGGML_NATIVE=ON",
    "avx2": "-DGGML_NATIVE=OFF " + " ".join(
        f"-DGGML_{name}=ON" for name in ("SSE42", "AVX", "AVX2", "FMA", "F16C", "BMI2")),
}
WITHOUT_AVX512 = ("plain", "avx2", "avxvnni")  # CPU targets of llmrun


def install(folder, build):
    """A virtual environment with the package, compiled with the instructions of BUILDS."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = os.path.join(folder, "bin/python")
    environment = {**os.environ, "CMAKE_ARGS": BUILDS[build]}
    subprocess.run([python, "-m", "pip", "install", "--no-cache-dir", "--no-binary",
                    "llama-cpp-python", "llama-cpp-python"], check=True, env=environment)
    target = " --cpu avx2" if build == "avx2" else ""
    print(f"tools/bench compare{target} --python {python}")
    return 0


def use_target(args):
    """Runs llmrun with the kernels of args.cpu; says what both use, and refuses unequal pairs."""
    if args.cpu:
        os.environ["LLMRUN_CPU"] = args.cpu
    target = os.environ.get("LLMRUN_CPU") or "best"
    script = "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"
    instructions = subprocess.run([args.python, "-c", script], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.strip()
    print(f"llmrun: CPU target {target}; llama.cpp: {instructions}")
    if target in WITHOUT_AVX512 and "AVX512 = 1" in instructions:
        raise SystemExit(f"{args.python} has a llama.cpp that uses AVX-512, which {target} does not; "
                         "build one without: tools/bench peer FOLDER --build avx2")


def run_peer(args, path, repack, tests):
    out = subprocess.run([args.python, "-c", SCRIPT, path, str(args.threads), str(int(repack)),
                          json.dumps(tests), models.NINE_TOKENS],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def compare(name, args):
    """{test: {program: Sample}} after all rounds, llmrun and the peer in turn, test by test."""
    path = models.path_of(name)
    results = {}
    for test in models.tests_for(args, path):
        ours = {}
        peers = {layout: models.Sample("s" if test == "first" else "tok/s")
                 for layout in ("repacked", "as in the file")}
        only = argparse_like(args, test)
        for i in range(args.rounds):
            steps = [lambda: models.measure(path, only, ours)]
            for layout, sample in peers.items():
                steps.append(lambda layout=layout, sample=sample: sample_peer(
                    args, path, layout, test, sample))
            for step in steps if i % 2 == 0 else steps[::-1]:
                step()
        better = min if test == "first" else max
        best = better(peers, key=lambda layout: statistics.median(peers[layout].values))
        results[test] = {"llmrun": ours[test], "llama.cpp": peers[best], "layout": best}
    return results


def argparse_like(args, test):
    """The same options for one test."""
    copy = type(args)(**vars(args))
    copy.tests = test
    return copy


def sample_peer(args, path, layout, test, sample):
    if test == "first":
        result = run_peer(args, path, layout == "repacked", "first")
        sample.peak_bytes.append(result["bytes"])
        sample.values.append(result["first"])
    else:
        result = run_peer(args, path, layout == "repacked", {test: models.parse_test(test)})
        sample.values.append(result[test])
