/** @file The font that ships, as bytes and as style sheet. Loaded on use: it weighs more than all other code of figures. */
import { font } from '../theme.js';

const load = () => Promise.all([import('./regular.js'), import('./semibold.js')]);

/** Regular and semi-bold as TrueType files. */
export async function fontFiles(): Promise<{ name: string; bytes: Uint8Array }[]> {
  const [regular, semibold] = await load();
  return [
    { name: 'Inter-Regular.ttf', bytes: decodeBase64(regular.trueType) },
    { name: 'Inter-SemiBold.ttf', bytes: decodeBase64(semibold.trueType) },
  ];
}

/** `@font-face` rules that hold the font itself, for a style element in HTML or SVG. */
export async function fontFaces(): Promise<string> {
  const [regular, semibold] = await load();
  const face = (weight: number, base64: string) =>
    `@font-face{font-family:${font.family};font-weight:${weight};src:url(data:font/woff2;base64,${base64}) format("woff2")}`;
  return `${face(400, regular.woff2)}\n${face(600, semibold.woff2)}`;
}

/** A figure with the font inside, so that it looks the same wherever it is opened. */
export async function embedFont(svg: string): Promise<string> {
  return svg.replace(/^<svg [^>]*>/, (open) => `${open}<style>\u0000</style>`).replace('\u0000', await fontFaces());
}

function decodeBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
