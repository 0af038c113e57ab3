/** @file The tokenizer of a published model: Hugging Face's `tokenizer.json`, read by their own JavaScript library. */
import { DendraError, inputError } from '../base/errors.js';

export interface TextTokenizer {
  /** token ids of a text; without the special tokens that some tokenizers put around it */
  encode(text: string): Int32Array;
  /** the text of token ids */
  decode(ids: ArrayLike<number>): string;
  /** the id of a token such as `<|endoftext|>`; undefined where there is none */
  idOf(token: string): number | undefined;
}

/**
 * A tokenizer from its files' contents.
 *
 * @param json `tokenizer.json`
 * @param configJson `tokenizer_config.json`, where there is one
 * @throws an input error naming `where` for text that is not JSON or that describes no tokenizer the library knows
 */
export async function openTokenizer(where: string, json: string, configJson = '{}'): Promise<TextTokenizer> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  const parse = (text: string): object => {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new DendraError('input', `${where}: expected JSON, got ${(cause as Error).message}`, { cause });
    }
  };
  const description = parse(json) as { model?: object };
  if (!description.model) throw inputError(where, 'a tokenizer with a `model`', 'none');
  const config = parse(configJson);
  let tokenizer: InstanceType<typeof Tokenizer>;
  try {
    tokenizer = new Tokenizer(description, config);
  } catch (cause) {
    throw new DendraError('input', `${where}: expected a tokenizer, got ${(cause as Error).message}`, { cause });
  }
  return {
    encode: (text) => Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids),
    // The library refuses an empty list.
    decode: (ids) =>
      ids.length === 0 ? '' : tokenizer.decode(Array.from(ids), { clean_up_tokenization_spaces: false }),
    idOf: (token) => tokenizer.token_to_id(token),
  };
}

/** Bytes as tokens: id = byte. For models trained on raw bytes, vocabulary 256. */
export const byteTokenizer: TextTokenizer = {
  encode: (text) => Int32Array.from(new TextEncoder().encode(text)),
  decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids)),
  idOf: () => undefined,
};
