// Directions, scale bars, and whether frames make a volume. No DOM here.

import type { Frame, Vector } from "./dicom.ts";

/** Maps image coordinates to the canvas: x' = a x + c y + e, y' = b x + d y + f. */
export interface Affine {
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
}

export interface Point {
  x: number;
  y: number;
}

export const apply = (m: Affine, p: Point): Point => ({ x: m.a * p.x + m.c * p.y + m.e, y: m.b * p.x + m.d * p.y + m.f });

export function invert(m: Affine): Affine {
  const det = m.a * m.d - m.b * m.c;
  const [a, b, c, d] = [m.d / det, -m.b / det, -m.c / det, m.a / det];
  return { a, b, c, d, e: -(a * m.e + c * m.f), f: -(b * m.e + d * m.f) };
}

export const dot = (u: Vector, v: Vector): number => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
export const minus = (u: Vector, v: Vector): Vector => [u[0] - v[0], u[1] - v[1], u[2] - v[2]];
export const cross = (u: Vector, v: Vector): Vector => [
  u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0],
];
export const along = (u: Vector, by: number): Vector => [u[0] * by, u[1] * by, u[2] * by];

const AXES: [string, string][] = [["R", "L"], ["A", "P"], ["F", "H"]]; // against and along +x, +y, +z (PS3.3 C.7.6.2)

/** Return where a direction leads in the patient, the strongest part first, such as "LP". */
export function letters(direction: Vector): string {
  const length = Math.hypot(...direction);
  if (!length) return "";
  return direction
    .map((part, axis) => ({ part: part / length, names: AXES[axis] ?? ["", ""] }))
    .filter(({ part }) => Math.abs(part) > 0.3)
    .sort((one, other) => Math.abs(other.part) - Math.abs(one.part))
    .map(({ part, names }) => (part < 0 ? names[0] : names[1]))
    .join("");
}

const OPPOSITE: Record<string, string> = { R: "L", L: "R", A: "P", P: "A", F: "H", H: "F" };
export const opposite = (direction: string): string => [...direction].map((each) => OPPOSITE[each] ?? each).join("");

export type Edges = Record<"top" | "right" | "bottom" | "left", string>;

/** Return the letters at the edges of a frame as it lies on the canvas; "" where they are not known. */
export function edges(frame: Frame, toCanvas: Affine): Edges {
  const back = invert(toCanvas);
  const towards = (x: number, y: number): string => {
    // In mm, so that pixels that are not square do not tilt the direction.
    const v = { x: (back.a * x + back.c * y) * frame.spacing.column, y: (back.b * x + back.d * y) * frame.spacing.row };
    if (frame.plane) {
      const { across, down } = frame.plane;
      return letters(across.map((part, axis) => part * v.x + (down[axis] ?? 0) * v.y) as Vector);
    }
    if (!frame.patientOrientation) return "";
    const isAcross = Math.abs(v.x) >= Math.abs(v.y);
    const name = frame.patientOrientation[isAcross ? 0 : 1];
    return (isAcross ? v.x : v.y) > 0 ? name : opposite(name);
  };
  return { top: towards(0, -1), right: towards(1, 0), bottom: towards(0, 1), left: towards(-1, 0) };
}

const BARS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Return the longest round length that takes at most a third of the room; null where nothing fits. */
export function scaleBar(pixelsPerMillimetre: number, room: number): { pixels: number; label: string } | null {
  const millimetres = BARS.filter((each) => each * pixelsPerMillimetre <= room / 3).at(-1);
  if (!millimetres || !Number.isFinite(pixelsPerMillimetre)) return null;
  const label = millimetres >= 10 ? `${millimetres / 10} cm` : `${millimetres} mm`;
  return { pixels: millimetres * pixelsPerMillimetre, label };
}

export type VolumeCheck = { ok: true; order: number[] } | { ok: false; why: string };

const SAME_DIRECTION = 1e-3;
const EQUAL_STEPS = 0.02; // of a step
const MINIMUM = 4;

/** Return whether frames make one volume of equal steps, and their order along its normal. */
export function volumeOf(frames: Frame[]): VolumeCheck {
  const first = frames[0];
  const refuse = (why: string): VolumeCheck => ({ ok: false, why });
  if (!first || frames.length < MINIMUM) return refuse("there are too few images");
  if (first.isColour) return refuse("the images are in colour");
  const plane = first.plane;
  if (!plane || first.spacing.kind !== "patient") return refuse("the images do not say where they are in the patient");
  const alike = (each: Frame): boolean =>
    each.plane !== null && each.rows === first.rows && each.columns === first.columns
    && each.frameOfReference === first.frameOfReference
    && Math.abs(each.spacing.row - first.spacing.row) < 1e-4
    && Math.abs(each.spacing.column - first.spacing.column) < 1e-4
    && dot(each.plane.across, plane.across) > 1 - SAME_DIRECTION
    && dot(each.plane.down, plane.down) > 1 - SAME_DIRECTION;
  if (!frames.every(alike)) return refuse("the images differ in size, spacing or direction");
  const normal = cross(plane.across, plane.down);
  const offsets = frames.map((each) => minus(each.plane?.position ?? plane.position, plane.position));
  const heights = offsets.map((offset) => dot(offset, normal));
  const order = heights.map((_, index) => index).sort((a, b) => (heights[a] ?? 0) - (heights[b] ?? 0));
  const sorted = order.map((index) => heights[index] ?? 0);
  const step = ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / (frames.length - 1);
  if (step < 1e-3) return refuse("several images are at the same place");
  const wrong = (height: number, index: number): boolean =>
    Math.abs(height - (sorted[0] ?? 0) - index * step) > Math.max(EQUAL_STEPS * step, 0.01);
  if (sorted.some(wrong)) return refuse("the distance between images is not the same everywhere");
  const drifts = offsets.some((offset) => Math.max(Math.abs(dot(offset, plane.across)), Math.abs(dot(offset, plane.down)))
    > Math.max(first.spacing.row, first.spacing.column));
  if (drifts) return refuse("the images are not straight above each other (tilted gantry)");
  return { ok: true, order };
}
