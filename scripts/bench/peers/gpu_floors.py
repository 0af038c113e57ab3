"""What a GPU does at best, by PyTorch: bytes per second of a copy on the device (read and written), and floating-point
operations per second of a product of large float32 matrices without TF32. Answers with one line."""
import json
import time

import torch

torch.backends.cuda.matmul.allow_tf32 = False


def seconds(run):
    run()
    torch.cuda.synchronize()
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - begin)
    return best


source = torch.zeros(2**30, device="cuda")
target = torch.empty_like(source)
n = 8192
a, b = torch.randn(n, n, device="cuda"), torch.randn(n, n, device="cuda")
c = torch.empty(n, n, device="cuda")
print(
    json.dumps(
        {
            "device": torch.cuda.get_device_name(),
            "bytesPerSecond": 2 * 4 * source.numel() / seconds(lambda: target.copy_(source)),
            "float32PerSecond": 2 * n**3 / seconds(lambda: torch.matmul(a, b, out=c)),
        }
    ),
    flush=True,
)
