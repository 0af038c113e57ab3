/**
 * @file Files of a machine that has a file system (Node). Browsers have none: there every function but `exists` refuses
 * and says to use a Blob. Nothing that exists is ever half-overwritten: writing goes beside, to disk, then into place.
 */
import { DendraError, inputError } from '../base/errors.js';
import { type ByteSource, requireInside } from '../io/byte-source.js';

/** An open file. It holds a handle of the operating system until `close()`. */
export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

function hasFileSystem(): boolean {
  return typeof process !== 'undefined' && typeof process.versions?.node === 'string';
}

async function fileSystem(where: string) {
  if (!hasFileSystem()) {
    throw new DendraError(
      'unavailable',
      `${where}: expected a machine with a file system, got a browser; read from a Blob with blobSource`,
    );
  }
  return import('node:fs/promises');
}

function fileError(where: string, path: string, expected: string, cause: unknown): DendraError {
  const code = (cause as { code?: string }).code;
  const found = code === 'ENOENT' ? 'nothing at that path' : code === 'EISDIR' ? 'a folder' : (cause as Error).message;
  const error = inputError(where, `${expected} at ${path}`, found, code === 'ENOENT' ? 'check the path' : undefined);
  return new DendraError(code === 'ENOSPC' || code === 'EIO' ? 'failed' : 'input', error.message, { cause });
}

/** Opens a file for reading at random. Close it when done, or use `withFile`. */
export async function openFile(path: string): Promise<FileSource> {
  const fs = await fileSystem('openFile');
  let handle: Awaited<ReturnType<typeof fs.open>>;
  try {
    handle = await fs.open(path, 'r');
  } catch (cause) {
    throw fileError('openFile', path, 'a readable file', cause);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw inputError('openFile', `a file at ${path}`, stat.isDirectory() ? 'a folder' : 'a device');
    const source = {
      name: path,
      size: stat.size,
      async read(offset: number, length: number) {
        requireInside(source, offset, length);
        const bytes = new Uint8Array(length);
        let filled = 0;
        while (filled < length) {
          const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
          if (bytesRead === 0)
            throw inputError(path, `${stat.size} bytes`, 'fewer', 'the file shrank while being read');
          filled += bytesRead;
        }
        return bytes;
      },
      close: () => handle.close(),
    };
    return source;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens a file, hands it to `use`, and closes it however that ends. */
export async function withFile<T>(path: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openFile(path);
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

/** All bytes of a file. */
export function readBytes(path: string): Promise<Uint8Array> {
  return withFile(path, (source) => source.read(0, source.size));
}

/** A file of UTF-8 text; refuses one that is not. */
export async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readBytes(path));
  } catch (error) {
    if (error instanceof DendraError) throw error;
    throw inputError('readText', `UTF-8 text in ${path}`, 'other bytes');
  }
}

let writes = 0;

/**
 * Writes a whole file or, if anything goes wrong, changes nothing: the content goes to a `.partial` file beside it, is
 * forced to disk, and then takes the name in one step. Folders on the way are made.
 */
export async function writeFileAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const fs = await fileSystem('writeFileAtomically');
  const { dirname } = await import('node:path');
  const folder = dirname(path);
  const beside = `${path}.${process.pid}-${writes++}.partial`;
  try {
    await fs.mkdir(folder, { recursive: true });
    const handle = await fs.open(beside, 'wx');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(beside, path);
  } catch (cause) {
    await fs.rm(beside, { force: true }).catch(() => {});
    throw fileError('writeFileAtomically', path, 'to be able to write', cause);
  }
  await syncFolder(folder);
}

/** Makes the new name itself durable. Windows can't open a folder, and needs no such step. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const fs = await import('node:fs/promises');
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether a file or folder is there. False in a browser. */
export async function exists(path: string): Promise<boolean> {
  if (!hasFileSystem()) return false;
  const { access } = await import('node:fs/promises');
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * The path itself where it is a file; every file under it where it is a folder, sorted by path. Hidden files and folders
 * and unfinished writes (`.partial`) are left out.
 */
export async function listFiles(pathOrFolder: string): Promise<string[]> {
  const fs = await fileSystem('listFiles');
  try {
    if (!(await fs.stat(pathOrFolder)).isDirectory()) return [pathOrFolder];
  } catch (cause) {
    throw fileError('listFiles', pathOrFolder, 'a file or folder', cause);
  }
  const { join } = await import('node:path');
  const found: string[] = [];
  const folders = [pathOrFolder];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of await fs.readdir(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name.endsWith('.partial')) continue;
      const path = join(folder, entry.name);
      // A link counts as what it points to, but is not followed into folders: a link to a parent would never end.
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() || (entry.isSymbolicLink() && (await isFile(path)))) found.push(path);
    }
  }
  return found.sort();
}

async function isFile(path: string): Promise<boolean> {
  const { stat } = await import('node:fs/promises');
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
