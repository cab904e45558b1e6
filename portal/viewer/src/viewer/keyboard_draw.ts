// Measuring and drawing with the keyboard alone: the arrow keys move a place (`Marking.moveCursor`), these act there.

import { $, announce } from "../shared/page.ts";
import type { Viewer } from "./viewer.ts";

const SIZE_STEP = 2; // pixels of the image

/** Set a point of a shape or an outline, or dab with the brush, where the keyboard points; it begins in the middle. */
export function setPoint(viewer: Viewer): boolean {
  const { marking } = viewer;
  if (!marking.cursor && !marking.moveCursor(0, 0)) return false;
  const { cursor, drawing } = marking;
  if (!cursor) return false;
  marking.press(viewer.active, cursor);
  if (!drawing) return true;
  drawing.release();
  const act = drawing.kind === "polygon" ? "Point" : drawing.isErasing ? "Erased" : "Painted";
  announce(`${act} at column ${Math.round(cursor.x)}, row ${Math.round(cursor.y)}`);
  return true;
}

/** Finish what is drawn; where nothing is drawn, set a point of what is measured. */
export function enter(viewer: Viewer): boolean {
  if (!viewer.marking.drawing) return setPoint(viewer);
  viewer.marking.finish();
  return true;
}

/** Make the brush larger or smaller. */
export function resizeBrush(viewer: Viewer, by: 1 | -1): boolean {
  if (viewer.marking.drawing?.kind !== "brush") return false;
  const slider = $<HTMLInputElement>("#brush-size");
  slider.value = String(slider.valueAsNumber + by * SIZE_STEP);
  slider.dispatchEvent(new Event("input"));
  announce(`Brush of ${slider.value} pixels`);
  viewer.draw();
  return true;
}

/** Let the brush erase, or paint again. */
export function toggleEraser(viewer: Viewer): boolean {
  if (viewer.marking.drawing?.kind !== "brush") return false;
  viewer.toggleEraser();
  announce(viewer.marking.drawing.isErasing ? "The brush erases" : "The brush paints");
  return true;
}
