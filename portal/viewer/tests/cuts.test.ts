import assert from "node:assert/strict";
import { test } from "node:test";

import { type Cut, cutOf, middleOf, type Solid } from "../src/viewer/cuts.ts";

// Four columns, three rows, five slices; the region is columns 1 and 2 of row 1 on slices 2 and 3, and (1, 2) on slice 3.
const painted = (...inside: number[]): Uint8Array => Uint8Array.from({ length: 12 }, (_, index) => Number(inside.includes(index)));
const solid: Solid = { label: "", colour: "", columns: 4, rows: 3, slices: [undefined, undefined, painted(5, 6), painted(5, 6, 9)] };

const inside = (cut: Cut): string => {
  const { data, columns } = cutOf(solid, cut);
  return [...data].map((each, index) => `${each}${(index + 1) % columns ? "" : "/"}`).join("");
};

test("a slice is cut as it was painted", () => {
  const slice = (number: number): Cut => ({ first: [0, 0, number], across: [1, 0, 0], down: [0, 1, 0], columns: 4, rows: 3 });
  assert.equal(inside(slice(3)), "0000/0110/0100/");
  assert.equal(inside(slice(1)), "0000/0000/0000/");
  assert.equal(inside(slice(-1)), "0000/0000/0000/");
  assert.equal(inside(slice(9)), "0000/0000/0000/");
});

test("another plane goes through slices, from either side", () => {
  assert.equal(inside({ first: [0, 1, 4], across: [1, 0, 0], down: [0, 0, -1], columns: 4, rows: 5 }), "0000/0110/0110/0000/0000/");
  assert.equal(inside({ first: [1, 0, 0], across: [0, 1, 0], down: [0, 0, 1], columns: 3, rows: 4 }), "000/000/010/011/");
});

test("points between voxels belong to the nearer one, and points outside to none", () => {
  assert.equal(inside({ first: [-0.25, 1, 3], across: [0.5, 0, 0], down: [0, 1, 0], columns: 10, rows: 1 }), "0011110000/");
  assert.equal(inside({ first: [3.4, 1, 2], across: [1, 0, 0], down: [0, 1, 0], columns: 2, rows: 1 }), "00/");
});

test("the middle is inside, on the fullest slice", () => {
  assert.deepEqual(middleOf(solid), [2, 1, 3]);
  assert.equal(middleOf({ ...solid, slices: [] }), null);
});
