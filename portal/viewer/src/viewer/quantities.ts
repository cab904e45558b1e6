// Lengths, angles, areas and the statistics of pixels, in words. No DOM here.

import type { Frame } from "./dicom.ts";
import type { Point } from "./geometry.ts";

export type Shape = "length" | "angle" | "ellipse" | "rectangle";

/** How many points make a shape; of the last two, opposite corners. */
export const POINTS: Record<Shape, number> = { length: 2, angle: 3, ellipse: 2, rectangle: 2 };

/** The values of a frame's pixels, row by row, in the unit of the frame. */
export type Values = ArrayLike<number>;

const round = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);

const suffix = (frame: Frame): string => (frame.spacing.kind === "detector" ? " at the detector" : "");

/** Return what was measured, a line each; in pixels where the frame does not tell its spacing. */
export function measure(shape: Shape, points: Point[], frame: Frame, values: Values | null): string[] {
  const [a, b, c] = points;
  if (!a || !b) return [];
  if (shape === "length") return [lengthWords(a, b, frame)];
  if (shape === "angle") return c ? [`${angle(a, b, c, frame).toFixed(1)}°`] : [];
  return [areaWords(shape, a, b, frame), ...(values && !frame.isColour ? statistics(shape, a, b, frame, values) : [])];
}

function lengthWords(a: Point, b: Point, frame: Frame): string {
  const { row, column, kind } = frame.spacing;
  // Where only a ratio is known, a length in pixels has a meaning for square ones alone.
  const [sx, sy] = kind === "unknown" ? [1, 1] : [column, row];
  const length = Math.hypot((b.x - a.x) * sx, (b.y - a.y) * sy);
  return kind === "unknown" ? `${round(length)} px` : `${round(length)} mm${suffix(frame)}`;
}

/** Return the angle at the middle point, in degrees. */
function angle(a: Point, b: Point, c: Point, { spacing }: Frame): number {
  const u = [(a.x - b.x) * spacing.column, (a.y - b.y) * spacing.row] as const;
  const v = [(c.x - b.x) * spacing.column, (c.y - b.y) * spacing.row] as const;
  return (Math.atan2(Math.abs(u[0] * v[1] - u[1] * v[0]), u[0] * v[0] + u[1] * v[1]) * 180) / Math.PI;
}

function areaWords(shape: Shape, a: Point, b: Point, frame: Frame): string {
  const { row, column, kind } = frame.spacing;
  const pixels = Math.abs((b.x - a.x) * (b.y - a.y)) * (shape === "ellipse" ? Math.PI / 4 : 1);
  return kind === "unknown" ? `Area ${round(pixels)} px²` : `Area ${round(pixels * row * column)} mm²${suffix(frame)}`;
}

/** Count the pixels whose centre is inside; the deviation is that of all of them (divided by their number). */
function statistics(shape: Shape, a: Point, b: Point, frame: Frame, values: Values): string[] {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  const [cx, cy, rx, ry] = [(left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2];
  const found: number[] = [];
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(frame.rows, bottom); y++) {
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(frame.columns, right); x++) {
      const [px, py] = [x + 0.5, y + 0.5];
      const inside = shape === "ellipse"
        ? ((px - cx) / rx) ** 2 + ((py - cy) / ry) ** 2 <= 1
        : px >= left && px <= right && py >= top && py <= bottom;
      if (inside) found.push(values[y * frame.columns + x] ?? 0);
    }
  }
  if (!found.length) return [];
  const mean = found.reduce((sum, each) => sum + each, 0) / found.length;
  const deviation = Math.sqrt(found.reduce((sum, each) => sum + (each - mean) ** 2, 0) / found.length);
  const unit = frame.unit ? ` ${frame.unit}` : "";
  const highest = frame.factor === 1 ? [] : [`Max ${round(found.reduce((most, each) => Math.max(most, each), -Infinity))}${unit}`];
  return [`Mean ${round(mean)}${unit}`, `SD ${round(deviation)}${unit}`, ...highest];
}

/** Return the window that shows all values but the outermost hundredths; not narrower than `least`. */
export function autoWindow(values: Values, least = 1): { center: number; width: number } {
  const step = Math.max(1, Math.floor(values.length / 20_000));
  const sample: number[] = [];
  for (let index = 0; index < values.length; index += step) {
    const value = values[index] ?? 0;
    if (Number.isFinite(value)) sample.push(value);
  }
  sample.sort((a, b) => a - b);
  const low = sample[Math.floor(sample.length * 0.01)] ?? 0;
  const high = sample[Math.floor(sample.length * 0.99)] ?? 1;
  return { center: (low + high) / 2, width: Math.max(least, high - low) };
}
