/**
 * @file A folder of named files, on disk in Node or in memory anywhere (browsers, tests): what runs and models are kept
 * in. A written file is whole or absent; names may hold slashes.
 */
import { DendraError, inputError } from '../base/errors.js';
import { writeFileAtomically } from '../runtime/index.js';

export interface Folder {
  /** for messages: the path on disk, or a label */
  readonly path: string;
  /** the content, or undefined where there is no such file */
  read(name: string): Promise<Uint8Array | undefined>;
  /** writes beside and renames: a reader sees the old content or the new, also after a crash */
  write(name: string, content: Uint8Array | string): Promise<void>;
  /** adds to the end, making the file where there is none */
  append(name: string, content: string): Promise<void>;
  /** cuts to the first `size` bytes */
  truncate(name: string, size: number): Promise<void>;
  remove(name: string): Promise<void>;
  /** removes what writes that a kill cut short have left behind */
  clean(): Promise<void>;
  /** names of the files directly in a sub-folder ('' for the folder itself), sorted; empty where there is none */
  list(subfolder?: string): Promise<string[]>;
}

const encoder = new TextEncoder();
const bytesOf = (content: Uint8Array | string) => (typeof content === 'string' ? encoder.encode(content) : content);

/** How `writeFileAtomically` names what is not whole yet. */
const unfinished = '.partial';

/** A folder that lives in memory. */
export function memoryFolder(path = 'memory'): Folder {
  const files = new Map<string, Uint8Array>();
  return {
    path,
    read: async (name) => files.get(name)?.slice(),
    write: async (name, content) => {
      files.set(name, bytesOf(content).slice());
    },
    append: async (name, content) => {
      const before = files.get(name) ?? new Uint8Array(0);
      const added = bytesOf(content);
      const whole = new Uint8Array(before.length + added.length);
      whole.set(before);
      whole.set(added, before.length);
      files.set(name, whole);
    },
    truncate: async (name, size) => {
      files.set(name, (files.get(name) ?? new Uint8Array(0)).slice(0, size));
    },
    remove: async (name) => {
      files.delete(name);
    },
    clean: async () => {},
    list: async (subfolder = '') => {
      const prefix = subfolder === '' ? '' : `${subfolder}/`;
      return [...files.keys()]
        .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
        .map((name) => name.slice(prefix.length))
        .sort();
    },
  };
}

/** A folder on disk (Node); made on the first write. */
export async function diskFolder(path: string): Promise<Folder> {
  if (typeof process === 'undefined' || !process.versions?.node) {
    throw new DendraError('unavailable', `diskFolder: expected Node, got a browser; use memoryFolder for ${path}`);
  }
  const fs = await import('node:fs/promises');
  const { dirname, join } = await import('node:path');
  const absent = (error: unknown) => (error as { code?: string }).code === 'ENOENT';
  const at = (name: string) => join(path, name);
  const refuse = (error: unknown): never => {
    const { code } = error as { code?: string };
    if (code === 'ENOTDIR' || code === 'EEXIST') throw inputError('diskFolder', 'a folder', path, 'name another');
    throw error;
  };
  return {
    path,
    read: async (name) => {
      try {
        const content = await fs.readFile(at(name));
        return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
      } catch (error) {
        return absent(error) ? undefined : refuse(error);
      }
    },
    write: (name, content) => writeFileAtomically(at(name), content),
    append: async (name, content) => {
      await fs.mkdir(dirname(at(name)), { recursive: true }).catch(refuse);
      await fs.appendFile(at(name), content);
    },
    truncate: (name, size) => fs.truncate(at(name), size),
    remove: (name) => fs.rm(at(name), { force: true }),
    clean: async () => {
      for (const entry of await fs.readdir(path, { recursive: true, withFileTypes: true })) {
        if (entry.isFile() && entry.name.endsWith(unfinished)) await fs.rm(join(entry.parentPath, entry.name));
      }
    },
    list: async (subfolder = '') => {
      try {
        const entries = await fs.readdir(at(subfolder), { withFileTypes: true });
        return entries
          .filter((entry) => entry.isFile() && !entry.name.endsWith(unfinished))
          .map((entry) => entry.name)
          .sort();
      } catch (error) {
        return absent(error) ? [] : refuse(error);
      }
    },
  };
}

/** A sub-folder as a folder of its own. */
export function within(folder: Folder, subfolder: string): Folder {
  const inside = (name: string) => `${subfolder}/${name}`;
  return {
    path: `${folder.path}/${subfolder}`,
    read: (name) => folder.read(inside(name)),
    write: (name, content) => folder.write(inside(name), content),
    append: (name, content) => folder.append(inside(name), content),
    truncate: (name, size) => folder.truncate(inside(name), size),
    remove: (name) => folder.remove(inside(name)),
    clean: () => folder.clean(),
    list: (name) => folder.list(name ? inside(name) : subfolder),
  };
}
