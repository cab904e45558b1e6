// What the reader sets into images: regions and measurements, with the pointer or with the keyboard.

import { $, announce } from "../shared/page.ts";
import type { Frame } from "./dicom.ts";
import { clamp, Drawing, type DrawnRegion, type RegionKind } from "./draw.ts";
import type { Point } from "./geometry.ts";
import type { Tool } from "./input.ts";
import { Measurements } from "./measure.ts";
import type { Pane } from "./pane.ts";
import { POINTS, type Shape } from "./quantities.ts";

/** What marking needs of the viewer. */
interface Stage {
  readonly main: Pane;
  readonly active: Pane;
  readonly tool: Tool;
  /** Whether a pane shows images that a review is about. */
  isOwn: (pane: Pane) => boolean;
  choose: (tool: Tool) => void;
  draw: () => void;
}

const isShape = (tool: Tool): tool is Shape => tool in POINTS;

export class Marking {
  readonly measurements = new Measurements();
  drawing: Drawing | null = null;
  /** Where the keyboard points, while a tool sets points. */
  cursor: Point | null = null;
  #stage: Stage;
  #finish: ((regions: DrawnRegion[]) => void) | null = null;
  #pressedAt: Point | null = null;
  #hovered: Point | null = null;

  constructor(stage: Stage) {
    this.#stage = stage;
    $("#brush-size").addEventListener("input", (event) => {
      if (this.drawing) this.drawing.radius = Number((event.target as HTMLInputElement).value);
    });
  }

  /** Let the reader draw; resolves with what was drawn, empty where they gave up. `start` is what to begin with. */
  drawRegion(kind: RegionKind, start: DrawnRegion[]): Promise<DrawnRegion[]> {
    this.cancel();
    const { main } = this.#stage;
    const known = (main.stack?.frames ?? []).filter((frame) =>
      start.some((each) => each.sop_uid === frame.sop && each.frame === frame.frame));
    this.drawing = new Drawing(kind, known.map((frame) => ({ frame, regions: start })));
    this.#stage.choose("region");
    $("#draw-tools").hidden = false;
    $("#brush-tools").hidden = kind !== "brush";
    this.drawing.radius = Number($<HTMLInputElement>("#brush-size").value);
    main.element.focus();
    announce(`${kind === "brush" ? "Paint" : "Outline"} the region: arrow keys move, Space ${kind === "brush" ? "paints" : "sets a point"}, Enter finishes, Escape gives up.`);
    return new Promise((resolve) => { this.#finish = resolve; });
  }

  /** Another tool was chosen. */
  chosen(tool: Tool): void {
    if (this.drawing && tool !== "region") this.cancel();
    this.cursor = null;
  }

  press(pane: Pane, at: Point): void {
    const { frame } = pane;
    const { tool } = this.#stage;
    if (!frame) return;
    if (this.drawing) {
      if (pane === this.#stage.main) this.drawing.press(at, frame);
    } else if (isShape(tool)) {
      const place = this.#place(pane, at, frame);
      const lines = this.measurements.set(tool, place, frame, pane.values, this.#stage.isOwn(pane));
      if (lines) announce(lines.join(", "));
      this.#pressedAt = at;
    }
    this.#stage.draw();
  }

  drag(pane: Pane, at: Point, pressed: boolean): void {
    const { frame } = pane;
    if (!frame) return;
    if (this.drawing && pressed && pane === this.#stage.main) this.drawing.drag(at, frame);
    else if (!this.drawing) this.measurements.hover(this.#place(pane, at, frame), frame, pane.values);
    this.#hovered = at;
    this.#stage.draw();
  }

  /** Return where a point is set: what a review keeps lies within its image. */
  #place(pane: Pane, at: Point, frame: Frame): Point {
    return this.measurements.keeper && this.#stage.isOwn(pane) ? clamp(at, frame) : at;
  }

  /** A shape may also be drawn in one pull: where the pointer was moved, letting go sets the next point. */
  release(pane: Pane): void {
    this.drawing?.release();
    const [from, to] = [this.#pressedAt, this.#hovered];
    this.#pressedAt = this.#hovered = null;
    if (from && to && this.measurements.isOpen && Math.hypot(to.x - from.x, to.y - from.y) > 3) this.press(pane, to);
    this.#stage.draw();
  }

  /** Take the last point or measurement back. */
  drop(): void {
    const { active } = this.#stage;
    const { frame } = active;
    if (this.drawing && frame) this.drawing.undo(frame);
    else if (frame && this.measurements.drop(frame, this.#stage.isOwn(active))) announce("Measurement removed");
    this.#stage.draw();
  }

  clear(): void {
    this.measurements.clear();
    announce("All measurements removed");
    this.#stage.draw();
  }

  /** Paint or erase. */
  toggleEraser(): void {
    if (this.drawing) this.drawing.isErasing = !this.drawing.isErasing;
  }

  finish(): void {
    const regions = this.drawing?.regions() ?? [];
    this.#end(regions);
    announce(regions.length ? "Region drawn" : "Nothing was drawn");
  }

  cancel(): void {
    if (this.drawing) this.#end([]);
  }

  #end(regions: DrawnRegion[]): void {
    const finish = this.#finish;
    this.drawing = null;
    this.#finish = null;
    $("#draw-tools").hidden = true;
    this.#stage.choose("window");
    finish?.(regions);
  }

  /** Move the keyboard's place in the image; only while a tool sets points. */
  moveCursor(x: number, y: number): boolean {
    const { active, tool } = this.#stage;
    const { frame } = active;
    if (!frame || !(this.drawing || isShape(tool))) return false;
    const from = this.cursor ?? { x: frame.columns / 2, y: frame.rows / 2 };
    this.cursor = { x: Math.min(Math.max(0, from.x + x), frame.columns), y: Math.min(Math.max(0, from.y + y), frame.rows) };
    if (!this.drawing) this.measurements.hover(this.cursor, frame, active.values);
    announce(`Column ${Math.round(this.cursor.x)}, row ${Math.round(this.cursor.y)}`);
    this.#stage.draw();
    return true;
  }
}
