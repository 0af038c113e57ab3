"""Times LAUSCHER, the program that made the Spiking Heidelberg Digits: pip install lauscher.

    python cochlea_lauscher.py <wav> <channels>

Prints {"wall", "cpu", "spikes"} of one conversion in one process, after a short one that compiles what is compiled at first use.
"""
import json
import os
import resource
import sys
import tempfile
import time

import numpy as np
import soundfile
from lauscher.__main__ import main
from lauscher.helpers import CommandLineArguments

CommandLineArguments().num_concurrent_jobs = 1


def cpu():
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


with tempfile.TemporaryDirectory() as folder:
    short = os.path.join(folder, "short.wav")
    soundfile.write(short, np.sin(np.arange(960) / 10) / 2, 48000)
    out = os.path.join(folder, "out.npz")
    main(short, out, 2)
    wall, start = time.perf_counter(), cpu()
    main(sys.argv[1], out, int(sys.argv[2]))
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": cpu() - start, "spikes": int(np.load(out)["arr_0"].shape[1])}))
