// Measurements on frames: placed point by point, with the pointer or with the keyboard.

import type { Frame } from "./dicom.ts";
import type { Point } from "./geometry.ts";
import { measure, POINTS, type Shape, type Values } from "./quantities.ts";
import { svg } from "./svg.ts";

interface Measurement {
  shape: Shape;
  points: Point[];
  lines: string[];
}

const keyOf = (frame: Frame): string => `${frame.sop}#${frame.frame}`;

export class Measurements {
  #kept = new Map<string, Measurement[]>();
  #open: { key: string; made: Measurement } | null = null;

  /** Whether a shape still waits for a point. */
  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** Set a point; returns what was measured once the shape is complete. */
  set(shape: Shape, at: Point, frame: Frame, values: Values | null): string[] | null {
    const key = keyOf(frame);
    if (!this.#open || this.#open.key !== key || this.#open.made.shape !== shape) {
      this.#open = { key, made: { shape, points: [at], lines: [] } };
    } else {
      this.#open.made.points = [...this.#fixed(), at];
    }
    const { made } = this.#open;
    if (made.points.length < POINTS[shape]) return null;
    made.lines = measure(shape, made.points, frame, values);
    this.#kept.set(key, [...(this.#kept.get(key) ?? []), made]);
    this.#open = null;
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
  drop(frame: Frame): boolean {
    if (this.#open) {
      this.#open = null;
      this.#loose = false;
      return true;
    }
    return Boolean(this.#kept.get(keyOf(frame))?.pop());
  }

  clear(): void {
    this.#kept.clear();
    this.#open = null;
  }

  /** Return the marks of a frame; `scale` is how many pixels of the screen a pixel of the image takes. */
  draw(frame: Frame, scale: number): SVGElement[] {
    const key = keyOf(frame);
    const all = [...(this.#kept.get(key) ?? []), ...(this.#open?.key === key ? [this.#open.made] : [])];
    return all.map((each) => svg("g", { class: "measurement" }, outline(each), ...dots(each, scale)));
  }

  /** Return the texts of a frame's measurements with the places where they belong, in the image. */
  labels(frame: Frame): { at: Point; lines: string[] }[] {
    const key = keyOf(frame);
    const all = [...(this.#kept.get(key) ?? []), ...(this.#open?.key === key ? [this.#open.made] : [])];
    return all.filter(({ lines }) => lines.length).map(({ points, lines }) => ({ at: rightmost(points), lines }));
  }
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
