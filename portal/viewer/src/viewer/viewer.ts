// The viewer of the study page. What the rest of the page may use of it is public in `Viewer`.

import { RenderingEngine } from "@cornerstonejs/core";

import { $, announce, openHelp } from "../shared/page.ts";
import { Compare } from "./compare.ts";
import { Drawing, type DrawnRegion, type RegionKind } from "./draw.ts";
import type { Frame } from "./dicom.ts";
import type { Point } from "./geometry.ts";
import { type Hand, type Tool, wire } from "./input.ts";
import { bindKeys } from "./keys.ts";
import { Layers } from "./layers.ts";
import { start } from "./loader.ts";
import { Measurements } from "./measure.ts";
import { Planes } from "./mpr.ts";
import { Pane } from "./pane.ts";
import { POINTS, type Shape } from "./quantities.ts";
import { type Finding, type SeriesEntry, readStudy } from "./source.ts";
import { stackOf } from "./stack.ts";
import { Surface } from "./surface.ts";
import { Toolbar } from "./toolbar.ts";
import { presetsOf } from "./windows.ts";

export type { DrawnRegion, RegionKind } from "./draw.ts";
export type { Finding } from "./source.ts";

/** What is on the screen. */
export interface Place {
  study: string;
  series: string;
  sop: string;
  frame: number;
}

const CINE_FRAMES_PER_SECOND = 15;
const NOTE_SECONDS = 10;
const isShape = (tool: Tool): tool is Shape => tool in POINTS;

export class Viewer {
  readonly study: string;
  readonly layers: Layers;
  readonly measurements = new Measurements();
  readonly main: Pane;
  active: Pane;
  tool: Tool;
  drawing: Drawing | null = null;
  /** Where the keyboard points, while a tool sets points. */
  cursor: Point | null = null;
  #series: SeriesEntry[];
  #engine: RenderingEngine;
  #panes: HTMLElement;
  #toolbar: Toolbar;
  #compare: Compare;
  #planes: Planes | null = null;
  #playing: ReturnType<typeof setTimeout> | null = null;
  #listeners: ((place: Place) => void)[] = [];
  #layerListeners: ((isShown: boolean, finding: Finding | null) => void)[] = [];
  #own: DrawnRegion[] = [];
  #surfaces = new Map<Pane, Surface>();
  #finishDrawing: ((regions: DrawnRegion[]) => void) | null = null;

  /** Open the viewer on a study. */
  static async open(root: HTMLElement, study: string): Promise<Viewer> {
    const [entry] = await Promise.all([readStudy(study), start()]);
    const viewer = new Viewer(root, study, entry.series, entry.models.flatMap((model) => model.findings));
    const first = entry.series[0];
    if (first) await viewer.openSeries(first.series_uid);
    return viewer;
  }

  private constructor(root: HTMLElement, study: string, series: SeriesEntry[], findings: Finding[]) {
    this.study = study;
    this.#series = series;
    this.layers = new Layers(study, findings);
    this.#panes = $("#panes", root);
    this.#engine = new RenderingEngine("firstread");
    this.tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
    this.#toolbar = new Toolbar(root, this.#acts(), (tool) => this.choose(tool));
    this.main = this.#pane("main", "Image");
    this.active = this.main;
    this.#compare = new Compare(study, () => this.#pane("other", "Image to compare with"), (pane) => this.#closed(pane));
    this.#wirePage(root);
    bindKeys(this);
    this.reflect();
  }

  #acts(): Record<string, () => void> {
    return {
      invert: () => this.active.toggleInvert(),
      rotate: () => this.active.turn(90),
      flip: () => this.active.flip(),
      reset: () => this.active.reset(),
      larger: () => this.active.zoomBy(1.25),
      smaller: () => this.active.zoomBy(0.8),
      fit: () => this.active.fit(),
      play: () => this.play(),
      planes: () => void this.togglePlanes(),
      compare: () => void this.toggleCompare(),
      layers: () => void this.toggleLayers(),
      clear: () => this.clearMeasurements(),
      finish: () => this.finishDrawing(),
      cancel: () => this.cancelDrawing(),
      erase: () => this.toggleEraser(),
      help: openHelp,
    };
  }

  #pane(id: string, label: string): Pane {
    const pane = new Pane(this.#engine, id, this.#panes, `${label}. Arrow keys scroll, question mark lists all keys.`);
    const surface = new Surface(pane);
    this.#surfaces.set(pane, surface);
    pane.onChange = () => this.#changed(pane);
    pane.onMove = () => this.draw();
    wire(pane, this.#hand());
    return pane;
  }

  #hand(): Hand {
    return {
      tool: () => this.tool,
      activate: (pane) => this.activate(pane),
      press: (pane, at) => this.press(pane, at),
      drag: (pane, at, pressed) => this.#drag(pane, at, pressed),
      release: (pane) => {
        this.drawing?.release();
        this.#place(pane);
      },
      scroll: (pane, by) => this.scroll(by, pane),
    };
  }

  #wirePage(root: HTMLElement): void {
    $("#slider").addEventListener("input", (event) => void this.active.go(Number((event.target as HTMLInputElement).value) - 1));
    $("#preset").addEventListener("change", (event) => this.choosePreset(Number((event.target as HTMLSelectElement).value)));
    $("#opacity").addEventListener("input", () => this.setOpacity(0));
    $("#brush-size").addEventListener("input", (event) => {
      if (this.drawing) this.drawing.radius = Number((event.target as HTMLInputElement).value);
    });
    for (const button of root.querySelectorAll<HTMLElement>("button[data-series]")) {
      button.addEventListener("click", () => void this.openSeries(button.dataset.series!));
    }
    for (const button of document.querySelectorAll<HTMLElement>("[data-overlay]")) {
      const finding = this.layers.findings.find((each) => each.overlay_url === button.dataset.overlay);
      button.addEventListener("click", () => finding && void this.toggleFinding(finding));
    }
    // In the background, after the first image: whether there is anything to toggle.
    this.layers.exist().then((exist) => { $("#overlay-tools").hidden = !exist; }, () => undefined);
  }

  // --- for the rest of the page ---

  /** Tell a listener about every change of what is on the screen. */
  onChange(listener: (place: Place) => void): void {
    this.#listeners.push(listener);
  }

  /** Tell a listener when what models have drawn is switched on, for one finding or for all, or off. */
  onLayers(listener: (isShown: boolean, finding: Finding | null) => void): void {
    this.#layerListeners.push(listener);
  }

  /** Show the regions that the reader has drawn. */
  showOwn(regions: DrawnRegion[]): void {
    this.#own = regions;
    this.draw();
  }

  /** Show a frame, 1 first, of an image of this study; false where there is no such image. */
  async show(sop: string, frame = 1): Promise<boolean> {
    const entry = this.#series.find((each) => each.images.some((image) => image.sop_uid === sop));
    if (!entry) return false;
    this.#closePlanes();
    const stack = await stackOf(this.study, entry);
    const index = stack.frames.findIndex((each) => each.sop === sop && each.frame === frame);
    if (index < 0) return false;
    if (this.main.stack === stack) await this.main.go(index);
    else await this.main.open(stack, index);
    this.activate(this.main);
    return true;
  }

  /** Show what the model has drawn for a finding, and the image that shows it; null shows all findings again. */
  async showLayer(finding: Finding | null): Promise<void> {
    this.layers.only = finding;
    this.layers.isShown = true;
    const shown = this.main.frame;
    if (finding && (shown?.sop !== finding.sop_uid || shown.frame !== finding.frame)) await this.show(finding.sop_uid, finding.frame);
    announce(finding ? `Overlay of ${finding.label} shown` : "AI overlay shown");
    for (const listener of this.#layerListeners) listener(true, finding);
    this.reflect();
  }

  hideLayers(): void {
    this.layers.isShown = false;
    this.layers.only = null;
    announce("Overlay hidden");
    for (const listener of this.#layerListeners) listener(false, null);
    this.reflect();
  }

  /** Let the reader draw; resolves with what was drawn, empty where they gave up. `start` is what to begin with. */
  drawRegion(kind: RegionKind, start: DrawnRegion[] = []): Promise<DrawnRegion[]> {
    this.cancelDrawing();
    this.#closePlanes();
    const known = (this.main.stack?.frames ?? []).filter((frame) =>
      start.some((each) => each.sop_uid === frame.sop && each.frame === frame.frame));
    this.drawing = new Drawing(kind, known.map((frame) => ({ frame, regions: start })));
    this.choose("region");
    $("#draw-tools").hidden = false;
    $("#brush-tools").hidden = kind !== "brush";
    this.drawing.radius = Number($<HTMLInputElement>("#brush-size").value);
    this.main.element.focus();
    announce(`${kind === "brush" ? "Paint" : "Outline"} the region: arrow keys move, Space ${kind === "brush" ? "paints" : "sets a point"}, Enter finishes, Escape gives up.`);
    return new Promise((resolve) => { this.#finishDrawing = resolve; });
  }

  // --- for keys, buttons and pointers ---

  get place(): Place | null {
    const { stack, frame } = this.main;
    return stack && frame ? { study: stack.study, series: stack.series, sop: frame.sop, frame: frame.frame } : null;
  }

  activate(pane: Pane): void {
    if (this.active === pane) return;
    this.active = pane;
    this.reflect();
  }

  async openSeries(series: string): Promise<void> {
    const entry = this.#series.find((each) => each.series_uid === series);
    if (!entry) return;
    this.stop();
    this.#closePlanes();
    try {
      await this.main.open(await stackOf(this.study, entry));
    } catch (error) {
      this.#say(error instanceof Error ? error.message : "The series cannot be loaded");
    }
    this.activate(this.main);
    this.reflect();
  }

  stepSeries(by: number): boolean {
    if (this.#series.length < 2) return false;
    const at = this.#series.findIndex((each) => each.series_uid === this.main.stack?.series);
    const next = this.#series[Math.min(this.#series.length - 1, Math.max(0, at + by))];
    if (next && next.series_uid !== this.main.stack?.series) void this.openSeries(next.series_uid);
    return true;
  }

  scroll(by: number, pane = this.active): boolean {
    if ((pane.stack?.ids.length ?? 0) < 2) return false;
    void pane.go(pane.index + by);
    const other = this.#compare.pane;
    if (other && this.#compare.isLinked) {
      const follower = pane === other ? this.main : other;
      void follower.go(this.#compare.matching(pane, follower, by));
    }
    return true;
  }

  choose(tool: Tool): void {
    if (this.drawing && tool !== "region") this.cancelDrawing();
    this.tool = tool;
    this.cursor = null;
    this.reflect();
  }

  choosePreset(index: number): void {
    const preset = presetsOf(this.active.stack?.modality ?? "")[index];
    if (!preset || this.active.frame?.isColour) return;
    this.active.choosePreset(preset);
    if (this.#planes && this.active.window) this.#planes.setWindow(this.active.window);
    announce(`Window ${preset.name}`);
  }

  play(): void {
    if (this.#playing) {
      this.stop();
      return;
    }
    const turn = async (): Promise<void> => {
      const began = performance.now();
      const pane = this.active;
      await pane.go((pane.index + 1) % Math.max(1, pane.stack?.ids.length ?? 1));
      const left = 1000 / CINE_FRAMES_PER_SECOND - (performance.now() - began);
      if (this.#playing) this.#playing = setTimeout(() => void turn(), Math.max(0, left));
    };
    this.#playing = setTimeout(() => void turn(), 0);
    this.reflect();
  }

  stop(): void {
    if (this.#playing) clearTimeout(this.#playing);
    this.#playing = null;
    this.reflect();
  }

  async toggleFinding(finding: Finding): Promise<void> {
    if (this.layers.isShown && this.layers.only === finding) this.hideLayers();
    else await this.showLayer(finding);
  }

  async toggleLayers(): Promise<void> {
    if (this.layers.isShown) {
      this.hideLayers();
      return;
    }
    const first = await this.layers.first().catch(() => null);
    if (!first) {
      announce("There is no AI overlay.");
      return;
    }
    const here = this.main.frame;
    if (!here || !(await this.layers.has(here))) await this.show(first.sop, first.frame);
    await this.showLayer(this.layers.findings.length === 1 ? this.layers.findings[0]! : null);
  }

  setOpacity(by: number): void {
    const slider = $<HTMLInputElement>("#opacity");
    slider.value = String(Number(slider.value) + by);
    this.layers.opacity = Number(slider.value) / 100;
    if (by && this.layers.isShown) announce(`Opacity ${slider.value} percent`);
    this.draw();
  }

  async togglePlanes(): Promise<void> {
    if (this.#planes) {
      this.#closePlanes();
      this.reflect();
      return;
    }
    const { stack, window } = this.main;
    if (!stack || !window) return;
    this.stop();
    this.#compare.close();
    this.#panes.classList.add("has-planes");
    try {
      this.#planes = await Planes.open(this.#engine, this.#panes, stack, window, (part) =>
        this.#say(part < 1 ? `Loading the volume: ${Math.round(part * 100)} %` : ""));
      announce("Three planes shown");
    } catch (error) {
      this.#panes.classList.remove("has-planes");
      this.#say(error instanceof Error ? error.message : "The volume cannot be loaded");
    }
    this.reflect();
  }

  #closePlanes(): void {
    this.#planes?.close();
    this.#planes = null;
    this.#panes.classList.remove("has-planes");
  }

  async toggleCompare(): Promise<void> {
    this.#closePlanes();
    if (this.#compare.pane) this.#compare.close();
    else await this.#compare.open(this.#series, this.main.stack?.series ?? "");
    this.reflect();
  }

  #closed(pane: Pane): void {
    this.#surfaces.delete(pane);
    this.active = this.main;
    this.reflect();
  }

  /** Leave whatever is open, the innermost first. */
  escape(): void {
    if (this.drawing) this.cancelDrawing();
    else if (this.measurements.isOpen) this.dropMeasurement();
    else if (this.#planes) this.#closePlanes();
    else if (this.#compare.pane) this.#compare.close();
    else this.choose("window");
    this.reflect();
  }

  press(pane: Pane, at: Point): void {
    const frame = pane.frame;
    if (!frame) return;
    if (this.drawing) {
      if (pane === this.main) this.drawing.press(at, frame);
    } else if (isShape(this.tool)) {
      const lines = this.measurements.set(this.tool, at, frame, pane.values);
      if (lines) announce(lines.join(", "));
      this.#pressedAt = at;
    }
    this.draw();
  }

  #pressedAt: Point | null = null;

  #drag(pane: Pane, at: Point, pressed: boolean): void {
    const frame = pane.frame;
    if (!frame) return;
    if (this.drawing && pressed && pane === this.main) this.drawing.drag(at, frame);
    else if (!this.drawing) this.measurements.hover(at, frame, pane.values);
    this.#hovered = at;
    this.draw();
  }

  #hovered: Point | null = null;

  /** A shape may also be drawn in one pull: where the pointer was moved, letting go sets the next point. */
  #place(pane: Pane): void {
    const [from, to] = [this.#pressedAt, this.#hovered];
    this.#pressedAt = this.#hovered = null;
    if (from && to && this.measurements.isOpen && Math.hypot(to.x - from.x, to.y - from.y) > 3) this.press(pane, to);
    this.draw();
  }

  dropMeasurement(): void {
    const frame = this.active.frame;
    if (this.drawing && frame) this.drawing.undo(frame);
    else if (frame && this.measurements.drop(frame)) announce("Measurement removed");
    this.draw();
  }

  clearMeasurements(): void {
    this.measurements.clear();
    announce("All measurements removed");
    this.draw();
  }

  toggleEraser(): void {
    if (!this.drawing) return;
    this.drawing.isErasing = !this.drawing.isErasing;
    this.reflect();
  }

  finishDrawing(): void {
    const regions = this.drawing?.regions() ?? [];
    this.#endDrawing(regions);
    announce(regions.length ? "Region drawn" : "Nothing was drawn");
  }

  cancelDrawing(): void {
    if (this.drawing) this.#endDrawing([]);
  }

  #endDrawing(regions: DrawnRegion[]): void {
    const finish = this.#finishDrawing;
    this.drawing = null;
    this.#finishDrawing = null;
    $("#draw-tools").hidden = true;
    this.choose("window");
    finish?.(regions);
  }

  /** Move the keyboard's place in the image; only while a tool sets points. */
  moveCursor(x: number, y: number): boolean {
    const frame = this.active.frame;
    if (!frame || !(this.drawing || isShape(this.tool))) return false;
    const from = this.cursor ?? { x: frame.columns / 2, y: frame.rows / 2 };
    this.cursor = { x: Math.min(Math.max(0, from.x + x), frame.columns), y: Math.min(Math.max(0, from.y + y), frame.rows) };
    if (!this.drawing) this.measurements.hover(this.cursor, frame, this.active.values);
    announce(`Column ${Math.round(this.cursor.x)}, row ${Math.round(this.cursor.y)}`);
    this.draw();
    return true;
  }

  #say(words: string): void {
    const note = $("#viewer-note");
    note.textContent = words;
    note.hidden = !words;
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => { note.hidden = true; }, NOTE_SECONDS * 1000);
  }

  #saying: ReturnType<typeof setTimeout> | undefined;

  #changed(pane: Pane): void {
    if (pane === this.main && this.place) for (const listener of this.#listeners) listener(this.place);
    this.reflect();
  }

  reflect(): void {
    const { active } = this;
    this.#toolbar.reflect(active, this.tool);
    this.#toolbar.mark(this.main.stack?.series ?? "");
    this.#toolbar.press('[data-act="layers"]', () => this.layers.isShown);
    this.#toolbar.press('[data-act="erase"]', () => this.drawing?.isErasing ?? false);
    this.#toolbar.press('[data-act="planes"]', () => this.#planes !== null);
    this.#toolbar.press('[data-act="compare"]', () => this.#compare?.pane != null);
    const play = $('[data-act="play"]');
    play.setAttribute("aria-pressed", String(this.#playing !== null));
    $("span", play).textContent = this.#playing ? "Stop" : "Play";
    for (const button of document.querySelectorAll<HTMLElement>("[data-overlay]")) {
      const shown = this.layers.isShown && this.layers.only?.overlay_url === button.dataset.overlay;
      button.setAttribute("aria-pressed", String(shown));
      button.textContent = shown ? "Hide overlay" : "Show on the image";
    }
    for (const [pane] of this.#surfaces) pane.element.classList.toggle("is-active", this.#surfaces.size > 1 && pane === active);
    this.draw();
  }

  /** Draw the marks of all panes anew. */
  draw(): void {
    for (const [pane, surface] of this.#surfaces) {
      const frame: Frame | null = pane.frame;
      const isOwn = pane.stack?.study === this.study;
      surface.draw({
        layers: frame && isOwn ? this.layers.of(frame) : Promise.resolve([]),
        opacity: this.layers.opacity,
        measurements: this.measurements,
        own: isOwn && !this.drawing ? this.#own : [],
        drawing: pane === this.main ? this.drawing : null,
        cursor: pane === this.active ? this.cursor : null,
      });
    }
    $("#legend").hidden = !this.layers.isShown;
  }
}
