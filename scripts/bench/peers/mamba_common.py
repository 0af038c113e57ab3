"""What the Python peers of scripts/bench/mamba-cpu.js and mamba-gpu.js share: arguments, parameters, and how they answer.

A line with a count is answered with the milliseconds of so many forward passes and training steps. On a CPU every run is timed,
and the first, which pays for cold caches after a rest, is left out; on a GPU the runs follow each other without waiting and their mean is given.
"""
import argparse
import json
import sys
import time

import numpy as np


def arguments(scans):
    parser = argparse.ArgumentParser()
    parser.add_argument("weights")
    parser.add_argument("ids")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--scan", choices=scans, default=scans[0])
    return parser.parse_args()


def parameters(path):
    """The float32 tensors of a safetensors file, by name."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    of = lambda one: np.frombuffer(data[slice(*one["data_offsets"])], np.float32).reshape(one["shape"])
    return {name: of(one).copy() for name, one in header.items()}


def milliseconds(run, count, wait, device):
    """`run()` starts a run, `wait(result)` waits for it."""
    if device == "gpu":
        start = time.perf_counter()
        for _ in range(count):
            last = run()
        wait(last)
        return [(time.perf_counter() - start) * 1e3 / count]
    out = []
    for _ in range(count):
        start = time.perf_counter()
        wait(run())
        out.append((time.perf_counter() - start) * 1e3)
    return out[1:]


def serve(ready, loss, memory, forward, step, wait, device):
    """Says that it is ready, then answers lines until there are no more. `memory`: bytes of intermediates at most."""
    for run in (forward, step):
        milliseconds(run, 3, wait, device)
    print(json.dumps({"ready": ready, "loss": loss, "bytes": memory}), flush=True)
    for line in sys.stdin:
        count = int(line)
        times = {kind: milliseconds(run, count, wait, device) for kind, run in (("forward", forward), ("step", step))}
        print(json.dumps(times), flush=True)
