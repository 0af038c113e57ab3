/** @file The table of commands, in the order of the help. One line adds one. */
import type { AnyCommand } from '../command.js';
import { backendsCommand } from './backends.js';
import { benchElmCommand } from './bench-elm.js';
import { cellsCommand } from './cells.js';
import { cochleaCommand } from './cochlea.js';
import { convertCommand } from './convert.js';
import { evalCommand } from './eval.js';
import { extendCommand } from './extend.js';
import { infoCommand } from './info.js';
import { memoryCommand } from './memory.js';
import { predictCommand } from './predict.js';
import { quickstartCommand } from './quickstart.js';
import { simulateCommand } from './simulate.js';
import { trainShdAddingCommand, trainShdCommand } from './train-digits.js';
import { trainNeuronIOCommand } from './train-neuronio.js';
import { trainTokenCommands } from './train-tokens.js';

export const commands: readonly AnyCommand[] = [
  quickstartCommand,
  trainNeuronIOCommand,
  ...trainTokenCommands,
  trainShdCommand,
  trainShdAddingCommand,
  evalCommand,
  predictCommand,
  infoCommand,
  memoryCommand,
  extendCommand,
  convertCommand,
  simulateCommand,
  cellsCommand,
  cochleaCommand,
  backendsCommand,
  benchElmCommand,
];
