// The keys of the viewer, as the help of the page lists them.

import { onKeys } from "../shared/page.ts";
import type { Tool } from "./input.ts";
import { enter, resizeBrush, setPoint, toggleEraser } from "./keyboard_draw.ts";
import type { Viewer } from "./viewer.ts";

const TOOLS: Record<string, Tool> = {
  v: "window", s: "scroll", h: "pan", z: "zoom", l: "length", t: "angle", e: "ellipse", b: "rectangle",
};
const FAR = 10;

const isControl = (event: KeyboardEvent): boolean => event.target instanceof Element && event.target.matches("input");
const isButton = (event: KeyboardEvent): boolean => event.target instanceof Element && event.target.closest("button, a, summary") !== null;
const isPlane = (event: KeyboardEvent): boolean => event.target instanceof Element && event.target.closest(".pane-plane") !== null;

export function bindKeys(viewer: Viewer): void {
  const digits = Object.fromEntries([1, 2, 3, 4, 5].map((digit) => [String(digit), () => viewer.choosePreset(digit - 1)]));
  const tools = Object.fromEntries(Object.entries(TOOLS).map(([key, tool]) => [key, () => viewer.choose(tool)]));
  const arrow = (x: number, y: number) => (event: KeyboardEvent) => {
    if (isControl(event) || isPlane(event)) return false;
    const far = event.shiftKey ? FAR : 1;
    if (viewer.marking.moveCursor(x * far, y * far)) return true;
    if (event.shiftKey) return adjust(viewer, x, y);
    return y ? viewer.scroll(y) : viewer.stepSeries(x);
  };
  const scroll = (by: number) => (event: KeyboardEvent) => !isControl(event) && !isPlane(event) && viewer.scroll(by);
  onKeys({
    ...digits,
    ...tools,
    ArrowDown: arrow(0, 1),
    ArrowUp: arrow(0, -1),
    ArrowRight: arrow(1, 0),
    ArrowLeft: arrow(-1, 0),
    // The arrow keys are taken while something is drawn.
    PageDown: (event) => scroll(viewer.marking.drawing ? 1 : FAR)(event),
    PageUp: (event) => scroll(viewer.marking.drawing ? -1 : -FAR)(event),
    Home: scroll(-Infinity),
    End: scroll(Infinity),
    o: () => void viewer.overlays.toggle(),
    "[": () => viewer.overlays.setOpacity(-10),
    "]": () => viewer.overlays.setOpacity(10),
    i: () => viewer.active.toggleInvert(),
    f: () => viewer.active.flip(),
    u: () => viewer.active.turn(90),
    "+": () => viewer.active.zoomBy(1.25),
    "-": () => viewer.active.zoomBy(0.8),
    0: () => viewer.active.fit(),
    "\\": () => viewer.active.reset(),
    p: () => void viewer.togglePlanes(),
    c: () => void viewer.toggleCompare(),
    " ": (event) => (isButton(event) ? false : setPoint(viewer) || viewer.play()),
    Enter: (event) => (isButton(event) ? false : enter(viewer)),
    ",": () => resizeBrush(viewer, -1),
    ".": () => resizeBrush(viewer, 1),
    x: () => toggleEraser(viewer),
    Delete: () => viewer.marking.drop(),
    Backspace: () => viewer.marking.drop(),
    Escape: () => viewer.escape(),
  });
}

/** Shift and an arrow do what dragging with the chosen tool does. */
function adjust(viewer: Viewer, x: number, y: number): boolean {
  const { active, tool } = viewer;
  if (tool === "pan") active.panBy(x * 20, y * 20);
  else if (tool === "zoom") active.zoomBy(y > 0 || x < 0 ? 0.9 : 1.1);
  else if (active.window) {
    const step = active.frame?.isFine ? active.window.width / 20 : Math.max(1, active.window.width / 20);
    active.setWindow({ center: active.window.center + y * step, width: active.window.width + x * step });
  } else return false;
  return true;
}
