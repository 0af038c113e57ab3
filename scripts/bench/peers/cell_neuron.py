# Runs a cell that dendra wrote down (cell.json and *.mod in the folder given) in NEURON, and prints one JSON line per
# solver: CPU seconds, spikes, the soma at every ms. Called by scripts/bench/cell.js.
import glob, json, os, subprocess, sys, time

folder = sys.argv[1]
os.chdir(folder)
names = [os.path.splitext(os.path.basename(f))[0] for f in sorted(glob.glob('*.mod'))]
environment = dict(os.environ, MODLUNIT='/usr/share/nrn/lib/nrnunits.lib')
for name in names:
    subprocess.run(['nocmodl', name + '.mod'], check=True, env=environment, stdout=subprocess.DEVNULL)
with open('all.c', 'w') as out:
    out.write('#include <stdio.h>\n' + ''.join(f'extern void _{n}_reg(void);\n' for n in names))
    out.write('void modl_reg(void) {\n' + ''.join(f'  _{n}_reg();\n' for n in names) + '}\n')
libraries = ['-L/usr/lib/nrn', '-lnrniv', '-Wl,-rpath,/usr/lib/nrn'] if os.path.exists('/usr/lib/nrn/libnrniv.so') else []
sources = ['all.c'] + [n + '.c' for n in names]
subprocess.run(['gcc', '-O2', '-fPIC', '-shared', '-w', '-I/usr/include', '-o', 'all.so'] + sources + libraries, check=True)

from neuron import h

h.nrn_load_dll(os.path.join(os.getcwd(), 'all.so'))
h.load_file('stdrun.hoc')
cell = json.load(open('cell.json'))
sections = []
for s in cell['sections']:
    sec = h.Section(name=s['name'])
    for p in s['points']:
        h.pt3dadd(*p, sec=sec)
    sec.nseg = s['nseg']
    sec.Ra = cell['ra']
    if s['parent'] >= 0:
        sec.connect(sections[s['parent']](s['parentX']), 0)
    sections.append(sec)
segments = [seg for sec in sections for seg in sec]
keep = []
for index, own in enumerate(cell['segments']):
    seg = segments[index]
    seg.cm = own['cm']
for mechanism in cell['mechanisms']:
    for entry in mechanism['segments']:
        seg = segments[entry['segment']]
        if mechanism['kind'] == 'point':
            continue
        if not seg.sec.has_membrane(mechanism['name']):
            seg.sec.insert(mechanism['name'])
        for key, value in entry['values'].items():
            setattr(getattr(seg, mechanism['name']), key, value)
for sec in sections:
    for ion, e in cell['reversal'].items():
        if hasattr(sec(0.5), f'e{ion}'):
            setattr(sec, f'e{ion}', e)

connections = {}
for mechanism in cell['mechanisms']:
    if mechanism['kind'] != 'point':
        continue
    for entry in mechanism['segments']:
        synapse = getattr(h, mechanism['name'])(segments[entry['segment']])
        netcon = h.NetCon(None, synapse)
        netcon.delay = 0
        netcon.weight[0] = 1
        keep.append(synapse)
        connections[(mechanism['name'], entry['segment'])] = netcon


def deliver():
    for name, segment, t in cell['events']:
        connections[(name, segment)].event(t)


handler = h.FInitializeHandler(1, deliver)
soma = segments[cell['soma']]
duration = cell['durationMs']
for solver in cell['solvers']:
    cvode = h.CVode()
    cvode.active(1 if solver['method'] == 'cvode' else 0)
    h.secondorder = 2 if solver['method'] == 'crank-nicolson' else 0
    if solver['method'] != 'cvode':
        h.steps_per_ms = 1 / solver['dt']
        h.dt = solver['dt']
    v, t = h.Vector().record(soma._ref_v), h.Vector().record(h._ref_t)
    h.celsius = cell['celsius']
    h.finitialize(cell['initialMv'])
    begun = time.process_time()
    if solver['method'] == 'cvode':
        cvode.solve(duration)
    else:
        h.continuerun(duration)
    cpu = time.process_time() - begun
    times, values = list(t), list(v)
    fine, k = [], 0
    for i in range(int(duration * 8)):
        now = i / 8
        while k + 1 < len(times) - 1 and times[k + 1] < now - 1e-9:
            k += 1
        span = times[k + 1] - times[k]
        f = min(1, max(0, (now - times[k]) / span)) if span > 0 else 0
        fine.append(values[k] + f * (values[k + 1] - values[k]))
    spikes = [i / 8 for i in range(1, len(fine) - 1) if fine[i] > -25 and fine[i] > fine[i - 1] and fine[i] > fine[i + 1]]
    print(json.dumps({**solver, 'cpu': cpu, 'steps': len(times), 'spikes': spikes, 'soma': fine[::8]}), flush=True)
