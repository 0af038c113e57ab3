/** A program that trains the toy task in a folder, going on where it was killed: `node killed.js FOLDER`. */
import { openSession } from '../../src/backends/index.js';
import { diskFolder, RunRecord, train } from '../../src/train/index.js';
import { toyTask } from './toy.js';

const folder = await diskFolder(process.argv[2]);
const begun = (await folder.read('config.json')) !== undefined;
const record = begun ? await RunRecord.open(folder) : await RunRecord.create(folder, { task: 'toy' });
const slowly = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
const { parameters, selectedStep } = await train(toyTask({ onBatch: slowly }), {
  session: await openSession('reference'),
  record,
  resume: begun,
  plan: {
    steps: 400,
    optimiser: 'adam',
    schedule: 'cosine',
    learningRate: 0.05,
    validEvery: 50,
    averaging: { kind: 'ema', decay: 0.9 },
  },
  checkpointEvery: 10,
  readEvery: 7,
});
process.stdout.write(JSON.stringify({ selectedStep, w: [...(parameters.get('w')?.data ?? [])] }));
