// Places on an image, and how keys move them. Pure.

export interface Point {
  x: number;
  y: number;
}

const STEP = 1 / 100; // of the longer side: a hundred keys from edge to edge
const LARGE = 5;
const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

/** Return where an arrow key leads, within the image; null for other keys. */
export function moved(from: Point, key: string, large: boolean, size: { rows: number; columns: number }): Point | null {
  const arrow = ARROWS[key];
  if (!arrow) return null;
  const step = Math.max(1, Math.max(size.rows, size.columns) * STEP) * (large ? LARGE : 1);
  return {
    x: Math.min(size.columns, Math.max(0, from.x + arrow[0] * step)),
    y: Math.min(size.rows, Math.max(0, from.y + arrow[1] * step)),
  };
}

/** Tell whether two places are less than `pixels` apart on the screen. */
export function isNear(one: Point, other: Point, scale: Point, pixels: number): boolean {
  return Math.hypot((one.x - other.x) * scale.x, (one.y - other.y) * scale.y) < pixels;
}
