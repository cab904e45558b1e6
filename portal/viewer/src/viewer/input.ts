// Pointers on a pane: the chosen tool on the first button, pan on the middle one, zoom on the other, two fingers for both.

import type { Point } from "./geometry.ts";
import type { Pane } from "./pane.ts";

export type Tool = "window" | "scroll" | "pan" | "zoom" | "length" | "angle" | "ellipse" | "rectangle" | "region";

/** What the viewer does with places in the image. */
export interface Hand {
  tool: () => Tool;
  activate: (pane: Pane) => void;
  press: (pane: Pane, at: Point) => void;
  drag: (pane: Pane, at: Point, pressed: boolean) => void;
  release: (pane: Pane) => void;
  scroll: (pane: Pane, by: number) => void;
}

const PIXELS_PER_IMAGE = 12;
const isMark = (tool: Tool): boolean => !["window", "scroll", "pan", "zoom"].includes(tool);

export function wire(pane: Pane, hand: Hand): void {
  const { element } = pane;
  const down = new Map<number, PointerEvent>();
  let tool: Tool = "window";
  let left = 0;

  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("focus", () => hand.activate(pane));
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    hand.activate(pane);
    if (event.ctrlKey) pane.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1);
    else hand.scroll(pane, Math.sign(event.deltaY));
  }, { passive: false });

  element.addEventListener("pointerdown", (event) => {
    hand.activate(pane);
    element.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    left = 0;
    tool = event.button === 1 || event.shiftKey ? "pan" : event.button === 2 ? "zoom" : hand.tool();
    const at = pane.at(event);
    if (down.size === 1 && at && isMark(tool)) hand.press(pane, at);
  });

  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    const at = pane.at(event);
    if (!before) {
      if (at && isMark(hand.tool())) hand.drag(pane, at, false);
      return;
    }
    if (down.size === 2) pinch(event);
    else if (isMark(tool)) { if (at) hand.drag(pane, at, true); }
    else move(event.clientX - before.clientX, event.clientY - before.clientY);
    down.set(event.pointerId, event);
  });

  for (const kind of ["pointerup", "pointercancel"] as const) {
    element.addEventListener(kind, (event) => {
      down.delete(event.pointerId);
      if (isMark(tool)) hand.release(pane);
    });
  }

  function move(x: number, y: number): void {
    if (tool === "pan") pane.panBy(x, y);
    else if (tool === "zoom") pane.zoomBy(Math.exp(-y / 200));
    else if (tool === "scroll") {
      left += y;
      const by = Math.trunc(left / PIXELS_PER_IMAGE);
      left -= by * PIXELS_PER_IMAGE;
      if (by) hand.scroll(pane, by);
    } else if (pane.window) {
      // In proportion to the window itself, so that a narrow one can be set as finely as a wide one.
      const { center, width } = pane.window;
      const step = pane.frame?.isFine ? width / 300 : Math.max(0.2, width / 300);
      pane.setWindow({ center: center + y * step, width: width + x * step });
    }
  }

  function pinch(event: PointerEvent): void {
    const before = down.get(event.pointerId)!;
    const other = [...down.values()].find((each) => each.pointerId !== event.pointerId)!;
    const span = (each: PointerEvent): number => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
    if (span(before) > 0) pane.zoomBy(span(event) / span(before));
    pane.panBy((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
  }
}
