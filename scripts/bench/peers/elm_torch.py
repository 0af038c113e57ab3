"""A training step of the Branch-ELM in PyTorch, in the style of the official loop (a scripted module that steps through
time), written from the equations: what dendra is timed against.

Every advantage: the drive of the branches, the leaky trace and the input half of the first layer are computed for all time
steps at once, denormals are flushed, the loop is TorchScript, the number of threads is the better of one and two, Adam is
the fused one.

Reads lines `<count>` from standard input, runs so many steps, answers with a JSON list of milliseconds.
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
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
torch.set_flush_denormal(True)
torch.manual_seed(0)

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
        branch = torch.arange(BRANCHES).repeat_interleave(PER_BRANCH)
        self.register_buffer("flat", index * BRANCHES + branch)
        self.register_buffer("mask", (position < INPUTS).float())
        tau = torch.logspace(0, float(torch.log10(torch.tensor(150.0))), M)
        self.register_buffer("kappa", torch.exp(-1 / tau))
        self.register_buffer("gain", 5 * (1 - torch.exp(-1 / tau)))
        lag = (torch.arange(T)[:, None] - torch.arange(T)).double()
        decays = torch.where(lag >= 0, torch.exp(-lag.clamp(min=0) / 5), torch.zeros(()).double())
        self.register_buffer("decays", decays.float())

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.relu(self.w_s) * self.mask
        table = torch.zeros(1278 * 45).index_add(0, self.flat, weight).view(1278, 45)
        z = torch.matmul(self.decays, torch.matmul(x, table).transpose(0, 1).flatten(1)).view(x.size(1), x.size(0), 45)
        drive = torch.matmul(z, self.first.weight[:, :45].t()) + self.first.bias
        recurrent = self.first.weight[:, 45:].t()
        m = torch.zeros(x.size(0), self.kappa.size(0))
        memory: List[Tensor] = []
        for h in drive.unbind(0):
            v = self.kappa * m
            hidden = torch.relu(torch.addmm(h, v, recurrent))
            m = v + self.gain * (1.7159 * torch.tanh(0.6666667 * self.second(hidden)))
            memory.append(m)
        return self.readout(torch.stack(memory, dim=1))


model = torch.jit.script(Elm())
optimiser = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
bce = nn.BCEWithLogitsLoss()
mse = nn.MSELoss()
batches = [
    ((torch.rand(B, T, INPUTS) < 14.1 / INPUTS).float(), (torch.rand(B, T) < 0.001).float(), torch.randn(B, T))
    for _ in range(4)
]


def run(count):
    times = []
    for k in range(count):
        x, spike, soma = batches[k % 4]
        begin = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        y = model(x)
        loss = 0.5 * bce(y[..., 0], spike) + 0.5 * mse(y[..., 1], soma)
        loss.backward()
        optimiser.step()
        times.append((time.perf_counter() - begin) * 1000)
    return times


scores = {}
for threads in range(1, options.threads + 1):
    torch.set_num_threads(threads)
    run(2)
    scores[threads] = min(run(3))
best = min(scores, key=scores.get)
torch.set_num_threads(best)
print(json.dumps({"ready": f"torch {torch.__version__}, {best} threads"}), flush=True)
for line in sys.stdin:
    print(json.dumps(run(int(line))), flush=True)
