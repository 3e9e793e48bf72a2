"""Prints figures as Markdown tables."""
import statistics


def median(sample):
    return statistics.median(sample.values)


def spread(sample):
    return f"{min(sample.values):.2f} … {max(sample.values):.2f}"


def print_table(header, rows):
    table = [header, ["---"] * len(header), *rows]
    for row in table:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def print_model(name, samples):
    print(f"\n{name}\n")
    rows = []
    for test, sample in samples.items():
        share = f"{statistics.median(sample.shares):.0%}" if sample.shares else ""
        memory = f"{max(sample.peak_bytes) / 1e9:.2f} GB" if sample.peak_bytes else ""
        rows.append([test, f"{median(sample):.2f} {sample.unit}", spread(sample), share, memory])
    print_table(["test", "median", "min … max", "of the peak", "memory"], rows)


def ratio(result):
    """How many times faster llmrun is: the median over the rounds, pair by pair."""
    ours, peer = result["llmrun"], result["llama.cpp"]
    pairs = zip(ours.values, peer.values)
    if ours.unit == "s":
        return statistics.median(b / a for a, b in pairs)
    return statistics.median(a / b for a, b in pairs)


def print_comparison(name, results):
    print(f"\n{name}\n")
    rows = []
    for test, result in results.items():
        ours, peer = result["llmrun"], result["llama.cpp"]
        rows.append([test, f"{median(ours):.2f} {ours.unit}", spread(ours), f"{median(peer):.2f}",
                     spread(peer), result["layout"], f"{ratio(result):.2f}"])
    print_table(["test", "llmrun", "min … max", "llama.cpp", "min … max", "layout", "ratio"], rows)


def print_kernels(figures):
    rows = []
    for name, sample in figures.items():
        rows.append([name, f"{median(sample):.1f} {sample.unit}",
                     f"{statistics.median(sample.shares):.0%}" if sample.shares else ""])
    print_table(["kernel", "median", "of the peak"], rows)
