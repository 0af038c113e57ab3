/** @file The table of commands, in the order of the help. One line adds one. */
import type { AnyCommand } from '../command.js';
import { backendsCommand } from './backends.js';
import { evalCommand } from './eval.js';
import { quickstartCommand } from './quickstart.js';
import { trainNeuronIOCommand } from './train-neuronio.js';

export const commands: readonly AnyCommand[] = [quickstartCommand, trainNeuronIOCommand, evalCommand, backendsCommand];
