/** @file HDF5 groups of the old style: names in a local heap, entries in symbol-table nodes under a B-tree. */
import { type Hdf5Context, type Hdf5Cursor, hdf5Piece } from './hdf5-bytes.js';

const mostNames = 100_000;

/** The objects of a group: header addresses by name, in the order of the tree (by name). */
export async function readHdf5Group(
  context: Hdf5Context,
  where: string,
  group: { tree: number; heap: number },
): Promise<Map<string, number>> {
  const names = await readLocalHeap(context, where, group.heap);
  const members = new Map<string, number>();
  for (const address of await treeLeaves(context, where, group.tree)) {
    await readSymbols(context, where, address, names, members);
    if (members.size > mostNames) throw names.fail('group', `at most ${mostNames} names`, members.size);
  }
  return members;
}

async function readLocalHeap(context: Hdf5Context, where: string, address: number): Promise<Hdf5Cursor> {
  const { offsetSize, lengthSize } = context;
  const head = await hdf5Piece(context, `${where}: local heap`, address, 8 + 2 * lengthSize + offsetSize);
  head.signature('HEAP');
  head.version('local heap', [0]);
  head.skip('local heap', 3);
  const size = head.length('local heap size');
  head.skip('free list', lengthSize);
  const data = head.requireAddress('local heap data');
  if (size > 2 ** 26) throw head.fail('local heap size', 'at most 64 MiB of names', size);
  return hdf5Piece(context, `${where}: local heap`, data, size);
}

/** The children of the lowest level of a group's B-tree, from left to right. */
async function treeLeaves(context: Hdf5Context, where: string, root: number): Promise<number[]> {
  const leaves: number[] = [];
  await walkHdf5Tree(context, where, root, 0, context.lengthSize, (_, child) => {
    leaves.push(child);
    return leaves.length <= mostNames;
  });
  return leaves;
}

/**
 * Visits every lowest entry of a version-1 B-tree in order: a cursor at the entry's key, and its child's address. Stops
 * where `visit` answers false.
 *
 * @param type 0 for groups, 1 for chunks
 * @param keySize bytes of a key
 */
export async function walkHdf5Tree(
  context: Hdf5Context,
  where: string,
  root: number,
  type: number,
  keySize: number,
  visit: (key: Hdf5Cursor, child: number) => boolean,
): Promise<void> {
  const { offsetSize } = context;
  // Every node once: a tree that leads back into itself would never end.
  const seen = new Set<number>();
  const descend = async (address: number, parentLevel: number): Promise<boolean> => {
    const at = `${where}: B-tree`;
    const head = await hdf5Piece(context, at, address, 8 + 2 * offsetSize);
    head.signature('TREE');
    const found = head.u8('node type');
    const level = head.u8('node level');
    const entries = head.u16('entries');
    if (found !== type) throw head.fail('node type', `${type}`, found);
    if (level >= parentLevel) throw head.fail('node level', `below ${parentLevel}`, level);
    if (seen.has(address)) throw head.fail('node', 'a tree', `the node at ${address} twice`);
    seen.add(address);
    const length = entries * (keySize + offsetSize);
    const node = await hdf5Piece(context, at, address + 8 + 2 * offsetSize, length);
    for (let i = 0; i < entries; i++) {
      node.at = i * (keySize + offsetSize) + keySize;
      const child = node.requireAddress('child');
      node.at = i * (keySize + offsetSize);
      if (!(level === 0 ? visit(node, child) : await descend(child, level))) return false;
    }
    return true;
  };
  await descend(root, 256);
}

async function readSymbols(
  context: Hdf5Context,
  where: string,
  address: number,
  names: Hdf5Cursor,
  members: Map<string, number>,
): Promise<void> {
  const at = `${where}: symbol table`;
  const head = await hdf5Piece(context, at, address, 8);
  head.signature('SNOD');
  head.version('symbol table', [1]);
  head.skip('symbol table', 1);
  const count = head.u16('symbols');
  const nodes = await hdf5Piece(context, at, address + 8, count * (2 * context.offsetSize + 24));
  for (let i = 0; i < count; i++) {
    const offset = nodes.whole('name', context.offsetSize);
    const header = nodes.requireAddress('object');
    const cached = nodes.u32('cache type');
    nodes.skip('symbol', 20);
    const end = names.bytes.indexOf(0, offset);
    if (offset >= names.bytes.length || end < 0) throw nodes.fail('name', 'one inside the local heap', offset);
    const name = new TextDecoder().decode(names.bytes.subarray(offset, end));
    if (members.has(name)) throw nodes.fail('name', 'different names', `${name} twice`);
    if (cached === 2) continue; // a symbolic link: it has no object of its own
    members.set(name, header);
  }
}
