// Measurements on frames: placed point by point, with the pointer or with the keyboard.

import type { Frame } from "./dicom.ts";
import type { Point } from "./geometry.ts";
import { note } from "./note.ts";
import { measure, POINTS, type Shape, type Values } from "./quantities.ts";
import { svg } from "./svg.ts";

interface Measurement {
  shape: Shape;
  points: Point[];
  lines: string[];
}

/** Something measured that is kept with a review. */
export interface Kept {
  id: string;
  shape: Shape;
  points: Point[];
  label: string;
  /** What the server has measured; empty until it has. */
  words: string[];
}

/** Keeps what is measured on this study. */
export interface Keeper {
  of: (frame: Frame) => Kept[];
  /** Take a measurement; false where nothing can be written now. */
  add: (shape: Shape, points: Point[], frame: Frame) => boolean;
  /** Take measurements out, and return how many; all of the study without ids. */
  remove: (ids?: string[]) => number;
}

const keyOf = (frame: Frame): string => `${frame.sop}#${frame.frame}`;

export class Measurements {
  #kept = new Map<string, Measurement[]>();
  #open: { key: string; made: Measurement } | null = null;
  /** What is measured on the images of this study goes there, where there is one. */
  keeper: Keeper | null = null;

  /** Whether a shape still waits for a point. */
  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** Set a point; returns what was measured once the shape is complete. `isOwn`: on an image that the review is about. */
  set(shape: Shape, at: Point, frame: Frame, values: Values | null, isOwn: boolean): string[] | null {
    const key = keyOf(frame);
    if (!this.#open || this.#open.key !== key || this.#open.made.shape !== shape) {
      this.#open = { key, made: { shape, points: [at], lines: [] } };
    } else {
      this.#open.made.points = [...this.#fixed(), at];
    }
    const { made } = this.#open;
    if (made.points.length < POINTS[shape]) return null;
    this.#open = null;
    if (isFlat(made)) return null;
    made.lines = measure(shape, made.points, frame, values);
    if (isOwn && this.keeper?.add(shape, made.points, frame)) return made.lines;
    this.#kept.set(key, [...(this.#kept.get(key) ?? []), made]);
    if (this.keeper) note("Not kept with the review: it is there until the page is left.");
    return made.lines;
  }

  /** Move the point that is not set yet. */
  hover(at: Point, frame: Frame, values: Values | null): void {
    if (!this.#open || this.#open.key !== keyOf(frame)) return;
    const { made } = this.#open;
    made.points = [...this.#fixed(), at];
    this.#loose = true;
    if (made.points.length === POINTS[made.shape]) made.lines = measure(made.shape, made.points, frame, values);
  }

  #loose = false;

  #fixed(): Point[] {
    const points = this.#open?.made.points ?? [];
    const fixed = this.#loose ? points.slice(0, -1) : points;
    this.#loose = false;
    return fixed;
  }

  /** Drop the open shape, or else the last one of the frame; returns whether there was one. */
  drop(frame: Frame, isOwn: boolean): boolean {
    if (this.#open) {
      this.#open = null;
      this.#loose = false;
      return true;
    }
    if (this.#kept.get(keyOf(frame))?.pop()) return true;
    const last = isOwn ? this.keeper?.of(frame).at(-1) : undefined;
    return last !== undefined && this.keeper?.remove([last.id]) === 1;
  }

  clear(): void {
    this.#kept.clear();
    this.#open = null;
    this.keeper?.remove();
  }

  /** Return all that is drawn on a frame. */
  #on(frame: Frame, values: Values | null, isOwn: boolean): Measurement[] {
    const key = keyOf(frame);
    const own = (isOwn && this.keeper?.of(frame)) || [];
    return [
      ...own.map((each) => ({ ...each, lines: linesOf(each, frame, values) })),
      ...(this.#kept.get(key) ?? []), ...(this.#open?.key === key ? [this.#open.made] : []),
    ];
  }

  /** Return the marks of a frame; `scale` is how many pixels of the screen a pixel of the image takes. */
  draw(frame: Frame, scale: number, isOwn: boolean): SVGElement[] {
    return this.#on(frame, null, isOwn).map((each) => svg("g", { class: "measurement" }, outline(each), ...dots(each, scale)));
  }

  /** Return the texts of a frame's measurements with the places where they belong, in the image. */
  labels(frame: Frame, values: Values | null, isOwn: boolean): { at: Point; lines: string[] }[] {
    return this.#on(frame, values, isOwn).filter(({ lines }) => lines.length).map(({ points, lines }) => ({ at: rightmost(points), lines }));
  }
}

/** Return what stands beside a kept measurement: what the server has measured, and at the detector where that is all there is. */
function linesOf({ shape, points, label, words }: Kept, frame: Frame, values: Values | null): string[] {
  const seen = measure(shape, points, frame, words.length ? null : values);
  const lines = words.length ? [...words, ...(frame.spacing.kind === "detector" && shape !== "angle" ? seen : [])] : seen;
  return label ? [label, ...lines] : lines;
}

/** Whether a shape has no extent: nothing can be measured of it. */
function isFlat({ shape, points }: Measurement): boolean {
  if (shape === "ellipse" || shape === "rectangle") return points[0]!.x === points[1]!.x || points[0]!.y === points[1]!.y;
  return points.slice(1).some((each, index) => each.x === points[index]!.x && each.y === points[index]!.y);
}

const rightmost = (points: Point[]): Point => points.reduce((best, each) => (each.x > best.x ? each : best));

function outline({ shape, points }: Measurement): SVGElement {
  const [a, b] = [points[0]!, points[1] ?? points[0]!];
  const box = { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(b.x - a.x), height: Math.abs(b.y - a.y) };
  if (shape === "rectangle") return svg("rect", { ...box, class: "measure-line" });
  if (shape === "ellipse") {
    return svg("ellipse", {
      cx: box.x + box.width / 2, cy: box.y + box.height / 2, rx: box.width / 2, ry: box.height / 2, class: "measure-line",
    });
  }
  return svg("polyline", { points: points.map(({ x, y }) => `${x},${y}`).join(" "), class: "measure-line" });
}

const dots = ({ points }: Measurement, scale: number): SVGElement[] =>
  points.map(({ x, y }) => svg("circle", { cx: x, cy: y, r: 3 / scale, class: "measure-dot" }));
