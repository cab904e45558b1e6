// What was measured, as a list: where it is, what it is called, and how it is taken out again.

import { announce } from "../shared/page.ts";
import type { Frame } from "../viewer/dicom.ts";
import type { Point } from "../viewer/geometry.ts";
import type { Keeper, Kept } from "../viewer/measure.ts";
import { note } from "../viewer/note.ts";
import type { Shape } from "../viewer/quantities.ts";
import type { Viewer } from "../viewer/viewer.ts";
import { button, h, replace } from "./dom.ts";
import type { ReviewRecord } from "./record.ts";
import * as state from "./state.ts";
import type { Measured } from "./types.ts";

const MOST_LABEL = 64;
const MOST = 100;
const NAMES: Record<Shape, string> = { length: "Length", angle: "Angle", ellipse: "Ellipse", rectangle: "Rectangle" };

const nameOf = (each: Measured): string => `${NAMES[each.shape]}${each.words.length > 1 ? ":" : ""} ${each.words.join(", ") || "…"}`;

/** Return a measurement in a line. */
export const measuredLine = (each: Measured): string => (each.label ? `${each.label}: ${nameOf(each)}` : nameOf(each));

export class MeasuredList implements Keeper {
  readonly element = h("div", { class: "review-part" });
  #record: ReviewRecord;
  #viewer: () => Viewer | null;
  #focus: (key: string) => void;

  constructor(record: ReviewRecord, viewer: () => Viewer | null, focus: (key: string) => void) {
    this.#record = record;
    this.#viewer = viewer;
    this.#focus = focus;
  }

  get #all(): readonly Measured[] {
    return this.#record.content.measurements;
  }

  // --- for the viewer ---

  of(frame: Frame): Kept[] {
    return this.#all.filter((each) => each.sop_uid === frame.sop && each.frame === frame.frame)
      .map(({ measurement_id: id, shape, points, label, words }) => ({ id, shape, points, label, words }));
  }

  add(shape: Shape, points: Point[], frame: Frame): boolean {
    if (!this.#record.canWrite || this.#all.length >= MOST) return false;
    const made: Measured = {
      measurement_id: state.newUid(), shape, series_uid: frame.series, sop_uid: frame.sop, frame: frame.frame,
      points: points.map(({ x, y }) => ({ x, y })), values: [], label: "", words: [],
    };
    this.#record.edit(state.withMeasured(this.#record.content, made));
    return true;
  }

  remove(ids = this.#all.map((each) => each.measurement_id)): number {
    if (!this.#record.canWrite || !ids.length) return 0;
    this.#record.edit(state.withoutMeasured(this.#record.content, new Set(ids)));
    return ids.length;
  }

  // --- the list ---

  show(): void {
    replace(this.element, this.#all.length > 0 && h("section", { class: "card review-card measured", "aria-labelledby": "measured-title" },
      h("h3", { id: "measured-title" }, "Measurements"),
      h("ul", {}, ...this.#all.map((each) => this.#item(each)))));
  }

  #item(each: Measured): HTMLElement {
    const { canWrite } = this.#record;
    const id = each.measurement_id;
    const name = nameOf(each);
    const item = h("li", { "data-measurement": id },
      button(name, () => void this.#go(each), { class: "place", "data-key": `${id}/place`, title: "Show on the image" }),
      canWrite ? this.#label(each) : each.label && h("span", { class: "prose" }, each.label),
      canWrite && button("Remove", () => this.#take(id), { class: "quiet", "data-key": `${id}/remove`, "aria-label": `Remove ${name}`, "aria-keyshortcuts": "Delete" }));
    item.addEventListener("keydown", (event) => {
      if (event.key !== "Delete" || !canWrite || event.target instanceof HTMLInputElement) return;
      event.preventDefault(); // the viewer's own Delete takes the last one of the image
      this.#take(id);
    });
    return item;
  }

  async #go(each: Measured): Promise<void> {
    document.querySelector(".stage")?.scrollIntoView({ block: "nearest" }); // on a phone it may be far up
    if ((await this.#viewer()?.show(each.sop_uid, each.frame)) === false) note("The image that this was measured on is not shown any more");
  }

  #label(each: Measured): HTMLElement {
    const id = each.measurement_id;
    const field = h("input", {
      type: "text", maxlength: String(MOST_LABEL), autocomplete: "off", "data-key": `${id}/label`, placeholder: "Label",
      "aria-label": `Label of ${nameOf(each)}`,
    });
    field.value = each.label;
    field.addEventListener("input", () => {
      const now = this.#all.find((one) => one.measurement_id === id);
      if (!now) return;
      this.#record.type(state.withMeasured(this.#record.content, { ...now, label: field.value }), `${id}/label`);
      this.#viewer()?.draw();
    });
    return field;
  }

  /** Take one out; the focus goes to the next. */
  #take(id: string): void {
    const at = this.#all.findIndex((each) => each.measurement_id === id);
    this.remove([id]);
    announce("Measurement removed");
    const next = this.#all[Math.min(at, this.#all.length - 1)];
    this.#focus(next ? `${next.measurement_id}/place` : "add");
  }
}
