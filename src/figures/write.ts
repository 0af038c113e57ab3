/** @file A run's figures as files: each as SVG and as PNG, side by side. */
import { DendraError } from '../base/errors.js';
import { diskFolder, type Folder } from '../train/storage.js';
import { embedFont } from './font/load.js';
import { renderPng } from './png.js';
import { checkFigures, type ReportFigure } from './report.js';

export interface WrittenFigures {
  /** Names in the folder, in the order of writing. */
  files: string[];
  /** Why there are no PNG files, where this machine can't draw them. */
  pngUnavailable?: string;
}

/**
 * Writes `<id>.svg` (with the font inside) and `<id>.png` for every figure, each whole or not at all.
 *
 * @param folder a path (Node), or where to write
 * @param figures ids are checked before anything is written
 */
export async function writeFigures(
  folder: string | Pick<Folder, 'write'>,
  figures: readonly Pick<ReportFigure, 'id' | 'svg'>[],
): Promise<WrittenFigures> {
  checkFigures('writeFigures', figures);
  const target = typeof folder === 'string' ? await diskFolder(folder) : folder;
  const written: WrittenFigures = { files: [] };
  for (const { id, svg } of figures) {
    await target.write(`${id}.svg`, await embedFont(svg));
    written.files.push(`${id}.svg`);
    if (written.pngUnavailable !== undefined) continue;
    try {
      const png = await renderPng(svg);
      await target.write(`${id}.png`, png);
      written.files.push(`${id}.png`);
    } catch (error) {
      if (!(error instanceof DendraError && error.code === 'unavailable')) throw error;
      written.pngUnavailable = error.message;
    }
  }
  return written;
}
