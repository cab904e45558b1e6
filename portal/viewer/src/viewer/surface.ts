// All marks of one pane, drawn anew when something changes.

import { announce } from "../shared/page.ts";
import type { Frame } from "./dicom.ts";
import type { Drawing, DrawnRegion } from "./draw.ts";
import { apply, type Point } from "./geometry.ts";
import type { Measurements } from "./measure.ts";
import { pathOf } from "./outlines.ts";
import type { Pane } from "./pane.ts";
import { svg } from "./svg.ts";

interface Marks {
  layers: Promise<SVGElement[]>;
  opacity: number;
  measurements: Measurements;
  /** Whether the pane shows images that a review is about. */
  isOwn: boolean;
  /** What the reader has drawn and is not drawing now. */
  own: DrawnRegion[];
  drawing: Drawing | null;
  cursor: Point | null;
}

export class Surface {
  #pane: Pane;
  #layers = svg("g", { class: "layers" });
  #own = svg("g");
  #labels = svg("g", { class: "labels" });
  #turn = 0;
  #frame: Frame | null = null;

  constructor(pane: Pane) {
    this.#pane = pane;
    pane.marks.append(this.#layers, this.#own);
    pane.marks.parentElement?.append(this.#labels);
  }

  draw({ layers, opacity, measurements, isOwn, own, drawing, cursor }: Marks): void {
    const { frame, toCanvas } = this.#pane;
    const turn = ++this.#turn;
    // Marks of another image never wait on this one for its own to come.
    if (frame !== this.#frame) this.#layers.replaceChildren();
    this.#frame = frame;
    layers.then(
      (marks) => { if (turn === this.#turn) this.#layers.replaceChildren(...marks); },
      (error: unknown) => {
        if (turn === this.#turn) announce(error instanceof Error ? error.message : "The overlay cannot be loaded");
      },
    );
    this.#layers.setAttribute("opacity", String(opacity));
    if (!frame || !toCanvas) {
      this.#own.replaceChildren();
      this.#labels.replaceChildren();
      return;
    }
    const scale = Math.hypot(toCanvas.a, toCanvas.b);
    const crosshair = cursor ? [svg("path", {
      d: `M${cursor.x - 12 / scale} ${cursor.y}h${24 / scale}M${cursor.x} ${cursor.y - 12 / scale}v${24 / scale}`, class: "cursor",
    }), ...(drawing?.kind === "brush" ? [svg("circle", { cx: cursor.x, cy: cursor.y, r: drawing.radius, class: "cursor" })] : [])] : [];
    const regions = own.filter((each) => each.sop_uid === frame.sop && each.frame === frame.frame)
      .map((each) => svg("path", { d: pathOf(each), class: "draw-line", "fill-rule": "evenodd" }));
    this.#own.replaceChildren(...regions, ...measurements.draw(frame, scale, isOwn), ...(drawing?.draw(frame, scale) ?? []), ...crosshair);
    this.#labels.replaceChildren(...measurements.labels(frame, this.#pane.values, isOwn).map(({ at, lines }) => {
      const place = apply(toCanvas, at);
      return svg("text", { x: place.x + 8, y: place.y, class: "measure-text" }, ...lines.map((line, index) => {
        const part = svg("tspan", { x: place.x + 8, dy: index ? "1.25em" : 0 });
        part.textContent = line;
        return part;
      }));
    }));
  }
}
