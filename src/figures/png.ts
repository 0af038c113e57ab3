/** @file From SVG to PNG by resvg, at twice the size, with the font that ships and no other. */
import { DendraError } from '../base/errors.js';
import { fontFiles } from './font/load.js';
import { font } from './theme.js';

/** Pixels per unit of the SVG. */
export const pngScale = 2;

/**
 * The figure as a PNG file, for Node. The same figure gives the same bytes on machines with the same resvg.
 *
 * @throws `unavailable` where `@resvg/resvg-js` isn't installed
 */
export async function renderPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await loadResvg();
  const [{ mkdtemp, rm, writeFile }, { tmpdir }, { join }] = await Promise.all([
    import('node:fs/promises'),
    import('node:os'),
    import('node:path'),
  ]);
  // resvg takes fonts as files only.
  const folder = await mkdtemp(join(tmpdir(), 'dendra-font-'));
  try {
    const files = await Promise.all(
      (await fontFiles()).map(async ({ name, bytes }) => {
        const path = join(folder, name);
        await writeFile(path, bytes);
        return path;
      }),
    );
    const resvg = new Resvg(svg, {
      font: { fontFiles: files, loadSystemFonts: false, defaultFontFamily: font.family, sansSerifFamily: font.family },
      fitTo: { mode: 'zoom', value: pngScale },
    });
    return resvg.render().asPng();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function loadResvg(): Promise<typeof import('@resvg/resvg-js')> {
  try {
    return await import('@resvg/resvg-js');
  } catch (cause) {
    throw new DendraError(
      'unavailable',
      'renderPng: expected the package @resvg/resvg-js, which draws PNG files; install it with `npm install @resvg/resvg-js`, or use the SVG',
      { cause },
    );
  }
}
