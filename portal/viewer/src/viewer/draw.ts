// Regions that a reader draws: a polygon (or a line drawn by hand), or a brush with an eraser.

import type { DrawnRegion } from "../shared/api.d.ts";
import type { Frame } from "./dicom.ts";
import type { Point } from "./geometry.ts";
import { outlinesOf, pathOf, signedArea, simplify } from "./outlines.ts";
import { svg } from "./svg.ts";

export type RegionKind = "polygon" | "brush";

/** In columns and rows from the top left corner of the top left pixel. */
export type { DrawnRegion };

const MOST_POINTS = 4096;
const MOST_HOLES = 64;
const keyOf = (frame: Frame): string => `${frame.sop}#${frame.frame}`;

interface Painted {
  frame: Frame;
  canvas: OffscreenCanvas;
  path: string | null;
}

export class Drawing {
  readonly kind: RegionKind;
  /** Radius of the brush, in pixels of the image. */
  radius = 8;
  isErasing = false;
  #polygon: { frame: Frame; points: Point[] } | null = null;
  #painted = new Map<string, Painted>();
  #last: Point | null = null;

  constructor(kind: RegionKind, start: { frame: Frame; regions: DrawnRegion[] }[] = []) {
    this.kind = kind;
    for (const { frame, regions } of start) this.#begin(frame, regions);
  }

  #begin(frame: Frame, regions: DrawnRegion[]): void {
    const own = regions.filter((each) => each.sop_uid === frame.sop && each.frame === frame.frame);
    if (this.kind === "polygon") {
      if (own[0]) this.#polygon = { frame, points: [...own[0].outline] };
      return;
    }
    const painted = this.#canvasOf(frame);
    for (const each of own) painted.canvas.getContext("2d")?.fill(new Path2D(pathOf(each)), "evenodd");
    painted.path = null;
  }

  /** Begin at a place: a point of the polygon, or a dab of the brush. */
  press(at: Point, frame: Frame): void {
    const inside = clamp(at, frame);
    if (this.kind === "polygon") {
      if (this.#polygon?.frame !== frame && this.#polygon && keyOf(this.#polygon.frame) !== keyOf(frame)) this.#polygon = null;
      this.#polygon ??= { frame, points: [] };
      this.#polygon.points.push(inside);
      return;
    }
    this.#last = at;
    this.#dab(at, frame);
  }

  /** Go on to a place, while pressed. */
  drag(at: Point, frame: Frame): void {
    if (this.kind === "polygon") {
      const last = this.#polygon?.points.at(-1);
      if (last && Math.hypot(at.x - last.x, at.y - last.y) >= 2) this.press(at, frame);
      return;
    }
    this.#dab(at, frame);
    this.#last = at;
  }

  release(): void {
    this.#last = null;
  }

  /** Take back the last point, or all that was painted on a frame. */
  undo(frame: Frame): void {
    if (this.kind === "polygon") this.#polygon?.points.pop();
    else this.#painted.delete(keyOf(frame));
  }

  #canvasOf(frame: Frame): Painted {
    const key = keyOf(frame);
    let painted = this.#painted.get(key);
    if (!painted) {
      painted = { frame, canvas: new OffscreenCanvas(frame.columns, frame.rows), path: null };
      this.#painted.set(key, painted);
    }
    return painted;
  }

  #dab(at: Point, frame: Frame): void {
    const painted = this.#canvasOf(frame);
    const context = painted.canvas.getContext("2d", { willReadFrequently: true });
    if (!context) return;
    context.globalCompositeOperation = this.isErasing ? "destination-out" : "source-over";
    context.lineWidth = this.radius * 2;
    context.lineCap = "round";
    const from = this.#last ?? at;
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(at.x + (from === at ? 1e-3 : 0), at.y);
    context.stroke();
    painted.path = null;
  }

  /** Return the marks of a frame. */
  draw(frame: Frame, scale: number): SVGElement[] {
    if (this.#polygon && keyOf(this.#polygon.frame) === keyOf(frame)) {
      const { points } = this.#polygon;
      const line = svg("polygon", { points: points.map(({ x, y }) => `${x},${y}`).join(" "), class: "draw-line" });
      return [line, ...points.map(({ x, y }) => svg("circle", { cx: x, cy: y, r: 3 / scale, class: "draw-dot" }))];
    }
    const painted = this.#painted.get(keyOf(frame));
    if (!painted) return [];
    painted.path ??= outlinesOf(maskOf(painted)).map(pathOf).join("");
    return [svg("path", { d: painted.path, class: "draw-line", "fill-rule": "evenodd" })];
  }

  /** Return what was drawn. */
  regions(): DrawnRegion[] {
    const polygon = this.#polygon;
    if (polygon) {
      const outline = few(polygon.points);
      return outline.length >= 3 && signedArea(outline) !== 0 ? [{ ...placeOf(polygon.frame), outline, holes: [] }] : [];
    }
    return [...this.#painted.values()].flatMap((painted) =>
      outlinesOf(maskOf(painted)).map(({ outline, holes }) => ({
        ...placeOf(painted.frame),
        outline: few(outline),
        holes: holes.sort((a, b) => signedArea(a) - signedArea(b)).slice(0, MOST_HOLES).map(few),
      })));
  }
}

const placeOf = (frame: Frame): { series_uid: string; sop_uid: string; frame: number } =>
  ({ series_uid: frame.series, sop_uid: frame.sop, frame: frame.frame });

/** Return the place in a frame that is nearest to a point. */
export const clamp = ({ x, y }: Point, frame: Frame): Point =>
  ({ x: Math.min(Math.max(0, x), frame.columns), y: Math.min(Math.max(0, y), frame.rows) });

function few(points: Point[]): Point[] {
  let kept = points;
  for (let tolerance = 0.5; kept.length > MOST_POINTS; tolerance *= 2) kept = simplify(points, tolerance);
  return kept;
}

function maskOf({ frame, canvas }: Painted): { columns: number; rows: number; data: Uint8Array } {
  const pixels = canvas.getContext("2d")?.getImageData(0, 0, frame.columns, frame.rows).data ?? new Uint8ClampedArray();
  const data = new Uint8Array(frame.columns * frame.rows);
  for (let index = 0; index < data.length; index++) data[index] = Number(pixels[index * 4 + 3]! > 127);
  return { columns: frame.columns, rows: frame.rows, data };
}
