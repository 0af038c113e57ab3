"""Mamba in PyTorch on a CPU, written from the equations (docs: Gu and Dao 2023): the scan is a loop over time. Answers lines with
lines: see scripts/bench/mamba-cpu.js.

    python mamba_torch.py <model.safetensors> <ids.npy>
"""
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

torch.set_num_threads(2)
p = {k: v.requires_grad_() for k, v in load_file(sys.argv[1]).items()}
ids = torch.from_numpy(np.load(sys.argv[2])).long()
layers = 1 + max(int(k.split(".")[2]) for k in p if k.startswith("backbone.layers"))


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def block(u, i):
    q = lambda name: p[f"backbone.layers.{i}.mixer.{name}"]
    inner, taps = q("conv1d.weight").shape[0], q("conv1d.weight").shape[2]
    states, rank = q("A_log").shape[1], q("dt_proj.weight").shape[1]
    x, z = (u @ q("in_proj.weight").T).split(inner, -1)
    x = F.conv1d(x.transpose(1, 2), q("conv1d.weight"), q("conv1d.bias"), padding=taps - 1, groups=inner)
    x = F.silu(x[..., : u.shape[1]].transpose(1, 2))
    low, B, C = (x @ q("x_proj.weight").T).split([rank, states, states], -1)
    delta = F.softplus(low @ q("dt_proj.weight").T + q("dt_proj.bias"))
    leak = torch.exp(delta.unsqueeze(-1) * -torch.exp(q("A_log")))
    drive = (delta * x).unsqueeze(-1) * B.unsqueeze(2)
    h = torch.zeros_like(leak[:, 0])
    ys = []
    for a, b, c in zip(leak.unbind(1), drive.unbind(1), C.unbind(1)):
        h = a * h + b
        ys.append(torch.matmul(h, c.unsqueeze(-1)).squeeze(-1))
    y = torch.stack(ys, 1) + q("D") * x
    return (y * F.silu(z)) @ q("out_proj.weight").T


def loss():
    r = p["backbone.embedding.weight"][ids]
    for i in range(layers):
        r = r + block(norm(r, p[f"backbone.layers.{i}.norm.weight"]), i)
    logits = norm(r, p["backbone.norm_f.weight"]) @ p["backbone.embedding.weight"].T
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


adam = torch.optim.Adam(p.values(), lr=0.0)


def forward():
    with torch.no_grad():
        return loss().item()


def step():
    adam.zero_grad()
    value = loss()
    value.backward()
    adam.step()
    return value.item()


def times(run, count):
    out = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        out.append((time.perf_counter() - start) * 1e3)
    return out


print(json.dumps({"ready": f"PyTorch {torch.__version__}, a loop over time", "loss": forward()}), flush=True)
for line in sys.stdin:
    count = int(line)
    print(json.dumps({"forward": times(forward, count), "step": times(step, count)}), flush=True)
