"""Mamba in PyTorch, written from the equations (Gu and Dao 2023), without Triton. The scan's gradient is written by hand: the
same scan from the end. Three scans: a loop over time; a tree, as JAX's associative_scan has it; chunks of about the square root of
the length, all chunks at once step by step, then from chunk to chunk. On a GPU forward pass and training step are a CUDA graph
each. See mamba_common.py.

    python mamba_torch.py <model.safetensors> <ids.npy> [--device cpu] [--scan tree]
"""
import resource

import numpy as np
import torch
import torch.nn.functional as F
from mamba_common import arguments, parameters, serve


def loop(leak, drive):
    """h_t = leak_t h_{t−1} + drive_t along axis 1, h_{−1} = 0."""
    h = torch.empty_like(drive)
    h[:, 0] = drive[:, 0]
    for t in range(1, drive.shape[1]):
        torch.addcmul(drive[:, t], leak[:, t], h[:, t - 1], out=h[:, t])
    return h


def tree(leak, drive):
    steps = drive.shape[1]
    if steps == 1:
        return drive
    even = steps // 2 * 2
    first, second = leak[:, 0:even:2], leak[:, 1:even:2]
    odd = tree(first * second, torch.addcmul(drive[:, 1:even:2], second, drive[:, 0:even:2]))
    h = torch.empty_like(drive)
    h[:, 1:even:2] = odd
    h[:, 0] = drive[:, 0]
    rest = (steps - 1) // 2
    torch.addcmul(drive[:, 2::2], leak[:, 2::2], odd[:, :rest], out=h[:, 2::2])
    return h


def chunks(leak, drive):
    steps = drive.shape[1]
    size = 1
    while size * size < steps:
        size *= 2
    if steps % size:
        return loop(leak, drive)
    cut = lambda v: v.reshape(v.shape[0], -1, size, *v.shape[2:])
    leak, drive = cut(leak), cut(drive)
    h, kept = torch.empty_like(drive), torch.empty_like(leak)
    h[:, :, 0], kept[:, :, 0] = drive[:, :, 0], leak[:, :, 0]
    for t in range(1, size):
        torch.addcmul(drive[:, :, t], leak[:, :, t], h[:, :, t - 1], out=h[:, :, t])
        torch.mul(leak[:, :, t], kept[:, :, t - 1], out=kept[:, :, t])
    ends = loop(kept[:, :, -1], h[:, :, -1])
    h[:, 1:].addcmul_(kept[:, 1:], ends[:, :-1].unsqueeze(2))
    return h.flatten(1, 2)


scans = {"loop": loop, "tree": tree, "chunks": chunks}
options = arguments(list(scans))
gpu = options.device == "gpu"
device = "cuda" if gpu else "cpu"
torch.set_num_threads(2)
torch.backends.cuda.matmul.allow_tf32 = True
p = {k: torch.from_numpy(v).to(device).requires_grad_() for k, v in parameters(options.weights).items()}
ids = torch.from_numpy(np.load(options.ids)).long().to(device)
layers = 1 + max(int(k.split(".")[2]) for k in p if k.startswith("backbone.layers"))


class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, leak, drive, scan):
        h = scan(leak, drive)
        ctx.save_for_backward(leak, h)
        ctx.scan = scan
        return h

    @staticmethod
    def backward(ctx, dh):
        leak, h = ctx.saved_tensors
        later = F.pad(leak[:, 1:], (0, 0, 0, 0, 0, 1)).flip(1)
        carried = ctx.scan(later, dh.flip(1)).flip(1)
        before = F.pad(h[:, :-1], (0, 0, 0, 0, 1, 0))
        return carried * before, carried, None


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def block(scan, u, i):
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
    h = Scan.apply(leak, drive, scan)
    y = torch.matmul(h, C.unsqueeze(-1)).squeeze(-1) + q("D") * x
    return (y * F.silu(z)) @ q("out_proj.weight").T


def loss(scan):
    r = p["backbone.embedding.weight"][ids]
    for i in range(layers):
        r = r + block(scan, norm(r, p[f"backbone.layers.{i}.norm.weight"]), i)
    logits = norm(r, p["backbone.norm_f.weight"]) @ p["backbone.embedding.weight"].T
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


adam = torch.optim.Adam(p.values(), lr=0.0, fused=True, capturable=gpu)


def graph(run):
    """The run as a CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(2):
            run()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        result = run()

    def replay():
        captured.replay()
        return result

    return replay


def peak():
    """Bytes that were taken at most, by tensors on a GPU, by the process on a CPU."""
    return torch.cuda.max_memory_allocated() if gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forward():
    with torch.no_grad():
        return loss(scan)


def step():
    adam.zero_grad(set_to_none=not gpu)
    value = loss(scan)
    value.backward()
    adam.step()
    return value.detach()


def wait(value):
    if gpu:
        torch.cuda.synchronize()
    return value


scan = scans[options.scan]
before = torch.cuda.memory_allocated() if gpu else peak()
memory = {}
for kind, run in (("forward", forward), ("step", step)):
    run()
    memory[kind] = peak() - before
runs = [graph(forward), graph(step)] if gpu else [forward, step]
about = f"PyTorch {torch.__version__}, {options.scan}, {torch.cuda.get_device_name() if gpu else 'cpu'}"
serve(about, float(wait(runs[0]())), memory, *runs, wait, options.device)
