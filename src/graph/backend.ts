/**
 * @file What a backend is. Backends share nothing but this file: each turns a program into a plan, in its own way, and
 * must give the reference's numbers within the tolerances of the conformance suite.
 */
import type { FloatArray, Precision, Shape } from '../base/arrays.js';
import type { Events } from '../base/events.js';
import type { Program } from './program.js';

export type BackendName = 'reference' | 'wasm' | 'webgpu' | 'gpujs';

/** How GPU.js runs its kernels. */
export type GpujsMode = 'webgpu' | 'webgl2' | 'headlessgl' | 'webasm' | 'cpu';

/** What is fed, by input name; scalars as numbers. Arrays are read during the run and may be reused after it. */
export type Feeds = Readonly<Record<string, FloatArray | Int32Array | Events | number>>;
/** What comes back, by output name. The arrays are the caller's to keep. */
export type Outputs<Name extends string = string> = Record<Name, FloatArray>;

/** What actually runs: printed, recorded, and compared when a run is resumed. */
export interface Execution {
  readonly backend: BackendName;
  readonly precision: Precision;
  readonly threads: number;
  /** 'none' | 'plain' | 'relaxed': which SIMD instructions the CPU kernels use */
  readonly simd: 'none' | 'plain' | 'relaxed';
  /** the GPU adapter's name, where there is one */
  readonly adapter?: string;
  /** further detail, such as the executor a GPU.js pipeline took */
  readonly detail?: string;
}

export interface SessionOptions {
  readonly precision?: Precision;
  /** threads to use at most; default: what the machine has. Never changes a result. */
  readonly threads?: number;
  /** forbid relaxed SIMD, for the same bits on every CPU */
  readonly simd?: 'plain' | 'relaxed';
  /** backend gpujs only: the mode; default: the first that is available and right, in the order above */
  readonly mode?: GpujsMode;
  /**
   * backend webgpu only: whether an ELM's walk back through time may read weights that do not fit in registers as half floats; sums
   * and results are float32, gradients stay within 1e-3 of the largest. Default: where the adapter computes with half floats
   */
  readonly halves?: boolean;
}

export type Availability =
  | {
      readonly available: true;
      readonly detail: string;
      /** a GPU backend whose adapter computes on the CPU: right, but slower than the CPU backends */
      readonly software?: boolean;
    }
  | { readonly available: false; readonly reason: string };

export interface Backend {
  readonly name: BackendName;
  /** What it is, in a line, for `dendra backends`. */
  readonly description: string;
  /** Whether it can run here, and if not, why. Never throws. */
  probe(): Promise<Availability>;
  /** The same for each of its modes, where it has several. */
  modes?(): Promise<Readonly<Record<string, Availability>>>;
  /** Opens a session. Throws `unavailable` with the reason where it cannot run. */
  open(options?: SessionOptions): Promise<Session>;
}

/**
 * Holds variables and the plans compiled against them. Variables stay on the backend between runs and are shared by all
 * plans of the session, so a training plan and an evaluation plan see the same parameters without a copy.
 */
export interface Session {
  readonly execution: Execution;
  /** Creates a variable, zero unless values are given. A name may be defined once. */
  define(name: string, shape: Shape, values?: ArrayLike<number>): void;
  /** Whether a variable of this name exists. */
  has(name: string): boolean;
  write(name: string, values: ArrayLike<number>): void;
  /** A copy of the variable's values, after all runs so far. */
  read(name: string): Promise<FloatArray>;
  /** Prepares a program: order, memory, kernels. Every variable it uses must be defined by then. */
  compile<Name extends string>(program: Program<Name>): Promise<Plan<Name>>;
  /** Releases everything, plans included. */
  dispose(): void;
}

export interface Plan<Name extends string = string> {
  /** Bytes of memory for intermediates. */
  readonly bytes: number;
  /**
   * Runs the program. Runs are performed in the order of the calls.
   *
   * @param outputs which outputs to read back; default all. [] reads nothing, and on a GPU does not wait.
   */
  run(feeds: Feeds, outputs?: readonly Name[]): Promise<Outputs<Name>>;
  /** The same at once; CPU backends only. */
  runSync?(feeds: Feeds, outputs?: readonly Name[]): Outputs<Name>;
  dispose(): void;
}
