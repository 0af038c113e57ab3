/**
 * @file Which backend `auto` takes for an ELM of a given size. Where a GPU and the CPU engine both run here, each is timed
 * once on a small and a large model; between and beyond them a step is taken to cost a fixed time and a rate of
 * multiplications. What was measured is kept in the user's cache folder, for this version, runtime, adapter and processor.
 */
import { backends, preferredBackend } from '../backends/index.js';
import { version } from '../base/version.js';
import type { BackendName } from '../graph/index.js';
import { exists, isNode, probe, readText, writeFileAtomically } from '../runtime/index.js';
import { prepareElmBench } from './bench-elm.js';

/** What decides how long a step takes. */
export interface ElmSize {
  /** d_m */
  readonly memory: number;
  /** windows in an update */
  readonly batch: number;
  /** steps of a window; default 500 */
  readonly steps?: number;
}

/** A training step of the two models, in milliseconds. */
export interface BackendTiming {
  readonly backend: BackendName;
  readonly smallMs: number;
  readonly largeMs: number;
}

export interface AutoChoice {
  readonly backend: BackendName;
  /** in words */
  readonly why: string;
  /** what a step is estimated to take; only where several backends come into question */
  readonly estimatesMs?: Readonly<Partial<Record<BackendName, number>>>;
}

export interface AutoOptions {
  /** measure although there are measurements */
  readonly again?: boolean;
  /** told before measuring, which takes some seconds */
  readonly note?: (message: string) => void;
}

const small: ElmSize = { memory: 20, batch: 8 };
const large: ElmSize = { memory: 100, batch: 32 };

/** Multiply-adds of a forward pass over 45 branches with a hidden layer of 2 d_m; backward is in proportion. */
export function elmProducts({ memory, batch, steps = 500 }: ElmSize): number {
  return batch * steps * (45 * 2 * memory + 4 * memory * memory + 2 * memory);
}

/** A step's time by the line through both measurements, which never falls; for smaller models no less than a tenth. */
export function estimateMs({ smallMs, largeMs }: BackendTiming, size: ElmSize): number {
  const slope = Math.max(0, (largeMs - smallMs) / (elmProducts(large) - elmProducts(small)));
  return Math.max(smallMs / 10, smallMs + slope * (elmProducts(size) - elmProducts(small)));
}

/** The faster one for a size. */
export function chooseByTiming(timings: readonly BackendTiming[], size: ElmSize): AutoChoice {
  const estimated = timings
    .map((timing) => ({ backend: timing.backend, ms: estimateMs(timing, size) }))
    .sort((a, b) => a.ms - b.ms);
  const [best, ...others] = estimated;
  const text = (ms: number) => `${Number(ms.toPrecision(2))} ms`;
  const against = others.map(({ backend, ms }) => `${text(ms)} on ${backend}`).join(', ');
  return {
    backend: best.backend,
    why: `a step of ${size.memory} memory units and ${size.batch} windows is estimated at ${text(best.ms)}, against ${against}, from what was measured on this machine`,
    estimatesMs: Object.fromEntries(estimated.map(({ backend, ms }) => [backend, ms])),
  };
}

/** The backend for an ELM of this size, and why. */
export async function chooseBackend(size: ElmSize, options: AutoOptions = {}): Promise<AutoChoice> {
  const preferred = preferredBackend();
  if (preferred) return { backend: preferred, why: 'DENDRA_BACKEND says so' };
  const compared: Candidate[] = [];
  const left: string[] = [];
  for (const backend of backends) {
    // GPU.js and the reference come into question where neither of the fast ones runs; `backends` has the best first.
    if (backend.name !== 'webgpu' && backend.name !== 'wasm' && compared.length > 0) continue;
    const found = await backend.probe();
    if (!found.available) left.push(`${backend.name} is not available`);
    else if (found.software) left.push(`${backend.name} would imitate a GPU in software`);
    else compared.push({ name: backend.name, detail: found.detail });
  }
  if (compared.length === 1) {
    const [{ name }] = compared;
    return { backend: name, why: ['the fastest kind that runs here', ...left].join('; ') };
  }
  return chooseAmong(compared, size, options);
}

/** A backend that comes into question, and what its probe told. */
export interface Candidate {
  readonly name: BackendName;
  readonly detail: string;
}

/** The faster of these, measured if they never were; `time` gives the milliseconds of a training step. */
export async function chooseAmong(
  compared: readonly Candidate[],
  size: ElmSize,
  { again, note }: AutoOptions = {},
  time: (backend: BackendName, size: ElmSize) => Promise<number> = stepMs,
): Promise<AutoChoice> {
  const key = await keyOf(compared.map(({ detail }) => detail));
  const known = again ? undefined : (measured.get(key) ?? (await kept())[key]);
  if (known) return chooseByTiming(known, size);
  note?.(`measuring ${compared.map(({ name }) => name).join(' and ')} once, some seconds`);
  const timings: BackendTiming[] = [];
  for (const { name: backend } of compared) {
    const [smallMs, largeMs] = [await time(backend, small), await time(backend, large)];
    timings.push({ backend, smallMs, largeMs });
  }
  measured.set(key, timings);
  await keep(key, timings, note);
  return chooseByTiming(timings, size);
}

/** A training step when many follow one another: a GPU works while the next ones are prepared. */
async function stepMs(backend: BackendName, size: ElmSize): Promise<number> {
  const bench = await prepareElmBench({ ...size, backend });
  try {
    const run = async (count: number) => {
      const start = performance.now();
      for (let k = 0; k < count; k++) await bench.trainOnce();
      await bench.read('w_y.weight');
      return (performance.now() - start) / count;
    };
    const first = await run(2);
    // About a third of a second.
    const count = Math.min(100, Math.max(3, Math.round(300 / first)));
    await run(count);
    return await run(count);
  } finally {
    bench.dispose();
  }
}

/** Of this process, by key. */
const measured = new Map<string, BackendTiming[]>();

/** Everything that the times depend on. */
async function keyOf(details: readonly string[]): Promise<string> {
  const { parallelism } = await probe();
  const runtime = isNode() ? `Node ${process.version}` : navigator.userAgent;
  const processor = isNode() ? ((await import('node:os')).cpus()[0]?.model ?? '') : '';
  return [`dendra ${version}`, runtime, processor.trim(), `${parallelism} threads`, ...details].join(', ');
}

/** Where measurements are kept; undefined in browsers. */
export async function autoCacheFile(): Promise<string | undefined> {
  if (!isNode()) return undefined;
  const [{ homedir }, { join }] = await Promise.all([import('node:os'), import('node:path')]);
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const folder =
    XDG_CACHE_HOME ||
    (process.platform === 'win32' && LOCALAPPDATA) ||
    join(homedir(), process.platform === 'darwin' ? 'Library/Caches' : '.cache');
  return join(folder, 'dendra', 'backends.json');
}

/** All measurements that are kept; none where the file is missing or not ours. */
async function kept(): Promise<Record<string, BackendTiming[]>> {
  const file = await autoCacheFile();
  if (!file || !(await exists(file))) return {};
  try {
    const all: unknown = JSON.parse(await readText(file));
    return Object.fromEntries(Object.entries(all as object).filter(([, timings]) => isTimings(timings)));
  } catch {
    // A damaged cache is measured anew, and replaced.
    return {};
  }
}

function isTimings(value: unknown): value is BackendTiming[] {
  const number = (x: unknown) => typeof x === 'number' && x > 0;
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => typeof one?.backend === 'string' && number(one.smallMs) && number(one.largeMs))
  );
}

async function keep(key: string, timings: BackendTiming[], note: AutoOptions['note']): Promise<void> {
  const file = await autoCacheFile();
  if (!file) return;
  try {
    await writeFileAtomically(file, JSON.stringify({ ...(await kept()), [key]: timings }, null, 1));
  } catch (error) {
    note?.(`what was measured can't be kept: ${(error as Error).message}`);
  }
}
