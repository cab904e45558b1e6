import assert from "node:assert/strict";
import { test } from "node:test";

import { type Dataset, type Frame, frameOf } from "../src/viewer/dicom.ts";
import { lutOf, pixelsOf } from "../src/viewer/pixels.ts";
import { autoWindow, measure } from "../src/viewer/quantities.ts";
import { onlyPart } from "../src/viewer/multipart.ts";
import { ends } from "../src/viewer/windows.ts";
import { placed, unpack } from "../src/viewer/segments.ts";

const of = (...values: unknown[]): { vr: string; Value: unknown[] } => ({ vr: "US", Value: values });
const image = (changes: Dataset = {}): Dataset => ({
  "00280010": of(1), "00280011": of(2), "00280100": of(16), "00280101": of(16), "00280103": of(0), "00280004": of("MONOCHROME2"), ...changes,
});

test("values are rescaled, signed and cleared of old overlays", () => {
  const values = (set: Dataset, ...bytes: number[]): number[] => [...pixelsOf(set, 1, Uint8Array.from(bytes), null).samples];
  assert.deepEqual(values(image(), 1, 0, 0, 1), [1, 256]);
  assert.deepEqual(values(image({ "00280103": of(1) }), 0xff, 0xff, 1, 0), [-1, 1]);
  assert.deepEqual(values(image({ "00280101": of(12) }), 1, 0xf0, 2, 0), [1, 2]);
  assert.deepEqual(values(image({ "00280101": of(12), "00280103": of(1) }), 0xff, 0x0f, 2, 0), [-1, 2]);
  assert.deepEqual(values(image({ "00281052": of(-1024), "00281053": of(1) }), 0, 0, 0, 4), [-1024, 0]);
  assert.deepEqual(values(image({ "00281053": of(0.5) }), 3, 0, 4, 0), [1.5, 2]);
  assert.throws(() => values(image(), 1, 0), /incomplete/);
});

test("floating point numbers are values as they are, and windows of them may be narrow", () => {
  const bytes = new Uint8Array(Float32Array.from([-0.25, 1.5]).buffer);
  const set = image({ "7FE00008": { vr: "OF" }, "00280100": of(32), "00281050": of(0.5), "00281051": of(0.5) });
  const { samples, lowest, highest } = pixelsOf(set, 1, bytes, null);
  assert.deepEqual([...samples, lowest, highest], [-0.25, 1.5, -0.25, 1.5]);
  const doubles = new Uint8Array(Float64Array.from([0.5, 2]).buffer);
  assert.deepEqual([...pixelsOf(image({ "7FE00009": { vr: "OD" } }), 1, doubles, null).samples], [0.5, 2]);
  assert.throws(() => pixelsOf(set, 1, bytes.slice(4), null), /incomplete/);
  const { isFine, voiFunction, window } = frameOf(set, 1);
  assert.deepEqual({ isFine, voiFunction, window }, { isFine: true, voiFunction: "LINEAR_EXACT", window: { center: 0.5, width: 0.5 } });
  assert.deepEqual(ends(window!, isFine), { lower: 0.25, upper: 0.75 });
  assert.deepEqual(ends({ center: 40, width: 400 }, false), { lower: -160, upper: 239 });
  assert.deepEqual(autoWindow([Number.NaN, 0, 0.5], 1e-6), { center: 0.25, width: 0.5 });
});

test("a dose is in gray, uptake in SUV: values, windows and what is measured", () => {
  const dose = image({ "00080060": of("RTDOSE"), "30040002": of("GY"), "3004000E": of(0.5) });
  const shown = frameOf(dose, 1);
  assert.deepEqual([shown.unit, shown.factor, shown.isFine], ["Gy", 0.5, true]);
  assert.deepEqual([...pixelsOf(dose, 1, Uint8Array.from([4, 0, 5, 0]), null, shown.factor).samples], [2, 2.5]);
  const relative = frameOf(image({ "00080060": of("RTDOSE"), "30040002": of("RELATIVE"), "3004000E": of(0.5) }), 1);
  assert.deepEqual([relative.unit, relative.factor, relative.isFine], ["", 1, false]);
  const pet = image({ "00080060": of("PT"), "00281053": of(2), "00281050": of(101), "00281051": of(201) });
  const scale = { factor: 0.25, unit: "SUVbw", reason: "" };
  const uptake = frameOf(pet, 1, scale);
  assert.deepEqual([uptake.unit, uptake.voiFunction, uptake.window], ["SUVbw", "LINEAR_EXACT", { center: 25.125, width: 50 }]);
  assert.deepEqual(ends(uptake.window!, true), { lower: 0.125, upper: 50.125 }); // a quarter of 0.5 and 200.5
  assert.deepEqual([...pixelsOf(pet, 1, Uint8Array.from([4, 0, 5, 0]), null, 0.25).samples], [2, 2.5]);
  const corners = [{ x: 0, y: 0 }, { x: 2, y: 1 }];
  assert.deepEqual(measure("rectangle", corners, { ...uptake, spacing: { row: 1, column: 1, kind: "patient" } }, [2, 2.5]).slice(1),
    ["Mean 2.25 SUVbw", "SD 0.25 SUVbw", "Max 2.50 SUVbw"]);
});

test("units are those that are said", () => {
  const unit = (modality: string, type: string): string => frameOf(image({ "00080060": of(modality), ...(type && { "00281054": of(type) }) }), 1).unit;
  assert.deepEqual([unit("CT", ""), unit("CT", "HU"), unit("CT", "US"), unit("MR", "US"), unit("MR", ""), unit("PT", "{SUVbw}g/ml")],
    ["HU", "HU", "", "", "", "SUVbw"]);
});

test("colour comes as red, green and blue of each pixel", () => {
  const colour = (kind: string, planar: number, bytes: number[], more: Dataset = {}): number[] =>
    [...pixelsOf(image({ "00280002": of(3), "00280004": of(kind), "00280006": of(planar), "00280100": of(8), ...more }), 1, Uint8Array.from(bytes), null).samples];
  assert.deepEqual(colour("RGB", 0, [1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(colour("RGB", 1, [1, 4, 2, 5, 3, 6]), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(colour("YBR_FULL", 0, [100, 128, 128, 76, 85, 255]), [100, 100, 100, 254, 0, 0]);
  assert.deepEqual(colour("YBR_FULL_422", 0, [100, 50, 128, 128]), [100, 100, 100, 50, 50, 50]);
  assert.deepEqual(colour("YBR_FULL_422", 0, [1, 2, 3, 4, 5, 6], { "00083002": of("1.2.840.10008.1.2.4.50") }), [1, 2, 3, 4, 5, 6]);
});

test("a palette colours what is stored", () => {
  const set = image({ "00280100": of(8), "00281101": of(2, 1, 16) });
  const lut = lutOf(set, "00281101", Uint8Array.from([0, 10, 0, 20]));
  assert.deepEqual([...pixelsOf(set, 1, Uint8Array.from([0, 2]), [lut, lut, lut]).samples], [10, 10, 10, 20, 20, 20]);
});

const frame = (kind: Frame["spacing"]["kind"]): Frame => ({
  series: "1", sop: "2", frame: 1, rows: 4, columns: 4, modality: "CT", spacing: { row: 2, column: 1, kind }, plane: null,
  patientOrientation: null, frameOfReference: "", window: null, voiFunction: "LINEAR", isColour: false, unit: "HU", factor: 1, isFine: false,
});

test("lengths, angles and areas are physical where the image tells its spacing", () => {
  const [a, b, c] = [{ x: 0, y: 0 }, { x: 3, y: 0 }, { x: 3, y: 2 }];
  assert.deepEqual(measure("length", [a, c], frame("patient"), null), ["5.00 mm"]);
  assert.deepEqual(measure("length", [a, c], frame("detector"), null), ["5.00 mm at the detector"]);
  assert.deepEqual(measure("length", [a, b], frame("unknown"), null), ["3.00 px"]);
  assert.deepEqual(measure("angle", [a, b, c], frame("patient"), null), ["90.0°"]);
  assert.deepEqual(measure("rectangle", [a, c], frame("patient"), null), ["Area 12.0 mm²"]);
  assert.deepEqual(measure("ellipse", [a, c], frame("unknown"), null), ["Area 4.71 px²"]);
});

test("statistics count the pixels whose centre is inside", () => {
  const values = Array.from({ length: 16 }, (_, at) => at);
  assert.deepEqual(measure("rectangle", [{ x: 0, y: 0 }, { x: 2, y: 2 }], frame("patient"), values),
    ["Area 8.00 mm²", "Mean 2.50 HU", "SD 2.06 HU"]);
  assert.deepEqual(measure("ellipse", [{ x: 4, y: 4 }, { x: 0, y: 0 }], frame("patient"), values).slice(1), ["Mean 7.50 HU", "SD 3.95 HU"]);
  assert.deepEqual(measure("rectangle", [{ x: -9, y: -9 }, { x: -5, y: -5 }], frame("patient"), values).length, 1);
});

test("the automatic window leaves out the outermost hundredths", () => {
  const values = Array.from({ length: 1000 }, (_, at) => (at === 0 ? -30000 : at === 999 ? 30000 : at));
  const { center, width } = autoWindow(values);
  assert.ok(Math.abs(center - 500) < 2 && Math.abs(width - 980) < 4);
  assert.equal(autoWindow([5, 5]).width, 1);
});

test("the one part of a multipart answer is found, whatever it holds", () => {
  const body = (...bytes: number[]): Uint8Array<ArrayBuffer> => {
    const text = (words: string): number[] => [...words].map((each) => each.charCodeAt(0));
    return Uint8Array.from([...text("--x\r\nContent-Type: a/b\r\n\r\n"), ...bytes, ...text("\r\n--x--\r\n")]);
  };
  const kind = 'multipart/related; type="application/octet-stream"; boundary=x';
  assert.deepEqual([...onlyPart(body(1, 2, 3), kind)], [1, 2, 3]);
  assert.deepEqual([...onlyPart(body(...[..."\r\n--x\r\n\r\n"].map((each) => each.charCodeAt(0)), 9), kind)].at(-1), 9);
  assert.deepEqual([...onlyPart(Uint8Array.from([7]), "application/octet-stream")], [7]);
  assert.throws(() => onlyPart(Uint8Array.from([7]), kind), /incomplete/);
});

test("single bits come the lowest first", () => {
  assert.deepEqual([...unpack(Uint8Array.from([0b10000010, 1]), 9)], [0, 1, 0, 0, 0, 0, 0, 1, 1]);
});

test("segments are found by the image that they lie on", () => {
  const set: Dataset = {
    "00620002": { vr: "SQ", Value: [{ "00620004": of(1), "00620005": of("Lesion") }] },
    "52009230": { vr: "SQ", Value: [{
      "0062000A": { vr: "SQ", Value: [{ "0062000B": of(1) }] },
      "00089124": { vr: "SQ", Value: [{ "00082112": { vr: "SQ", Value: [{ "00081155": of("1.2"), "00081160": of(3) }] } }] },
    }] },
  };
  const [key, [found]] = [...placed([set])][0]! as [string, { number: number; label: string; index: number }[]];
  assert.deepEqual([key, found?.number, found?.label, found?.index], ["1.2#3", 1, "Lesion", 0]);
});
