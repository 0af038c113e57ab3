/**
 * @file The model families that can be saved and loaded: what each writes as configuration and weights, and how it is
 * made from them again. To add one, give it a line in `families`.
 */
import { sameShape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { ElmNeuron, type ElmOptions, elmConfig, fromOfficial, fromStateDict, toStateDict } from '../elm/index.js';
import type { FileArray } from '../io/index.js';
import { Lstm, type LstmConfig, lstmShapes } from '../lstm/index.js';
import {
  isMambaConfig,
  MambaModel,
  type MambaOptions,
  mambaConfig,
  mambaFromOfficial,
  mambaFromTensors,
  mambaTensors,
  restoreExtension,
} from '../mamba/index.js';

export type WeightTensors = ReadonlyMap<string, FileArray>;
export type JsonRecord = Readonly<Record<string, unknown>>;

export interface ModelFamily<Model> {
  readonly name: string;
  /** what it is, for the card */
  readonly title: string;
  readonly citation: string;
  /** whether a value is a model of this family */
  holds(model: unknown): model is Model;
  /** plain JSON that `restore` takes */
  configOf(model: Model): JsonRecord;
  /** trainable parameters */
  parametersOf(model: Model): number;
  /** under the family's official names */
  weightsOf(model: Model): Map<string, FileArray>;
  /** `where` names the file, for errors */
  restore(where: string, config: JsonRecord, weights: WeightTensors): Model;
  /** how the authors' own checkpoints are laid out: a JSON file of constructor arguments beside the weights */
  readonly official?: {
    readonly configFile: string;
    /** whether such a file is this family's */
    recognises(config: JsonRecord): boolean;
    restore(where: string, config: JsonRecord, weights: WeightTensors): Model;
  };
}

const elm: ModelFamily<ElmNeuron> = {
  name: 'elm',
  title: 'Expressive Leaky Memory neuron',
  citation: 'Spieler et al., The Expressive Leaky Memory Neuron, ICLR 2024 (arXiv 2306.16922)',
  holds: (model): model is ElmNeuron => model instanceof ElmNeuron,
  configOf: (neuron) => ({ ...neuron.config }),
  parametersOf: (neuron) => neuron.parameterCount,
  weightsOf: (neuron) => toStateDict(neuron.config, neuron.routing, neuron.parameters),
  restore(where, options, weights) {
    // elmConfig refuses what is not an option, so a file's JSON can be handed to it.
    const config = elmConfig(options as ElmOptions);
    return new ElmNeuron({ config, ...fromStateDict(where, config, weights) });
  },
  official: {
    configFile: 'model_config.json',
    recognises: () => true,
    restore: (where, config, weights) => new ElmNeuron(fromOfficial(where, config, weights)),
  },
};

/** What an extension has learnt is kept beside the parameters under this prefix. */
const extensionPrefix = 'extension.';

const mamba: ModelFamily<MambaModel> = {
  name: 'mamba',
  title: 'Mamba state-space model',
  citation:
    'Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, 2023 (arXiv 2312.00752); Dao and Gu, Transformers are SSMs, ICML 2024 (arXiv 2405.21060)',
  holds: (model): model is MambaModel => model instanceof MambaModel,
  configOf: ({ config, extension }) => ({
    ...config,
    ...(extension && { extension: { method: extension.method, ...extension.settings } }),
  }),
  parametersOf: (model) => model.parameterCount,
  weightsOf({ parameters, extension }) {
    const tensors: Map<string, FileArray> = mambaTensors(parameters);
    for (const [name, { shape, data }] of extension?.tensors ?? []) {
      tensors.set(`${extensionPrefix}${name}`, { dtype: 'float64', shape, data: Float64Array.from(data) });
    }
    return tensors;
  },
  restore(where, { extension, ...options }, weights) {
    // mambaConfig refuses what is not an option, so a file's JSON can be handed to it.
    const config = mambaConfig(options as MambaOptions);
    const isExtra = (name: string) => extension !== undefined && name.startsWith(extensionPrefix);
    const own = new Map([...weights].filter(([name]) => !isExtra(name)));
    const model = new MambaModel({ config, parameters: mambaFromTensors(where, config, own) });
    if (extension === undefined) return model;
    const tables = [...weights].filter(([name]) => isExtra(name));
    const tensors = new Map(
      tables.map(([name, { shape, data }]) => [
        name.slice(extensionPrefix.length),
        { shape, data: Float64Array.from(data as ArrayLike<number>) },
      ]),
    );
    return model.withExtension(restoreExtension(where, config, extension, tensors));
  },
  official: {
    configFile: 'config.json',
    recognises: isMambaConfig,
    restore: (where, config, weights) => new MambaModel(mambaFromOfficial(where, config, weights)),
  },
};

const lstm: ModelFamily<Lstm> = {
  name: 'lstm',
  title: 'Long short-term memory network',
  citation:
    'Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997); chrono initialisation: Tallec and Ollivier, Can recurrent neural networks warp time?, ICLR 2018',
  holds: (model): model is Lstm => model instanceof Lstm,
  configOf: ({ config }) => ({ ...config }),
  parametersOf: (model) => model.parameterCount,
  weightsOf: ({ parameters }) =>
    new Map([...parameters].map(([name, { shape, data }]) => [name, { shape, data, dtype: 'float32' }])),
  restore(where, options, weights) {
    const { config } = Lstm.create(options as LstmConfig);
    const parameters = new Map(
      [...lstmShapes(config)].map(([name, shape]) => {
        const tensor = weights.get(name);
        if (!tensor || !sameShape(tensor.shape, shape)) {
          throw inputError(where, `a tensor \`${name}\` of shape ${shapeText(shape)}`, tensor?.shape ?? 'none');
        }
        return [name, { shape, data: Float32Array.from(tensor.data as ArrayLike<number>) }];
      }),
    );
    return new Lstm({ config, parameters });
  },
};

// biome-ignore lint/suspicious/noExplicitAny: a table of families whose models differ
export const families: readonly ModelFamily<any>[] = [elm, lstm, mamba];
