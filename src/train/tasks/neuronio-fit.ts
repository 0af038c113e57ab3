/**
 * @file `fitNeuronIO`: from recordings to a trained, scored and saved ELM neuron, in one call. Everything that decides the
 * numbers is settled first, written to the run's `config.json`, and compared when a run is resumed.
 */
import { openSession } from '../../backends/index.js';
import type { LabelKind } from '../../data/index.js';
import { ElmNeuron } from '../../elm/index.js';
import type { Execution } from '../../graph/index.js';
import type { NeuronIOResult } from '../evaluation/neuronio.js';
import { type TrainResult, train } from '../loop.js';
import { saveModel } from '../models.js';
import type { TrainingPlan } from '../plan.js';
import { progress } from '../progress.js';
import { RunRecord } from '../record.js';
import { diskFolder, type Folder, within } from '../storage.js';
import { defined, earlierRun, requireSame, storable } from './earlier-run.js';
