// What the reader sets into images: regions and measurements, with the pointer or with the keyboard.

import { $, announce } from "../shared/page.ts";
import { Drawing, type DrawnRegion, type RegionKind } from "./draw.ts";
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
  choose: (tool: Tool) => void;
  draw: () => void;
}

const isShape = (tool: Tool): tool is Shape => tool in POINTS;

export class Marking {
  readonly measurements = new Measurements();
  drawing: Drawing | null = null;
  /** Where the keyboard points, while a tool sets points. */
  cursor: Point | null = null;
  /** Whether it was moved since it last set a point. */
  hasMoved = false;
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
    announce(kind === "brush" ? "Paint the region; Enter finishes, Escape gives up." : "Set the points of the region; Enter finishes, Escape gives up.");
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
      const lines = this.measurements.set(tool, at, frame, pane.values);
      if (lines) announce(lines.join(", "));
      this.#pressedAt = at;
    }
    this.#stage.draw();
  }

  drag(pane: Pane, at: Point, pressed: boolean): void {
    const { frame } = pane;
    if (!frame) return;
    if (this.drawing && pressed && pane === this.#stage.main) this.drawing.drag(at, frame);
    else if (!this.drawing) this.measurements.hover(at, frame, pane.values);
    this.#hovered = at;
    this.#stage.draw();
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
    const { frame } = this.#stage.active;
    if (this.drawing && frame) this.drawing.undo(frame);
    else if (frame && this.measurements.drop(frame)) announce("Measurement removed");
    this.#stage.draw();
  }

  clear(): void {
    this.measurements.clear();
    announce("All measurements removed");
    this.#stage.draw();
  }

  /** Paint or erase; returns which. */
  toggleEraser(): boolean {
    if (this.drawing) this.drawing.isErasing = !this.drawing.isErasing;
    return this.drawing?.isErasing ?? false;
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
    this.hasMoved = true;
    if (!this.drawing) this.measurements.hover(this.cursor, frame, active.values);
    announce(`Column ${Math.round(this.cursor.x)}, row ${Math.round(this.cursor.y)}`);
    this.#stage.draw();
    return true;
  }

  /** Set a point where the keyboard points; while a region is drawn, an Enter without a move finishes it. */
  enter(): boolean {
    if (this.drawing && !this.hasMoved) {
      this.finish();
      return true;
    }
    if (!this.cursor) return false;
    this.press(this.#stage.active, this.cursor);
    this.drawing?.release();
    this.hasMoved = false; // a second Enter in the same place finishes
    return true;
  }
}
