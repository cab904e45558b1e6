// Outlines of painted masks. Coordinates are columns and rows from the top left corner of the top left pixel.

import type { Point } from "./geometry.ts";

export interface Outline {
  outline: Point[];
  holes: Point[][];
}

/** A mask: 1 inside, row by row. */
export interface Mask {
  columns: number;
  rows: number;
  data: Uint8Array;
}

const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]] as const; // east, south, west, north

/** Return the outlines of a mask, along the edges of its pixels; pixels that touch at a corner stay apart. */
export function outlinesOf(mask: Mask): Outline[] {
  const loops = loopsOf(mask);
  const outer = loops.filter((loop) => signedArea(loop) > 0).map((outline) => ({ outline, holes: [] as Point[][] }));
  for (const hole of loops.filter((loop) => signedArea(loop) < 0)) {
    // Just inside of the hole: holes turn the other way, so this is to the left of its first edge.
    const inside = besides(hole);
    const around = outer.filter(({ outline }) => contains(outline, inside));
    around.sort((one, other) => signedArea(one.outline) - signedArea(other.outline));
    around[0]?.holes.push(hole);
  }
  return outer;
}

function loopsOf({ columns, rows, data }: Mask): Point[][] {
  const filled = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < columns && y < rows && data[y * columns + x] === 1;
  const width = columns + 1;
  const edges = new Uint8Array(width * (rows + 1)); // bits of the directions in which an edge leaves a corner
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (data[y * columns + x] !== 1) continue;
      if (!filled(x, y - 1)) edges[y * width + x]! |= 1;
      if (!filled(x + 1, y)) edges[y * width + x + 1]! |= 2;
      if (!filled(x, y + 1)) edges[(y + 1) * width + x + 1]! |= 4;
      if (!filled(x - 1, y)) edges[(y + 1) * width + x]! |= 8;
    }
  }
  const loops: Point[][] = [];
  for (let start = 0; start < edges.length; start++) {
    while (edges[start]) loops.push(follow(edges, width, start));
  }
  return loops;
}

function follow(edges: Uint8Array, width: number, start: number): Point[] {
  const loop: Point[] = [];
  let at = start;
  let direction = -1;
  do {
    const choices = edges[at]!;
    // A right turn first, where two pixels touch at this corner.
    const turns = direction < 0 ? [0, 1, 2, 3] : [direction + 1, direction, direction + 3].map((each) => each % 4);
    const next = turns.find((each) => choices & (1 << each))!;
    if (next !== direction) loop.push({ x: at % width, y: Math.floor(at / width) });
    edges[at] = choices & ~(1 << next);
    const [dx, dy] = STEPS[next]!;
    at += dx + dy * width;
    direction = next;
  } while (at !== start);
  return loop;
}

function besides(loop: Point[]): Point {
  const [a, b] = [loop[0]!, loop[1]!];
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  const [dx, dy] = [(b.x - a.x) / length, (b.y - a.y) / length];
  return { x: a.x + 0.5 * dx + 0.5 * dy, y: a.y + 0.5 * dy - 0.5 * dx };
}

/** Return twice the area, positive where the points go clockwise on the screen. */
export function signedArea(points: Point[]): number {
  return points.reduce((sum, p, index) => {
    const next = points[(index + 1) % points.length]!;
    return sum + p.x * next.y - next.x * p.y;
  }, 0);
}

export function contains(points: Point[], { x, y }: Point): boolean {
  return points.reduce((inside, p, index) => {
    const q = points[(index + 1) % points.length]!;
    const crosses = p.y > y !== q.y > y && x < ((q.x - p.x) * (y - p.y)) / (q.y - p.y) + p.x;
    return crosses ? !inside : inside;
  }, false);
}

/** Return the points of an outline that matter by more than a tolerance (Douglas and Peucker, 1973). */
export function simplify(points: Point[], tolerance: number): Point[] {
  if (points.length <= 4) return points;
  const half = Math.floor(points.length / 2);
  const kept = [...chain([...points.slice(0, half + 1)], tolerance), ...chain([...points.slice(half), points[0]!], tolerance)];
  return kept;
}

function chain(points: Point[], tolerance: number): Point[] {
  const [a, b] = [points[0]!, points.at(-1)!];
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  let worst = 0;
  let at = 0;
  points.forEach((p, index) => {
    const distance = Math.abs((b.x - a.x) * (a.y - p.y) - (a.x - p.x) * (b.y - a.y)) / length;
    if (distance > worst) [worst, at] = [distance, index];
  });
  if (worst <= tolerance) return [a]; // the end begins the next chain
  return [...chain(points.slice(0, at + 1), tolerance), ...chain(points.slice(at), tolerance)];
}

/** Return an SVG path of an outline and its holes, to be filled by the even-odd rule. */
export function pathOf({ outline, holes }: Outline): string {
  return [outline, ...holes].map((loop) => `M${loop.map(({ x, y }) => `${x} ${y}`).join("L")}Z`).join("");
}
