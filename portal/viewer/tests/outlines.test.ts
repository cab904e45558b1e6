import assert from "node:assert/strict";
import { test } from "node:test";

import { contains, type Mask, outlinesOf, pathOf, signedArea, simplify } from "../src/viewer/outlines.ts";

const mask = (...lines: string[]): Mask => ({
  rows: lines.length, columns: lines[0]!.length, data: Uint8Array.from([...lines.join("")].map((each) => Number(each === "#"))),
});

test("one pixel is a square", () => {
  assert.deepEqual(outlinesOf(mask("...", ".#.", "...")), [
    { outline: [{ x: 1, y: 1 }, { x: 2, y: 1 }, { x: 2, y: 2 }, { x: 1, y: 2 }], holes: [] },
  ]);
});

test("a hole belongs to what is around it, and an island in it stands alone", () => {
  const found = outlinesOf(mask("#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"));
  assert.deepEqual(found.map(({ outline, holes }) => [signedArea(outline) / 2, holes.map((hole) => signedArea(hole) / 2)]),
    [[49, [-25]], [9, [-1]]]);
});

test("pixels that touch at a corner stay apart", () => {
  assert.equal(outlinesOf(mask("#.", ".#")).length, 2);
  assert.equal(outlinesOf(mask(".#", "#.")).length, 2);
});

test("outlines hold just the pixels of the mask", () => {
  let seed = 7;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 60; round++) {
    const [columns, rows] = [1 + Math.floor(random() * 12), 1 + Math.floor(random() * 12)];
    const data = Uint8Array.from({ length: columns * rows }, () => Number(random() < 0.55));
    const found = outlinesOf({ columns, rows, data });
    for (let at = 0; at < data.length; at++) {
      const place = { x: (at % columns) + 0.5, y: Math.floor(at / columns) + 0.5 };
      const inside = found.some(({ outline, holes }) => contains(outline, place) && !holes.some((hole) => contains(hole, place)));
      assert.equal(inside, data[at] === 1);
    }
  }
});

test("a simple outline keeps its shape", () => {
  const circle = Array.from({ length: 360 }, (_, at) =>
    ({ x: 50 + 40 * Math.cos((at * Math.PI) / 180), y: 50 + 40 * Math.sin((at * Math.PI) / 180) }));
  const few = simplify(circle, 0.5);
  assert.ok(few.length < 60);
  assert.ok(Math.abs(signedArea(few) / signedArea(circle) - 1) < 0.03);
});

test("a path goes around each loop", () => {
  assert.equal(pathOf({ outline: [{ x: 0, y: 0 }, { x: 1, y: 0 }, { x: 1, y: 1 }], holes: [] }), "M0 0L1 0L1 1Z");
});
