"""Saved figures, and whether new ones fell below them by more than noise explains."""
import json
import pathlib
import statistics

SMALLEST_FALL = 0.10  # what two runs of the same program on a shared machine differ by anyway


def noise(shares):
    """Relative distance of the quartiles, or of the extremes of a few samples."""
    if len(shares) < 2:
        return 0.0
    middle = statistics.median(shares)
    low, high = (min(shares), max(shares)) if len(shares) < 5 else (
        statistics.quantiles(shares, n=4)[0], statistics.quantiles(shares, n=4)[2])
    return (high - low) / middle if middle else 0.0


def save_or_check(args, figures):
    measured = {name: {"share": statistics.median(sample.shares), "noise": noise(sample.shares)}
                for name, sample in figures.items() if sample.shares}
    if args.save:
        pathlib.Path(args.save).write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n")
    return check(json.loads(pathlib.Path(args.check).read_text()), measured) if args.check else 0


def check(saved, measured):
    """Prints what fell; 1 when something did."""
    common = [name for name in saved if name in measured]
    if not common:
        print("nothing of what was saved was measured")
        return 1
    fallen = []
    for name in common:
        old, new = saved[name], measured[name]
        margin = max(SMALLEST_FALL, old["noise"] + new["noise"])
        if new["share"] < old["share"] * (1 - margin):
            fallen.append(f"{name}: {old['share']:.1%} of the peak before, {new['share']:.1%} now "
                          f"(noise explains {margin:.0%})")
    print("\n".join(fallen) if fallen else f"{len(common)} figures are as good as saved")
    return 1 if fallen else 0
