/** @file The width of a text in the shipped font, from its advance widths (kerning left out). */
import { advances, characters } from './advances.js';

const position = new Map([...characters].map((character, index) => [character, index]));

/**
 * @param text what is to be set, in the shipped font; other characters count as an em
 * @param size font size
 * @param weight 400 regular, 600 semi-bold
 * @returns width in the unit of `size`
 */
export function textWidth(text: string, size: number, weight: 400 | 600 = 400): number {
  let thousandths = 0;
  for (const character of text) {
    const index = position.get(character);
    thousandths += index === undefined ? 1000 : advances[weight][index];
  }
  return (thousandths * size) / 1000;
}

/** The text, cut with an ellipsis where it would be wider than `width`. */
export function fitText(text: string, width: number, size: number, weight: 400 | 600 = 400): string {
  if (textWidth(text, size, weight) <= width) return text;
  const letters = [...text];
  while (letters.length > 0 && textWidth(`${letters.join('')}…`, size, weight) > width) letters.pop();
  return `${letters.join('').trimEnd()}…`;
}
