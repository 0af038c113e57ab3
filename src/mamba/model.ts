/** @file A Mamba language model as an object: configuration and parameters; opened on a backend to be run. */
import type { BackendChoice } from '../backends/index.js';
import { requireModelSize } from '../base/model-size.js';
import type { Session, SessionOptions, Tensor } from '../graph/index.js';
import { type MambaConfig, type MambaOptions, mambaConfig } from './config.js';
import type { MambaExtension } from './long/extension.js';
import { initialiseMamba, type MambaParameters, mambaParameterCount } from './parameters.js';
import { MambaRunner } from './runner.js';
import { type MambaState, zeroMambaState } from './state.js';
import { type MambaTensors, type MambaTraceOptions, mambaVariables, traceMamba } from './trace.js';

export interface MambaOpenOptions extends SessionOptions, Pick<MambaTraceOptions, 'delta'> {
  readonly backend?: BackendChoice;
  /** steps computed at once; longer sequences run in chunks that carry the state. Default 512. */
  readonly chunkSteps?: number;
}

/**
 * A Mamba or Mamba-2 model (Gu and Dao 2023; Dao and Gu 2024).
 *
 * ```ts
 * const model = MambaModel.create({ vocabulary: 256, width: 64, layers: 2 });
 * const runner = await model.open();
 * const { loss } = await runner.loss({ shape: [1, ids.length], data: ids });
 * for await (const token of generate(runner, prompt, { tokens: 100, temperature: 0.8 })) …
 * runner.dispose();
 * ```
 */
export class MambaModel {
  readonly config: MambaConfig;
  /** by official name; see parameters.ts */
  readonly parameters: MambaParameters;
  /** what carries it beyond its training length; see long/ */
  readonly extension?: MambaExtension;

  constructor(parts: { config: MambaConfig; parameters: MambaParameters; extension?: MambaExtension }) {
    this.config = parts.config;
    this.parameters = parts.parameters;
    this.extension = parts.extension;
  }

  /** A freshly initialised model. The same options and seed give the same model. */
  static create(options: MambaOptions, seed = 0): MambaModel {
    const config = mambaConfig(options);
    requireModelSize('MambaModel.create', config, ['layers', 'stateSize', 'width', 'vocabulary'], mambaParameterCount);
    return new MambaModel({ config, parameters: initialiseMamba(config, seed) });
  }

  /** The same model with this extension in place of its own; undefined: plain. */
  withExtension(extension: MambaExtension | undefined): MambaModel {
    return new MambaModel({ config: this.config, parameters: this.parameters, extension });
  }

  get parameterCount(): number {
    return mambaParameterCount(this.config);
  }

  /** A state of zeros for so many sequences. */
  zeroState(samples: number): MambaState {
    return zeroMambaState(this.config, samples);
  }

  /** Defines every parameter as a variable of a session, with its current values. */
  define(session: Session): void {
    for (const [name, { shape, data }] of this.parameters) session.define(name, shape, data);
  }

  /** The graph of the model on token ids [B, T], its parameters as session variables. */
  trace(ids: Tensor, options: MambaTraceOptions = {}): MambaTensors {
    return traceMamba(this.config, ids, mambaVariables(this.config), options);
  }

  /** Opens the model on a backend, its parameters as they are now. Dispose of it when done. */
  open(options: MambaOpenOptions = {}): Promise<MambaRunner> {
    return MambaRunner.open(this, options);
  }
}
