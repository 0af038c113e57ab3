/**
 * @file The record of a run: a folder with `config.json`, written once, and `events.jsonl`, one JSON object a line, only
 * ever appended to. A kill can tear the last line; it is tolerated when read and cut off on resume. Beside them stand
 * `checkpoints/`, `model/`, `figures/` and `report.html`, written by others.
 */
import { DendraError, describe, inputError } from '../base/errors.js';
import type { Folder } from './storage.js';

export const runFormat = 'dendra-run';
export const runVersion = 1;
const configName = 'config.json';
const eventsName = 'events.jsonl';

/** One thing that happened. `v` is the version of the event's form; `seconds` is the time spent training so far. */
export interface RunEvent {
  readonly v: 1;
  readonly type: 'start' | 'resume' | 'train' | 'valid' | 'checkpoint' | 'warning' | 'interrupted' | 'end';
  /** the number of updates made before it */
  readonly step: number;
  readonly seconds: number;
  readonly [field: string]: unknown;
}

export interface RunConfig {
  readonly format: typeof runFormat;
  readonly version: typeof runVersion;
  readonly [field: string]: unknown;
}

/** JSON with non-finite numbers as null and typed arrays as plain lists. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, item) => (ArrayBuffer.isView(item) && 'length' in item ? Array.from(item as unknown as number[]) : item),
    indent,
  );
}

export class RunRecord {
  readonly folder: Folder;
  readonly config: RunConfig;

  private constructor(folder: Folder, config: RunConfig) {
    this.folder = folder;
    this.config = config;
  }

  /** Starts a run in an empty or absent folder; refuses one that holds a run. */
  static async create(folder: Folder, config: Record<string, unknown>): Promise<RunRecord> {
    if ((await folder.read(configName)) !== undefined) {
      throw inputError('RunRecord.create', `${folder.path} to hold no run`, 'one', 'resume it or name another folder');
    }
    const full = { format: runFormat, version: runVersion, ...config } as RunConfig;
    await folder.write(configName, `${toJson(full, 2)}\n`);
    return new RunRecord(folder, JSON.parse(toJson(full)));
  }

  /** Opens a run to read it or go on with it. Changes nothing. */
  static async open(folder: Folder): Promise<RunRecord> {
    const where = `${folder.path}/${configName}`;
    const content = await folder.read(configName);
    if (content === undefined) throw inputError(where, 'the folder of a run', 'no such file');
    let config: RunConfig;
    try {
      config = JSON.parse(new TextDecoder().decode(content));
    } catch (error) {
      throw new DendraError('input', `${where}: expected JSON, got ${(error as Error).message}`);
    }
    if (config?.format !== runFormat) throw inputError(where, `format ${runFormat}`, describe(config?.format));
    if (config.version !== runVersion) throw inputError(where, `version ${runVersion}`, config.version);
    return new RunRecord(folder, config);
  }

  /** Adds one event. */
  async append(event: Omit<RunEvent, 'v'>): Promise<void> {
    await this.folder.append(eventsName, `${toJson({ v: 1, ...event })}\n`);
  }

  /**
   * Mends what a kill left: cuts off a torn last line and removes unfinished files. Returns whether a line was torn.
   * Call before going on with a run.
   */
  async repair(): Promise<boolean> {
    await this.folder.clean();
    const content = await this.folder.read(eventsName);
    if (content === undefined) return false;
    const whole = content.lastIndexOf(10) + 1;
    if (whole === content.length) return false;
    await this.folder.truncate(eventsName, whole);
    return true;
  }

  /**
   * The events of the run as one history: what a resumed run did anew replaces what the killed one had done after the
   * checkpoint it went on from.
   */
  async history(): Promise<RunEvent[]> {
    const content = await this.folder.read(eventsName);
    if (content === undefined) return [];
    const text = new TextDecoder().decode(content.subarray(0, content.lastIndexOf(10) + 1));
    let events: RunEvent[] = [];
    text.split('\n').forEach((line, index) => {
      if (line === '') return;
      const event = parseEvent(line, `${this.folder.path}/${eventsName}: line ${index + 1}`);
      if (event.type === 'resume') events = events.filter(({ step }) => step <= event.step);
      events.push(event);
    });
    return events;
  }
}

function parseEvent(line: string, where: string): RunEvent {
  let event: RunEvent;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw new DendraError('input', `${where}: expected one JSON object, got ${(error as Error).message}`);
  }
  if (event?.v !== 1) throw inputError(where, 'an event of version 1', event?.v);
  return event;
}
