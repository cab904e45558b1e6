import assert from "node:assert/strict";
import { test } from "node:test";

import { type Dataset, type Frame, frameOf, type Vector } from "../src/viewer/dicom.ts";
import { apply, edges, invert, letters, scaleBar, volumeOf } from "../src/viewer/geometry.ts";

const frame = (changes: Partial<Frame> = {}): Frame => ({
  series: "1", sop: "2", frame: 1, rows: 4, columns: 4, modality: "CT",
  spacing: { row: 1, column: 1, kind: "patient" },
  plane: { across: [1, 0, 0], down: [0, 1, 0], position: [0, 0, 0] },
  patientOrientation: null, frameOfReference: "3", window: null, voiFunction: "LINEAR", isColour: false, unit: "HU", factor: 1, isFine: false,
  ...changes,
});
const upright = { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 };

test("directions are named, the strongest part first", () => {
  const cases: [Vector, string][] = [
    [[1, 0, 0], "L"], [[-1, 0, 0], "R"], [[0, 1, 0], "P"], [[0, 0, -2], "F"], [[0.5, 0.8, 0.1], "PL"], [[0, 0, 0], ""],
  ];
  for (const [direction, name] of cases) assert.equal(letters(direction), name);
});

test("the edges follow the image when it is turned", () => {
  assert.deepEqual(edges(frame(), upright), { top: "A", right: "L", bottom: "P", left: "R" });
  const quarter = { a: 0, b: 1, c: -1, d: 0, e: 0, f: 0 }; // clockwise
  assert.deepEqual(edges(frame(), quarter), { top: "R", right: "A", bottom: "L", left: "P" });
  const projection = frame({ plane: null, patientOrientation: ["L", "F"] });
  assert.deepEqual(edges(projection, upright), { top: "H", right: "L", bottom: "F", left: "R" });
  assert.deepEqual(edges(frame({ plane: null }), upright), { top: "", right: "", bottom: "", left: "" });
});

test("an affine map is undone by its inverse", () => {
  const map = { a: 2, b: 1, c: -1, d: 3, e: 5, f: -7 };
  const back = apply(invert(map), apply(map, { x: 3, y: 4 }));
  assert.ok(Math.hypot(back.x - 3, back.y - 4) < 1e-12);
});

test("a scale bar is round and takes at most a third of the room", () => {
  assert.deepEqual(scaleBar(2, 700), { pixels: 200, label: "10 cm" });
  assert.deepEqual(scaleBar(20, 300), { pixels: 100, label: "5 mm" });
  assert.equal(scaleBar(Number.NaN, 300), null);
  assert.equal(scaleBar(1e9, 300), null);
});

const stack = (positions: Vector[], changes: Partial<Frame> = {}): Frame[] => positions.map((position) =>
  frame({ plane: { across: [1, 0, 0], down: [0, 1, 0], position }, ...changes }));

test("a volume is ordered along its normal", () => {
  assert.deepEqual(volumeOf(stack([[0, 0, 6], [0, 0, 0], [0, 0, 2], [0, 0, 4]])), { ok: true, order: [1, 2, 3, 0] });
});

test("what is no volume is refused with the reason", () => {
  const refused: [Frame[], RegExp][] = [
    [stack([[0, 0, 0], [0, 0, 2]]), /too few/],
    [stack([[0, 0, 0], [0, 0, 2], [0, 0, 4], [0, 0, 7]]), /distance/],
    [stack([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]), /same place/],
    [stack([[0, 0, 0], [0, 2, 2], [0, 4, 4], [0, 6, 6]]), /tilted/],
    [[...stack([[0, 0, 0], [0, 0, 2], [0, 0, 4]]), frame({ rows: 5 })], /differ/],
    [stack([[0, 0, 0], [0, 0, 2], [0, 0, 4], [0, 0, 6]], { plane: null }), /do not say/],
    [stack([[0, 0, 0], [0, 0, 2], [0, 0, 4], [0, 0, 6]], { isColour: true }), /colour/],
  ];
  for (const [frames, reason] of refused) {
    const check = volumeOf(frames);
    assert.ok(!check.ok && reason.test(check.why));
  }
});

const of = (...values: unknown[]): { vr: string; Value: unknown[] } => ({ vr: "DS", Value: values });
const sequence = (set: Dataset): { vr: string; Value: unknown[] } => ({ vr: "SQ", Value: [set] });

test("spacing is that of the patient, of the detector, or a mere ratio", () => {
  const spacing = (set: Dataset): Frame["spacing"] => frameOf(set, 1).spacing;
  assert.deepEqual(spacing({ "00280030": of(2, "1.5") }), { row: 2, column: 1.5, kind: "patient" });
  assert.deepEqual(spacing({ "00181164": of(0.1, 0.1) }), { row: 0.1, column: 0.1, kind: "detector" });
  assert.deepEqual(spacing({ "00280030": of(0.1, 0.1), "00181164": of(0.1, 0.1) }), { row: 0.1, column: 0.1, kind: "detector" });
  assert.deepEqual(spacing({ "00280030": of(0.09, 0.09), "00181164": of(0.1, 0.1) }), { row: 0.09, column: 0.09, kind: "patient" });
  assert.deepEqual(spacing({ "00280034": of(4, 2) }), { row: 2, column: 1, kind: "unknown" });
  assert.deepEqual(spacing({ "00280030": of(0, 1) }), { row: 1, column: 1, kind: "unknown" });
});

test("a frame of many is told by its own groups, then by those of all", () => {
  const set: Dataset = {
    "00080060": of("CT"),
    "52009229": sequence({ "00289110": sequence({ "00280030": of(1, 1) }), "00209116": sequence({ "00200037": of(1, 0, 0, 0, 1, 0) }) }),
    "52009230": { vr: "SQ", Value: [
      { "00209113": sequence({ "00200032": of(0, 0, 0) }), "00289132": sequence({ "00281050": of(40), "00281051": of(400) }) },
      { "00209113": sequence({ "00200032": of(0, 0, 5) }) },
    ] },
  };
  assert.deepEqual(frameOf(set, 2).plane?.position, [0, 0, 5]);
  assert.deepEqual(frameOf(set, 1).window, { center: 40, width: 400 });
  assert.equal(frameOf(set, 2).window, null);
  assert.equal(frameOf(set, 2).spacing.kind, "patient");
});
