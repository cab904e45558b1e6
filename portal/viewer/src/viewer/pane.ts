// One stack on the screen: its pixels by Cornerstone, everything else in the DOM above them.

import { Enums, type RenderingEngine, type StackViewport, type Types, utilities } from "@cornerstonejs/core";

import type { Frame, Window } from "./dicom.ts";
import type { Affine, Point } from "./geometry.ts";
import { apply, edges, invert, scaleBar } from "./geometry.ts";
import { Ahead, fetchImage } from "./loader.ts";
import type { Stack } from "./stack.ts";
import { narrowest, type Preset, presetsOf } from "./windows.ts";

const SMALLEST_ZOOM = 0.2;
const LARGEST_ZOOM = 40;

const MARKUP = `
<div class="pixels"></div>
<svg class="marks" aria-hidden="true" focusable="false"><g data-marks></g></svg>
<p class="corner corner-title" data-title></p>
<p class="corner corner-state"><span data-place aria-live="polite"></span><span data-window aria-live="polite"></span><span data-zoom></span></p>
<span class="edge edge-top" data-edge="top"></span><span class="edge edge-right" data-edge="right"></span>
<span class="edge edge-bottom" data-edge="bottom"></span><span class="edge edge-left" data-edge="left"></span>
<div class="ruler" data-ruler hidden><span></span></div>
<p class="problem" role="alert" data-problem hidden></p>`;

const STEP = 1e-3;

export class Pane {
  readonly element: HTMLElement;
  readonly marks: SVGGElement;
  stack: Stack | null = null;
  index = 0;
  isInverted = false;
  window: Window | null = null;
  preset: Preset | null = null;
  /** Called after whatever changes what is seen. */
  onChange: () => void = () => undefined;
  /** Called after the image has moved under the marks. */
  onMove: () => void = () => undefined;
  #transform = "";
  #viewport: StackViewport;
  #engine: RenderingEngine;
  #id: string;
  #turn = 0;
  #ahead = new Ahead();
  #loaded: Frame | null = null;
  /** What the library shows one of: not before it is told is a position one of `stack`. */
  #displayed: Stack | null = null;
  #kept: Types.ViewPresentation | null = null;
  #image: Types.IImage | null = null;
  #resized: ResizeObserver;

  constructor(engine: RenderingEngine, id: string, room: HTMLElement, label: string) {
    this.element = document.createElement("div");
    this.element.className = "pane";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", label);
    this.element.innerHTML = MARKUP;
    room.append(this.element);
    this.#engine = engine;
    this.#id = id;
    const pixels = this.part<HTMLDivElement>(".pixels");
    engine.enableElement({ viewportId: id, type: Enums.ViewportType.STACK, element: pixels, defaultOptions: { background: [0, 0, 0] } });
    this.#viewport = engine.getViewport(id) as unknown as StackViewport;
    this.marks = this.part("[data-marks]");
    for (const kind of [Enums.Events.CAMERA_MODIFIED, Enums.Events.IMAGE_RENDERED]) {
      pixels.addEventListener(kind, () => this.#reflect());
    }
    this.#resized = new ResizeObserver(() => this.#resize());
    this.#resized.observe(this.element);
  }

  part<E extends Element>(selector: string): E {
    return this.element.querySelector(selector) as E;
  }

  /** The frame that is on the screen, or null while there is none. */
  get frame(): Frame | null {
    return this.#loaded;
  }

  /** The pixels of that frame, rescaled to its unit. */
  get values(): ArrayLike<number> | null {
    return this.#image?.getPixelData() ?? null;
  }

  get zoom(): number {
    return this.#viewport.getZoom();
  }

  close(): void {
    this.#resized.disconnect();
    this.#ahead.stop();
    this.#engine.disableElement(this.#id);
    this.element.remove();
  }

  /** What fits before still fits afterwards; what the reader has moved or enlarged stays where it is. */
  #resize(): void {
    const isFitted = Math.abs(this.zoom - 1) < 0.01 && Math.hypot(...this.#viewport.getPan()) < 1;
    this.#engine.resize(true, true);
    if (isFitted && this.#loaded) this.fit();
    this.#reflect();
  }

  /** Show a stack from one of its frames on. */
  async open(stack: Stack, index = 0): Promise<void> {
    this.stack = stack;
    this.preset = presetsOf(stack)[0] ?? null;
    this.window = null;
    this.isInverted = false;
    this.index = Math.min(Math.max(0, index), stack.ids.length - 1);
    this.#loaded = null;
    this.part("[data-title]").textContent = stack.title;
    this.#displayed = this.#kept = null; // the view begins anew, even of the same stack
    await this.#show();
  }

  /** Go on with a stack that begins with what is shown: window, zoom and turns stay as the reader has set them. */
  async extend(stack: Stack): Promise<void> {
    this.#kept = this.#viewport.getViewPresentation();
    this.stack = stack;
    await this.#show();
  }

  /** Show a frame of the stack; requests for frames that were passed meanwhile are dropped. */
  async go(index: number): Promise<void> {
    if (!this.stack?.ids.length) return;
    const wanted = Math.min(Math.max(0, index), this.stack.ids.length - 1);
    if (wanted === this.index && this.#loaded) return;
    this.index = wanted;
    await this.#show();
  }

  async #display(stack: Stack, index: number): Promise<void> {
    if (this.#displayed === stack) {
      await this.#viewport.setImageIdIndex(index);
      return;
    }
    this.#displayed = stack;
    await this.#viewport.setStack(stack.ids, index);
  }

  async #show(): Promise<void> {
    const turn = ++this.#turn;
    const { stack, index } = this;
    const id = stack?.ids[index];
    this.element.removeAttribute("aria-busy");
    if (!stack || !id) return;
    this.element.setAttribute("aria-busy", "true"); // the place is said at once, and the image comes after it
    this.#ahead.turn(stack.ids, index);
    this.#reflectPlace();
    try {
      const image = await fetchImage(id);
      // Nothing competes with the first image: not for the network, and not for the processor while it is drawn.
      if (this.#image) this.#ahead.go();
      if (turn !== this.#turn) return; // the reader is already elsewhere
      await this.#display(stack, index);
      if (turn !== this.#turn) return;
      this.#image = image;
      this.#loaded = stack.frames[index] ?? null;
      if (this.#kept) this.#viewport.setViewPresentation(this.#kept);
      this.#kept = null;
      this.#applyWindow();
      this.#viewport.render();
      requestAnimationFrame(() => this.#ahead.go());
      this.#complain("");
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#loaded = null;
      this.#complain(error instanceof Error && error.message ? error.message : "The image cannot be shown");
    }
    this.element.removeAttribute("aria-busy");
    this.onChange();
  }

  /** Never the previous image under the new position. */
  #complain(words: string): void {
    const problem = this.part<HTMLElement>("[data-problem]");
    problem.textContent = words;
    problem.hidden = !words;
    this.element.classList.toggle("is-blank", Boolean(words));
  }

  choosePreset(preset: Preset): void {
    this.preset = preset;
    this.#applyWindow();
    this.#viewport.render();
    this.onChange();
  }

  /** Set the window by hand. */
  setWindow(window: Window): void {
    this.preset = null;
    this.window = { center: window.center, width: Math.max(this.#loaded ? narrowest(this.#loaded) : 1, window.width) };
    this.#applyWindow();
    this.#viewport.render();
    this.onChange();
  }

  #applyWindow(): void {
    if (!this.#image || !this.#loaded) return;
    if (this.#loaded.isColour) {
      this.window = null;
      return;
    }
    this.window = this.preset ? this.preset.of(this.#loaded, this.#image) : this.window;
    if (!this.window) return;
    const name = this.#loaded.voiFunction === "SIGMOID" ? "SAMPLED_SIGMOID" : this.#loaded.voiFunction;
    const kind = name === "SAMPLED_SIGMOID" || name === "LINEAR_EXACT" ? Enums.VOILUTFunctionType[name] : Enums.VOILUTFunctionType.LINEAR;
    const voiRange = utilities.windowLevel.toLowHighRange(this.window.width, this.window.center, kind);
    // A width of 1 is a step (PS3.3 C.11.2.1.2), and the library draws none.
    if (voiRange.upper <= voiRange.lower) voiRange.upper = voiRange.lower + STEP;
    const isLightOnDark = this.#image.photometricInterpretation === "MONOCHROME1";
    this.#viewport.setProperties({ voiRange, VOILUTFunction: kind, invert: isLightOnDark !== this.isInverted });
  }

  toggleInvert(): void {
    this.isInverted = !this.isInverted;
    if (this.#loaded?.isColour) this.#viewport.setProperties({ invert: this.isInverted });
    else this.#applyWindow();
    this.#viewport.render();
    this.onChange();
  }

  zoomBy(factor: number): void {
    this.#viewport.setZoom(Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, this.zoom * factor)));
    this.#viewport.render();
  }

  panBy(x: number, y: number): void {
    const pan = this.#viewport.getPan();
    this.#viewport.setPan([pan[0] + x, pan[1] + y]);
    this.#viewport.render();
  }

  turn(degrees: number): void {
    const rotation = (this.#viewport.getViewPresentation().rotation ?? 0) + degrees;
    this.#viewport.setViewPresentation({ rotation: ((rotation % 360) + 360) % 360 });
    this.#viewport.render();
  }

  flip(): void {
    const { flipHorizontal } = this.#viewport.getCamera();
    this.#viewport.setCamera({ flipHorizontal: !flipHorizontal });
    this.#viewport.render();
  }

  /** Show the whole image, turned as it is. */
  fit(): void {
    const { rotation = 0 } = this.#viewport.getViewPresentation();
    const { flipHorizontal = false } = this.#viewport.getCamera();
    this.#viewport.resetCamera({ resetPan: true, resetZoom: true, resetToCenter: true });
    if (flipHorizontal) this.#viewport.setCamera({ flipHorizontal });
    if (rotation) this.#viewport.setViewPresentation({ rotation });
    this.#viewport.render();
  }

  /** Undo whatever was done to the view: zoom, turns, window, inversion. */
  reset(): void {
    this.isInverted = false;
    this.preset = presetsOf(this.stack)[0] ?? null;
    this.#viewport.setCamera({ flipHorizontal: false, flipVertical: false });
    this.#viewport.setViewPresentation({ rotation: 0 });
    this.fit();
    this.#applyWindow();
    this.#viewport.render();
    this.onChange();
  }

  /** Where image coordinates, from the top left corner of the top left pixel, are on the screen. */
  get toCanvas(): Affine | null {
    const data = (this.#viewport.getImageData() as Types.IImageData | undefined)?.imageData;
    if (!data || !this.#loaded) return null;
    const at = (x: number, y: number): Types.Point2 =>
      this.#viewport.worldToCanvas(data.indexToWorld([x - 0.5, y - 0.5, 0]) as Types.Point3);
    const [o, x, y] = [at(0, 0), at(1, 0), at(0, 1)];
    return { a: x[0] - o[0], b: x[1] - o[1], c: y[0] - o[0], d: y[1] - o[1], e: o[0], f: o[1] };
  }

  /** Return the place in the image under a pointer. */
  at(event: MouseEvent): Point | null {
    const affine = this.toCanvas;
    const box = this.element.getBoundingClientRect();
    return affine && apply(invert(affine), { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  #reflectPlace(): void {
    this.#say("[data-place]", `${this.index + 1} / ${this.stack?.ids.length ?? 0}`);
  }

  /** Only what is new: the same words again would have the page laid out again, several times per image. */
  #say(selector: string, words: string): void {
    const part = this.part(selector);
    if (part.textContent !== words) part.textContent = words;
  }

  #reflect(): void {
    const affine = this.toCanvas;
    if (!affine || !this.#loaded) return;
    const { a, b, c, d, e, f } = affine;
    const transform = `matrix(${a} ${b} ${c} ${d} ${e} ${f})`;
    if (transform !== this.#transform) {
      this.#transform = transform;
      this.marks.setAttribute("transform", transform);
      this.onMove();
    }
    for (const [name, letter] of Object.entries(edges(this.#loaded, affine))) {
      this.#say(`[data-edge="${name}"]`, letter);
    }
    this.#reflectPlace();
    const words = (value: number): string => (this.#loaded?.isFine ? String(Number(value.toPrecision(3))) : String(Math.round(value)));
    const unit = this.#loaded?.isFine && this.#loaded.unit ? ` ${this.#loaded.unit}` : "";
    const shown = this.window ? `W ${words(this.window.width)} L ${words(this.window.center)}${unit}` : "";
    const name = this.preset && this.window ? ` ${this.preset.name}` : "";
    this.#say("[data-window]", shown + name);
    this.#say("[data-zoom]", `${Math.round(Math.hypot(a, b) * 100)} %`);
    this.#reflectRuler(Math.hypot(a, b) / this.#loaded.spacing.column);
  }

  #reflectRuler(pixelsPerMillimetre: number): void {
    const kind = this.#loaded?.spacing.kind;
    const bar = kind === "unknown" ? null : scaleBar(pixelsPerMillimetre, this.element.clientWidth);
    const ruler = this.part<HTMLElement>("[data-ruler]");
    ruler.hidden = !bar;
    if (!bar) return;
    ruler.style.width = `${bar.pixels}px`;
    this.#say("[data-ruler] span", bar.label + (kind === "detector" ? " at the detector" : ""));
  }
}
