// One image at a time, with outlines on it: drawn by pointer or by keys. Coordinates are columns and rows from the top
// left corner of the top left pixel, whatever the size on the screen.

import { announce } from "../shared/page.ts";
import { isNear, moved, type Point } from "./points.ts";

export interface Frame {
  sop_uid: string;
  frame: number;
  rows: number;
  columns: number;
}

export interface Region {
  sop_uid: string;
  frame: number;
  outline: Point[];
}

export interface Mark {
  sop_uid: string;
  frame: number;
  at: Point;
}

/** What lies on an image: an outline, or one place, in the style of its layer. */
export interface Shape {
  layer: string;
  region?: Region;
  mark?: Mark;
}

export type Mode = "look" | "outline" | "mark";

export interface Handlers {
  scrolled: (position: number) => void;
  outlined: (region: Region) => void;
  marked: (mark: Mark) => void;
  moded: (mode: Mode) => void;
}

const SVG = "http://www.w3.org/2000/svg";
const CLOSE_PIXELS = 10;

export class Surface {
  readonly #root: HTMLElement;
  readonly #image = document.createElement("img");
  readonly #layer = document.createElementNS(SVG, "svg");
  readonly #box = document.createElement("div");
  readonly #study: string;
  readonly #handlers: Handlers;
  #frames: Frame[] = [];
  #position = 0;
  #shapes: Shape[] = [];
  #mode: Mode = "look";
  #corners: Point[] = [];
  #cursor: Point = { x: 0, y: 0 };

  constructor(root: HTMLElement, study: string, handlers: Handlers) {
    this.#root = root;
    this.#study = study;
    this.#handlers = handlers;
    this.#box.className = "sheet";
    this.#layer.setAttribute("preserveAspectRatio", "none");
    this.#layer.setAttribute("aria-hidden", "true");
    this.#box.append(this.#image, this.#layer);
    root.append(this.#box);
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#layer.addEventListener("pointerdown", (event) => this.#press(event));
    this.#image.addEventListener("load", () => this.#fit());
    new ResizeObserver(() => this.#fit()).observe(root);
  }

  get frame(): Frame | undefined {
    return this.#frames[this.#position];
  }

  /** Show other images. */
  open(frames: Frame[], position = 0): void {
    this.#frames = frames;
    this.go(position);
  }

  go(position: number): void {
    this.#position = Math.min(this.#frames.length - 1, Math.max(0, position));
    const frame = this.frame;
    if (!frame) return;
    this.#corners = [];
    this.#cursor = { x: frame.columns / 2, y: frame.rows / 2 };
    this.#image.src = `/studies/${this.#study}/instances/${frame.sop_uid}/frames/${frame.frame}.png`;
    this.#image.alt = `Image ${this.#position + 1} of ${this.#frames.length}`;
    this.#layer.setAttribute("viewBox", `0 0 ${frame.columns} ${frame.rows}`);
    this.#draw();
    this.#handlers.scrolled(this.#position);
  }

  show(shapes: Shape[]): void {
    this.#shapes = shapes;
    this.#draw();
  }

  /** Begin to outline or to mark, or stop; the keys go to the image from then on. */
  set(mode: Mode): void {
    this.#mode = mode;
    this.#corners = [];
    this.#root.classList.toggle("is-drawing", mode !== "look");
    if (mode !== "look") this.#root.focus();
    if (mode === "outline") announce("Outline: arrow keys move, Space sets a corner, Enter closes, Escape gives up.");
    if (mode === "mark") announce("Mark: arrow keys move, Enter marks the place, Escape gives up.");
    this.#handlers.moded(mode);
    this.#draw();
  }

  get mode(): Mode {
    return this.#mode;
  }

  #key(event: KeyboardEvent): void {
    const frame = this.frame;
    if (!frame || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#handle(event, frame)) event.preventDefault();
  }

  #handle(event: KeyboardEvent, frame: Frame): boolean {
    const drawing = this.#mode !== "look";
    if (event.key === "PageDown" || (!drawing && event.key === "ArrowDown")) return this.#step(1);
    if (event.key === "PageUp" || (!drawing && event.key === "ArrowUp")) return this.#step(-1);
    if (!drawing) return false;
    const next = moved(this.#cursor, event.key, event.shiftKey, frame);
    if (next) {
      this.#cursor = next;
      this.#draw();
      return true;
    }
    if (event.key === "Escape") this.set("look");
    else if (event.key === "Backspace") this.#corners.pop();
    else if (event.key === " ") this.#place();
    else if (event.key === "Enter") this.#finish();
    else return false;
    this.#draw();
    return true;
  }

  #step(by: number): boolean {
    if (this.#frames.length > 1) this.go(this.#position + by);
    return true;
  }

  #wheel(event: WheelEvent): void {
    if (this.#frames.length < 2 || event.ctrlKey) return;
    event.preventDefault();
    this.go(this.#position + Math.sign(event.deltaY));
  }

  #press(event: PointerEvent): void {
    const frame = this.frame;
    if (!frame || this.#mode === "look") return;
    event.preventDefault();
    this.#root.focus();
    const box = this.#layer.getBoundingClientRect();
    const scale = { x: box.width / frame.columns, y: box.height / frame.rows };
    this.#cursor = { x: (event.clientX - box.left) / scale.x, y: (event.clientY - box.top) / scale.y };
    const first = this.#corners[0];
    if (first && this.#corners.length > 2 && isNear(first, this.#cursor, scale, CLOSE_PIXELS)) this.#finish();
    else this.#place();
    this.#draw();
  }

  #place(): void {
    if (this.#mode === "mark") {
      this.#finish();
      return;
    }
    this.#corners.push(this.#cursor);
    const { x, y } = this.#cursor;
    announce(`Corner ${this.#corners.length}: column ${Math.round(x)}, row ${Math.round(y)}`);
  }

  #finish(): void {
    const frame = this.frame;
    if (!frame) return;
    const place = { sop_uid: frame.sop_uid, frame: frame.frame };
    if (this.#mode === "mark") {
      this.#handlers.marked({ ...place, at: this.#cursor });
    } else if (this.#corners.length < 3) {
      announce("An outline has three corners at least.");
      return;
    } else {
      this.#handlers.outlined({ ...place, outline: this.#corners });
    }
    this.set("look");
  }

  #draw(): void {
    const frame = this.frame;
    if (!frame) return;
    const here = (place?: { sop_uid: string; frame: number }): boolean =>
      place?.sop_uid === frame.sop_uid && place.frame === frame.frame;
    const size = Math.max(frame.rows, frame.columns) / 60;
    const parts = this.#shapes.flatMap(({ layer, region, mark }) => [
      ...(region && here(region) ? [polygon(region.outline, layer)] : []),
      ...(mark && here(mark) ? [cross(mark.at, size, layer)] : []),
    ]);
    if (this.#mode !== "look") {
      if (this.#corners.length) parts.push(line([...this.#corners, this.#cursor]));
      parts.push(cross(this.#cursor, size, "cursor"));
    }
    this.#layer.replaceChildren(...parts);
  }

  #fit(): void {
    const { naturalWidth: width, naturalHeight: height } = this.#image;
    if (!width || !height) return;
    const scale = Math.min(this.#root.clientWidth / width, this.#root.clientHeight / height);
    this.#box.style.width = `${Math.floor(width * scale)}px`;
    this.#box.style.height = `${Math.floor(height * scale)}px`;
  }
}

function element(name: string, attributes: Record<string, string>, layer: string): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.setAttribute("class", `shape layer-${layer}`);
  return made;
}

const listed = (points: Point[]): string => points.map(({ x, y }) => `${x},${y}`).join(" ");
const polygon = (points: Point[], layer: string): SVGElement => element("polygon", { points: listed(points) }, layer);
const line = (points: Point[]): SVGElement => element("polyline", { points: listed(points) }, "pending");

function cross({ x, y }: Point, size: number, layer: string): SVGElement {
  return element("path", { d: `M${x - size} ${y}H${x + size}M${x} ${y - size}V${y + size}` }, layer);
}
