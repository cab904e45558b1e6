// The viewer of the study page. What the rest of the page may use of it is public in `Viewer`.

import type { RenderingEngine } from "@cornerstonejs/core";

import { $, announce, openHelp } from "../shared/page.ts";
import { Cine } from "./cine.ts";
import { Compare } from "./compare.ts";
import type { DrawnRegion, RegionKind } from "./draw.ts";
import { type Hand, type Tool, wire } from "./input.ts";
import { bindKeys } from "./keys.ts";
import { type Known, Layers } from "./layers.ts";
import { makeEngine, start } from "./loader.ts";
import { Marking } from "./marking.ts";
import { Planes } from "./mpr.ts";
import { note } from "./note.ts";
import { Overlays } from "./overlays.ts";
import { Pane } from "./pane.ts";
import { type Segmentations, type SeriesEntry, readStudy, segmentationsOf } from "./source.ts";
import { firstOf, type Stack, stackOf } from "./stack.ts";
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

/** What a page knows better than the portal's records. */
export interface Setup {
  /** The series to begin with. */
  series?: string;
  segmentations?: Segmentations;
  known?: Known;
}

export class Viewer {
  readonly study: string;
  readonly main: Pane;
  active: Pane;
  tool: Tool;
  readonly marking: Marking;
  readonly overlays: Overlays;
  #series: SeriesEntry[];
  #engine: RenderingEngine;
  #panes: HTMLElement;
  #toolbar: Toolbar;
  #compare: Compare;
  #planes: Planes | null = null;
  #opening: AbortController | null = null; // gives up planes that are on their way
  #turn = 0; // counts what was asked for: a series that takes its time gives way to what was asked later
  #awaited: string | null = null; // the series that was asked for and is on its way
  #cine = new Cine(() => this.active, () => this.reflect());
  #listeners: ((place: Place) => void)[] = [];
  #own: DrawnRegion[] = [];
  #whole: Promise<void> = Promise.resolve();
  #surfaces = new Map<Pane, Surface>();

  /** Open the viewer on a study. */
  static async open(root: HTMLElement, study: string, setup: Setup = {}): Promise<Viewer> {
    const [entry] = await Promise.all([readStudy(study), start()]);
    const layers = new Layers(
      setup.segmentations ?? segmentationsOf(study), entry.models.flatMap((model) => model.findings), setup.known,
    );
    const viewer = new Viewer(root, study, entry.series, layers);
    const first = entry.series.find((each) => each.series_uid === setup.series) ?? entry.series[0];
    if (first) await (viewer.#whole = viewer.#begin(first));
    return viewer;
  }

  private constructor(root: HTMLElement, study: string, series: SeriesEntry[], layers: Layers) {
    this.study = study;
    this.#series = series;
    this.#panes = $("#panes", root);
    this.#engine = makeEngine();
    this.tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";
    this.#toolbar = new Toolbar(root, this.#acts(), (tool) => this.choose(tool));
    this.main = this.#pane("main", "Image");
    this.active = this.main;
    this.marking = new Marking(this);
    this.overlays = new Overlays(layers, this);
    this.#compare = new Compare(study, () => this.#pane("other", "Image to compare with"), (pane) => this.#closed(pane), () => this.draw());
    this.#wirePage(root);
    bindKeys(this);
    this.reflect();
  }

  /** Show the first image; where it is there before its series, go on with that as soon as it comes. */
  async #begin(entry: SeriesEntry): Promise<void> {
    const first = await firstOf(this.study, entry);
    if (!first) {
      await this.openSeries(entry.series_uid);
      return;
    }
    await this.main.open(first);
    try {
      const whole = await stackOf(this.study, entry);
      if (this.main.stack === first) await this.main.extend(whole);
    } catch (error) {
      note(error instanceof Error ? error.message : "The series cannot be loaded");
    }
    first.isPart = false;
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
      play: () => this.#cine.toggle(),
      planes: () => void this.togglePlanes(),
      compare: () => void this.toggleCompare(),
      layers: () => void this.overlays.toggle(),
      clear: () => this.marking.clear(),
      finish: () => this.marking.finish(),
      cancel: () => this.marking.cancel(),
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
      press: (pane, at) => this.marking.press(pane, at),
      drag: (pane, at, pressed) => this.marking.drag(pane, at, pressed),
      release: (pane) => this.marking.release(pane),
      scroll: (pane, by) => this.scroll(by, pane),
    };
  }

  #wirePage(root: HTMLElement): void {
    $("#slider").addEventListener("input", (event) => void this.active.go(Number((event.target as HTMLInputElement).value) - 1));
    $("#preset").addEventListener("change", (event) => this.choosePreset(Number((event.target as HTMLSelectElement).value)));
    for (const button of root.querySelectorAll<HTMLElement>("button[data-series]")) {
      button.addEventListener("click", () => void this.openSeries(button.dataset.series!));
    }
  }

  // --- for the rest of the page ---

  /** Tell a listener about every change of what is on the screen. */
  onChange(listener: (place: Place) => void): void {
    this.#listeners.push(listener);
  }

  /** Show the regions that the reader has drawn. */
  showOwn(regions: DrawnRegion[]): void {
    this.#own = regions;
    this.draw();
  }

  /** Show a frame, 1 first, of an image of this study; false where it cannot be, or something else was asked for since. */
  async show(sop: string, frame = 1): Promise<boolean> {
    const entry = this.#series.find((each) => each.images.some((image) => image.sop_uid === sop));
    if (!entry) return false;
    const stack = await this.#stack(entry);
    const index = stack?.frames.findIndex((each) => each.sop === sop && each.frame === frame) ?? -1;
    if (!stack || index < 0) return false;
    if (this.main.stack === stack) await this.main.go(index);
    else await this.main.open(stack, index);
    this.activate(this.main);
    return true;
  }

  /** Let the reader draw; resolves with what was drawn, empty where they gave up. `start` is what to begin with. */
  drawRegion(kind: RegionKind, start: DrawnRegion[] = []): Promise<DrawnRegion[]> {
    this.#closePlanes();
    return this.marking.drawRegion(kind, start);
  }

  // --- for keys, buttons and pointers ---

  get place(): Place | null {
    const { stack, frame } = this.main;
    return stack && frame ? { study: stack.study, series: stack.series, sop: frame.sop, frame: frame.frame } : null;
  }

  get hasPlanes(): boolean {
    return this.#planes !== null;
  }

  activate(pane: Pane): void {
    if (this.active === pane) return;
    this.active = pane;
    this.reflect();
  }

  async openSeries(series: string): Promise<void> {
    const entry = this.#series.find((each) => each.series_uid === series);
    if (!entry) return;
    this.#cine.stop();
    const stack = await this.#stack(entry);
    if (!stack) return;
    await this.main.open(stack);
    this.activate(this.main);
    this.reflect();
  }

  /** Return a series, or null where it cannot be loaded, which is said, or something else was asked for since. */
  async #stack(entry: SeriesEntry): Promise<Stack | null> {
    const turn = ++this.#turn;
    this.#awaited = entry.series_uid;
    this.#closePlanes();
    const stack = await stackOf(this.study, entry).catch((error: unknown) => {
      if (turn === this.#turn) note(error instanceof Error ? error.message : "The series cannot be loaded");
      return null;
    });
    if (turn !== this.#turn) return null;
    this.#awaited = null;
    this.#closePlanes(); // opened meanwhile, of what was there before
    return stack;
  }

  stepSeries(by: number): boolean {
    if (this.#series.length < 2) return false;
    const from = this.#awaited ?? this.main.stack?.series;
    const at = this.#series.findIndex((each) => each.series_uid === from);
    const next = this.#series[Math.min(this.#series.length - 1, Math.max(0, at + by))];
    if (next && next.series_uid !== from) void this.openSeries(next.series_uid);
    return true;
  }

  scroll(by: number, pane = this.active): boolean {
    if (pane.stack?.isPart) {
      void this.#whole.then(() => this.scroll(by, pane));
      return true;
    }
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
    this.marking.chosen(tool); // first: what it gives up chooses the window tool
    this.tool = tool;
    this.reflect();
  }

  choosePreset(index: number): void {
    const preset = presetsOf(this.active.stack)[index];
    if (!preset || this.active.frame?.isColour) return;
    this.active.choosePreset(preset);
    if (this.#planes && this.active.window) this.#planes.setWindow(this.active.window);
    announce(`Window ${preset.name}`);
  }

  play(): void {
    this.#cine.toggle();
  }

  async togglePlanes(): Promise<void> {
    if (this.#planes || this.#opening) {
      this.#closePlanes();
      this.reflect();
      return;
    }
    const opening = (this.#opening = new AbortController());
    await this.#whole;
    const { stack, window } = this.main;
    if (opening.signal.aborted) return;
    if (!stack || !window || this.#noPlanes) {
      this.#opening = null;
      note(this.#noPlanes);
      return;
    }
    this.#cine.stop();
    this.#compare.close();
    this.#panes.classList.add("has-planes");
    try {
      this.#planes = await Planes.open(this.#engine, this.#panes, stack, window, (part) =>
        note(part < 1 ? `Loading the volume: ${Math.round(part * 100)} %` : ""), opening.signal);
      announce("Three planes shown");
    } catch (error) {
      if (opening.signal.aborted) return;
      this.#panes.classList.remove("has-planes");
      note(error instanceof Error ? error.message : "The volume cannot be loaded");
    }
    this.#opening = null;
    this.reflect();
  }

  /** Why the series on the screen has no other planes; "" where it may have. */
  get #noPlanes(): string {
    return this.#series.find((each) => each.series_uid === this.main.stack?.series)?.no_planes ?? "";
  }

  #closePlanes(): void {
    if (this.#opening) note("");
    this.#opening?.abort();
    this.#opening = null;
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
    if (this.marking.drawing) this.marking.cancel();
    else if (this.marking.measurements.isOpen) this.marking.drop();
    else if (this.#planes || this.#opening) this.#closePlanes();
    else if (this.#compare.pane) this.#compare.close();
    else this.choose("window");
    this.reflect();
  }

  toggleEraser(): void {
    this.marking.toggleEraser();
    this.reflect();
  }

  #changed(pane: Pane): void {
    if (pane === this.main && this.place) for (const listener of this.#listeners) listener(this.place);
    this.reflect();
  }

  reflect(): void {
    const { active } = this;
    this.#toolbar.reflect(active, this.tool);
    this.#toolbar.mark(this.main.stack?.series ?? "");
    this.#toolbar.press('[data-act="layers"]', () => this.overlays.layers.isShown);
    this.#toolbar.press('[data-act="erase"]', () => this.marking.drawing?.isErasing ?? false);
    this.#toolbar.press('[data-act="planes"]', () => this.hasPlanes);
    $('[data-act="planes"]').toggleAttribute("disabled", this.#noPlanes !== "");
    this.#toolbar.press('[data-act="compare"]', () => this.#compare?.pane != null);
    const play = $('[data-act="play"]');
    play.setAttribute("aria-pressed", String(this.#cine.isPlaying));
    $("span", play).textContent = this.#cine.isPlaying ? "Stop" : "Play";
    this.overlays.reflect();
    for (const [pane] of this.#surfaces) pane.element.classList.toggle("is-active", this.#surfaces.size > 1 && pane === active);
    this.draw();
  }

  /** Whether a pane shows images that a review is about: of this study, and not of an earlier version of it. */
  isOwn(pane: Pane): boolean {
    return pane.stack?.study === this.study && (pane === this.main || !this.#compare.layers);
  }

  /** Draw the marks of all panes anew. */
  draw(): void {
    const { layers } = this.overlays;
    const { measurements, drawing, cursor } = this.marking;
    for (const [pane, surface] of this.#surfaces) {
      const { frame } = pane;
      const other = pane === this.main ? null : this.#compare.layers;
      const isOwn = this.isOwn(pane);
      surface.draw({
        layers: frame && (isOwn || other) ? (other ?? layers).of(frame) : Promise.resolve([]),
        opacity: layers.opacity,
        measurements,
        isOwn,
        own: isOwn && !drawing ? this.#own : [],
        drawing: pane === this.main ? drawing : null,
        cursor: pane === this.active ? cursor : null,
      });
    }
    this.#planes?.draw(layers.solids(this.#planes.frames), layers.opacity);
    $("#legend").hidden = !layers.isShown && !this.#compare?.layers?.isShown;
  }
}
