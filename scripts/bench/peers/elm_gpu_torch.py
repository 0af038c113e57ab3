"""A training step of the Branch-ELM in PyTorch on a GPU, written from the equations: what dendra's webgpu backend is timed
against. `--style official` steps through time in TorchScript and keeps a trace for every synapse, as the official model
does. `--style graph` computes drive, trace and the input half of the first layer for all time steps at once and captures
forward, backward and Adam as one CUDA graph. Batches are dense float32 and stay on the device.

Reads lines `<count>`, runs so many steps without waiting in between, answers with the milliseconds per step.
"""
import argparse
import json
import sys
import time
from typing import List

import torch
from torch import Tensor, nn

parser = argparse.ArgumentParser()
parser.add_argument("--memory", type=int, default=20)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--style", choices=["official", "graph"], default="official")
parser.add_argument("--inference", action="store_true", help="time the forward pass alone")
options = parser.parse_args()
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = True

INPUTS, BRANCHES, PER_BRANCH, OUTPUTS = 1278, 45, 100, 2
M, H, B, T = options.memory, 2 * options.memory, options.batch, options.steps


class Elm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w_s = nn.Parameter(torch.full((BRANCHES * PER_BRANCH,), 0.5))
        self.first = nn.Linear(BRANCHES + M, H)
        self.second = nn.Linear(H, M)
        self.readout = nn.Linear(M, OUTPUTS)
        position = (torch.arange(BRANCHES)[:, None] * -(-INPUTS // BRANCHES) + torch.arange(PER_BRANCH)).flatten()
        every = torch.arange(INPUTS)
        interleaved = every // 2 + (every % 2) * (INPUTS // 2)
        index = interleaved[position.clamp(max=INPUTS - 1)]
        self.register_buffer("index", index)
        self.register_buffer("flat", index * BRANCHES + torch.arange(BRANCHES).repeat_interleave(PER_BRANCH))
        self.register_buffer("mask", (position < INPUTS).float())
        tau = torch.logspace(0, float(torch.log10(torch.tensor(150.0))), M)
        self.register_buffer("kappa", torch.exp(-1 / tau))
        self.register_buffer("gain", 5 * (1 - torch.exp(-1 / tau)))
        lag = (torch.arange(T)[:, None] - torch.arange(T)).double()
        decays = torch.where(lag >= 0, torch.exp(-lag.clamp(min=0) / 5), torch.zeros(()).double())
        self.register_buffer("decays", decays.float())
        self.kappa_s: float = 0.8187307530779818
        self.register_buffer("start", torch.zeros(B, M))


class Official(Elm):
    def forward(self, x: Tensor) -> Tensor:
        # x [B, T, inputs]
        w = torch.relu(self.w_s)
        s = torch.zeros(x.size(0), w.size(0), device=x.device)
        m = self.start
        outputs: List[Tensor] = []
        routed = x[:, :, self.index] * self.mask
        for t in range(x.size(1)):
            s = self.kappa_s * s + w * routed[:, t]
            branch = s.view(x.size(0), 45, 100).sum(dim=-1)
            v = self.kappa * m
            hidden = torch.relu(self.first(torch.cat([branch, v], dim=-1)))
            m = v + self.gain * (1.7159 * torch.tanh(0.6666667 * self.second(hidden)))
            outputs.append(self.readout(m))
        return torch.stack(outputs, dim=1)


class Ahead(Elm):
    def forward(self, x: Tensor) -> Tensor:
        table = torch.zeros(1278 * 45, device=x.device).index_add(0, self.flat, torch.relu(self.w_s) * self.mask).view(1278, 45)
        z = torch.matmul(self.decays, torch.matmul(x, table).transpose(0, 1).flatten(1)).view(x.size(1), x.size(0), 45)
        drive = torch.matmul(z, self.first.weight[:, :45].t()) + self.first.bias
        recurrent = self.first.weight[:, 45:].t()
        m = self.start
        memory: List[Tensor] = []
        for h in drive.unbind(0):
            v = self.kappa * m
            hidden = torch.relu(torch.addmm(h, v, recurrent))
            m = v + self.gain * (1.7159 * torch.tanh(0.6666667 * self.second(hidden)))
            memory.append(m)
        return self.readout(torch.stack(memory, dim=1))


graph_style = options.style == "graph"
model = (Ahead() if graph_style else torch.jit.script(Official())).cuda()
optimiser = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True, capturable=graph_style)
bce = nn.BCEWithLogitsLoss()
mse = nn.MSELoss()


def draw():
    return (
        (torch.rand(B, T, INPUTS, device="cuda") < 14.1 / INPUTS).float(),
        (torch.rand(B, T, device="cuda") < 0.001).float(),
        torch.randn(B, T, device="cuda"),
    )


batches = [draw() for _ in range(2 if B <= 512 else 1)]


def step(x, spike, soma):
    if options.inference:
        with torch.no_grad():
            return model(x)
    optimiser.zero_grad(set_to_none=not graph_style)
    y = model(x)
    loss = 0.5 * bce(y[..., 0], spike) + 0.5 * mse(y[..., 1], soma)
    loss.backward()
    optimiser.step()
    return loss


if graph_style:
    fixed = draw()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(*fixed)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*fixed)

    def once(k):
        for to, source in zip(fixed, batches[k % len(batches)]):
            to.copy_(source)
        graph.replay()
else:

    def once(k):
        step(*batches[k % len(batches)])


def run(count):
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for k in range(count):
        once(k)
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) * 1000 / count


run(3)
about = "one CUDA graph, drive outside the loop" if graph_style else "the official style of loop, TorchScript"
print(json.dumps({"ready": f"torch {torch.__version__}, {about}, on {torch.cuda.get_device_name()}"}), flush=True)
for line in sys.stdin:
    print(json.dumps(run(int(line))), flush=True)
