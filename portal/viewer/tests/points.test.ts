import assert from "node:assert/strict";
import { test } from "node:test";

import { isNear, moved } from "../src/teaching/points.ts";

const SIZE = { rows: 200, columns: 400 };

test("arrows move by a hundredth of the longer side, five with shift, and stay inside", () => {
  assert.deepEqual(moved({ x: 10, y: 10 }, "ArrowRight", false, SIZE), { x: 14, y: 10 });
  assert.deepEqual(moved({ x: 10, y: 10 }, "ArrowDown", true, SIZE), { x: 10, y: 30 });
  assert.deepEqual(moved({ x: 2, y: 199 }, "ArrowLeft", false, SIZE), { x: 0, y: 199 });
  assert.deepEqual(moved({ x: 2, y: 199 }, "ArrowDown", false, SIZE), { x: 2, y: 200 });
  assert.deepEqual(moved({ x: 5, y: 5 }, "ArrowUp", false, { rows: 20, columns: 20 }), { x: 5, y: 4 });
  assert.equal(moved({ x: 2, y: 2 }, "Enter", false, SIZE), null);
});

test("nearness is on the screen", () => {
  assert.equal(isNear({ x: 0, y: 0 }, { x: 4, y: 0 }, { x: 2, y: 2 }, 10), true);
  assert.equal(isNear({ x: 0, y: 0 }, { x: 4, y: 0 }, { x: 3, y: 3 }, 10), false);
});
