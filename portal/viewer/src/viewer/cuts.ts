// Where planes cut through painted volumes.

import type { Vector } from "./dicom.ts";
import type { Mask } from "./outlines.ts";

/** A painted region of a volume. */
export interface Solid {
  label: string;
  colour: string;
  columns: number;
  rows: number;
  /** For each slice that has some of it: 1 inside, row by row. */
  slices: (Uint8Array | undefined)[];
}

/** Points of a plane. Places are indices of the volume: column, row, slice. */
export interface Cut {
  first: Vector;
  /** From a point to the next one. */
  across: Vector;
  down: Vector;
  columns: number;
  rows: number;
}

/** Return which points of a plane are inside of a region; each point has the value of the voxel that it is in. */
export function cutOf({ columns, rows, slices }: Solid, cut: Cut): Mask {
  const { first, across, down } = cut;
  const data = new Uint8Array(cut.columns * cut.rows);
  for (let y = 0; y < cut.rows; y++) {
    for (let x = 0; x < cut.columns; x++) {
      const column = Math.round(first[0] + x * across[0] + y * down[0]);
      const row = Math.round(first[1] + x * across[1] + y * down[1]);
      if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
      const slice = slices[Math.round(first[2] + x * across[2] + y * down[2])];
      if (slice?.[row * columns + column]) data[y * cut.columns + x] = 1;
    }
  }
  return { columns: cut.columns, rows: cut.rows, data };
}

/** Return a place inside of a region, on the slice that has most of it; null where it is empty. */
export function middleOf({ columns, slices }: Solid): Vector | null {
  let most: number[] = [];
  let at = 0;
  slices.forEach((slice, index) => {
    const inside = slice ? [...slice.keys()].filter((each) => slice[each]) : [];
    if (inside.length > most.length) [most, at] = [inside, index];
  });
  const rowOf = (place: number): number => Math.floor(place / columns);
  const middle = most[Math.floor(most.length / 2)];
  if (middle === undefined) return null;
  const beside = most.filter((each) => rowOf(each) === rowOf(middle));
  return [beside[Math.floor(beside.length / 2)]! % columns, rowOf(middle), at];
}
