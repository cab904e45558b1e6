// Three planes through a volume that has one geometry, with one point in common. Loaded only when asked for.

import { cache, Enums, type RenderingEngine, setVolumesForViewports, type Types, volumeLoader } from "@cornerstonejs/core";

import { $, announce } from "../shared/page.ts";
import { cutOf, middleOf, type Solid } from "./cuts.ts";
import type { Frame, Vector, Window } from "./dicom.ts";
import { along, cross, dot, letters, minus, opposite, volumeOf } from "./geometry.ts";
import { fetchAll } from "./loader.ts";
import { outlinesOf, pathOf } from "./outlines.ts";
import type { Stack } from "./stack.ts";
import { svg } from "./svg.ts";
import { ends } from "./windows.ts";

const PLANES = ["axial", "coronal", "sagittal"] as const;
type Name = (typeof PLANES)[number];
/** Of the points at which segments are looked up, in pixels of the screen. */
const STEP = 2;

interface Face {
  name: Name;
  element: HTMLElement;
  viewport: Types.IVolumeViewport;
}

export class Planes {
  readonly window: Window;
  /** The slices of the volume, in its order. */
  frames: Frame[] = [];
  #solids: Solid[] = [];
  #opacity = 1;
  #turn = 0;
  #engine: RenderingEngine;
  #room: HTMLElement;
  #faces: Face[] = [];
  #point: Vector = [0, 0, 0];
  #volumeId: string;
  #isFine: boolean;
  #resized = new ResizeObserver(() => {
    this.#engine.resize(true, true);
    this.#reflect();
  });

  private constructor(engine: RenderingEngine, room: HTMLElement, stack: Stack, window: Window) {
    this.#engine = engine;
    this.#room = room;
    this.#volumeId = `firstread-volume:${stack.series}`;
    this.#isFine = stack.frames[0]?.isFine ?? false;
    this.window = { ...window };
  }

  /** Open the planes; throws, with words for the reader, where the images make no volume, and where `signal` gives up. */
  static async open(
    engine: RenderingEngine, room: HTMLElement, stack: Stack, window: Window, progress: (part: number) => void, signal: AbortSignal,
  ): Promise<Planes> {
    const check = volumeOf(stack.frames);
    if (!check.ok) throw new Error(`No other planes: ${check.why}.`);
    const planes = new Planes(engine, room, stack, window);
    await planes.#load(check.order.map((index) => stack.ids[index]!), progress, signal);
    planes.frames = (cache.getVolume(planes.#volumeId)?.imageIds ?? []).map((id) => stack.frames[stack.ids.indexOf(id)]!);
    return planes;
  }

  async #load(ids: string[], progress: (part: number) => void, signal: AbortSignal): Promise<void> {
    await fetchAll(ids, progress, signal);
    const volume = await volumeLoader.createAndCacheVolume(this.#volumeId, { imageIds: ids });
    signal.throwIfAborted(); // the panes of three planes have one name each: these must not be made twice
    this.#faces = PLANES.map((name) => this.#face(name));
    await setVolumesForViewports(this.#engine, [{ volumeId: this.#volumeId }], this.#faces.map(({ viewport }) => viewport.id));
    if (signal.aborted) this.close();
    signal.throwIfAborted();
    volume.load(() => undefined);
    this.#point = [...this.#faces[0]!.viewport.getCamera().focalPoint!] as Vector;
    this.setWindow(this.window);
    if (!this.#faces.some(({ element }) => element === document.activeElement)) this.#faces[0]?.element.focus();
  }

  #face(name: Name): Face {
    const element = document.createElement("div");
    element.className = "pane pane-plane";
    element.tabIndex = 0;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", `${name} plane. Arrow keys up and down scroll.`);
    element.dataset.plane = name;
    element.innerHTML = `<div class="pixels"></div><svg class="marks" aria-hidden="true"><g></g></svg>
<p class="corner corner-title">${name[0]!.toUpperCase()}${name.slice(1)}</p><p class="corner corner-state"><span data-place aria-live="polite"></span></p>
${["top", "right", "bottom", "left"].map((side) => `<span class="edge edge-${side}" data-edge="${side}"></span>`).join("")}`;
    this.#room.append(element);
    const viewportId = `plane-${name}`;
    const orientation = Enums.OrientationAxis[name.toUpperCase() as "AXIAL" | "CORONAL" | "SAGITTAL"];
    const pixels = $<HTMLDivElement>(".pixels", element);
    this.#engine.enableElement({
      viewportId, type: Enums.ViewportType.ORTHOGRAPHIC, element: pixels, defaultOptions: { orientation, background: [0, 0, 0] },
    });
    const face = { name, element, viewport: this.#engine.getViewport(viewportId) as Types.IVolumeViewport };
    this.#wire(face);
    this.#resized.observe(element);
    return face;
  }

  #wire(face: Face): void {
    const { element } = face;
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#scroll(face, Math.sign(event.deltaY));
    }, { passive: false });
    element.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.#scroll(face, by);
    });
    const follow = (event: PointerEvent): void => {
      const box = element.getBoundingClientRect();
      this.#moveTo(face.viewport.canvasToWorld([event.clientX - box.left, event.clientY - box.top]) as Vector);
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      follow(event);
    });
    element.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) follow(event);
    });
  }

  #scroll({ viewport }: Face, by: number): void {
    const { viewPlaneNormal } = viewport.getCamera();
    const volume = viewport.getImageData();
    if (!volume) return; // the panes are there before it
    const { spacing, direction } = volume;
    const normal = viewPlaneNormal as Vector;
    // One voxel along the normal.
    const axes = [0, 1, 2].map((axis) => Math.abs(dot(normal, direction.slice(axis * 3, axis * 3 + 3) as unknown as Vector)));
    const step = spacing[axes.indexOf(Math.max(...axes))] ?? 1;
    this.#moveTo(this.#point.map((part, axis) => part - (normal[axis] ?? 0) * by * step) as Vector);
  }

  #moveTo(point: Vector): void {
    const volume = this.#faces[0]?.viewport.getImageData();
    const index = volume?.imageData.worldToIndex(point) as Vector | undefined;
    if (!volume || !index?.every((part, axis) => part > -0.5 && part < volume.dimensions[axis]! - 0.5)) return;
    this.#point = point;
    this.#reflect();
  }

  setWindow(window: Window): void {
    Object.assign(this.window, window);
    const voiRange = ends(window, this.#isFine);
    for (const { viewport } of this.#faces) viewport.setProperties({ voiRange });
    this.#reflect();
  }

  /** Show where the planes cut through segments; the first time, go to where the first of them is. */
  draw(solids: Promise<Solid[]>, opacity: number): void {
    const turn = ++this.#turn;
    this.#opacity = opacity;
    solids.then(
      (found) => {
        if (turn !== this.#turn) return;
        const middle = this.#solids.length || !found[0] ? null : middleOf(found[0]);
        this.#solids = found;
        const volume = this.#faces[0]?.viewport.getImageData();
        if (middle && volume) this.#point = volume.imageData.indexToWorld(middle) as Vector;
        this.#reflect();
      },
      (error: unknown) => announce(error instanceof Error ? error.message : "The overlay cannot be loaded"),
    );
  }

  #cuts({ viewport, element }: Face): SVGElement[] {
    const volume = viewport.getImageData();
    if (!volume || !this.#solids.length) return [];
    const place = (x: number, y: number): Vector =>
      volume.imageData.worldToIndex(viewport.canvasToWorld([(x + 0.5) * STEP, (y + 0.5) * STEP])) as Vector;
    const first = place(0, 0);
    const cut = {
      first, across: minus(place(1, 0), first), down: minus(place(0, 1), first),
      columns: Math.ceil(element.clientWidth / STEP), rows: Math.ceil(element.clientHeight / STEP),
    };
    return this.#solids.flatMap((solid) => {
      const d = outlinesOf(cutOf(solid, cut)).map(pathOf).join("");
      return d ? [svg("path", {
        d, class: "layer-line", stroke: solid.colour, opacity: this.#opacity, transform: `scale(${STEP})`, "data-label": solid.label,
      })] : [];
    });
  }

  #reflect(): void {
    for (const { name, viewport, element } of this.#faces) {
      const { focalPoint, position, viewPlaneNormal, viewUp } = viewport.getCamera();
      const [normal, up] = [viewPlaneNormal as Vector, viewUp as Vector];
      const by = along(normal, dot(minus(this.#point, focalPoint as Vector), normal));
      const moved = (place: Types.Point3): Types.Point3 => place.map((part, axis) => part + by[axis]!) as Types.Point3;
      viewport.setCamera({ focalPoint: moved(focalPoint!), position: moved(position!) });
      viewport.render();
      const right = letters(cross(up, normal));
      const sides = { top: letters(up), right, bottom: opposite(letters(up)), left: opposite(right) };
      for (const [side, words] of Object.entries(sides)) $(`[data-edge="${side}"]`, element).textContent = words;
      const [x, y] = viewport.worldToCanvas(this.#point);
      element.querySelector(".marks g")?.replaceChildren(
        ...this.#cuts({ name, viewport, element }),
        svg("line", { x1: x, y1: 0, x2: x, y2: element.clientHeight, class: "cross" }),
        svg("line", { x1: 0, y1: y, x2: element.clientWidth, y2: y, class: "cross" }),
      );
      $("[data-place]", element).textContent = this.#point.map((part) => part.toFixed(0)).join(" / ") + " mm";
    }
  }

  close(): void {
    this.#turn += 1;
    this.#resized.disconnect();
    for (const { viewport, element } of this.#faces) {
      this.#engine.disableElement(viewport.id);
      element.remove();
    }
    if (cache.getVolume(this.#volumeId)) cache.removeVolumeLoadObject(this.#volumeId);
  }
}
