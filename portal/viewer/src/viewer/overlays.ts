// What models have drawn, switched on for one finding or for all, and off: never without the reader asking.

import { $, announce } from "../shared/page.ts";
import type { Layers } from "./layers.ts";
import type { Pane } from "./pane.ts";
import type { Finding } from "./source.ts";

/** What the switch needs of the viewer. */
interface Stage {
  readonly main: Pane;
  /** Whether planes are open: they show segments where they are, and no single image. */
  readonly hasPlanes: boolean;
  show: (sop: string, frame: number) => Promise<boolean>;
  reflect: () => void;
  draw: () => void;
}

type Listener = (isShown: boolean, finding: Finding | null) => void;

export class Overlays {
  readonly layers: Layers;
  #stage: Stage;
  #listeners: Listener[] = [];
  /** Counts what was asked for: what takes its time gives way to what was asked later. */
  #turn = 0;
  /** What the page calls all of it. */
  #name = $("#overlay-tools").dataset.name ?? "";

  constructor(layers: Layers, stage: Stage) {
    this.layers = layers;
    this.#stage = stage;
    $("#opacity").addEventListener("input", () => this.setOpacity(0));
    for (const button of this.#buttons()) {
      const finding = layers.findings.find((each) => each.overlay_url === button.dataset.overlay);
      button.addEventListener("click", () => finding && void this.toggleFinding(finding));
    }
    // In the background, after the first image: whether there is anything to toggle.
    layers.exist().then((exist) => { $("#overlay-tools").hidden = !exist; }, () => undefined);
  }

  /** Tell a listener when what models have drawn is switched on, for one finding or for all, or off. */
  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** Show what the model has drawn for a finding, and the image that shows it; null shows all findings again. */
  async show(finding: Finding | null): Promise<void> {
    const turn = (this.#turn += 1);
    this.layers.only = finding;
    this.layers.isShown = true;
    const shown = this.#stage.main.frame;
    if (finding && (shown?.sop !== finding.sop_uid || shown.frame !== finding.frame)) await this.#stage.show(finding.sop_uid, finding.frame);
    if (turn !== this.#turn) return; // switched again while the image was on its way
    announce(finding ? `Overlay of ${finding.label} shown` : `${this.#name} shown`);
    for (const listener of this.#listeners) listener(true, finding);
    this.#stage.reflect();
  }

  hide(): void {
    this.#turn += 1;
    this.layers.isShown = false;
    this.layers.only = null;
    announce("Overlay hidden");
    for (const listener of this.#listeners) listener(false, null);
    this.#stage.reflect();
  }

  async toggleFinding(finding: Finding): Promise<void> {
    if (this.layers.isShown && this.layers.only === finding) this.hide();
    else await this.show(finding);
  }

  async toggle(): Promise<void> {
    const { layers } = this;
    if (layers.isShown) {
      this.hide();
      return;
    }
    const turn = (this.#turn += 1);
    const first = await layers.first(this.#stage.main.stack?.frames).catch(() => null);
    if (turn !== this.#turn) return;
    if (!first) {
      announce($("#overlay-tools").dataset.none ?? "");
      return;
    }
    const here = this.#stage.main.frame;
    const inPlanes = this.#stage.hasPlanes;
    if (!inPlanes && (!here || !(await layers.has(here)))) await this.#stage.show(first.sop, first.frame);
    if (turn !== this.#turn) return;
    await this.show(!inPlanes && layers.findings.length === 1 ? layers.findings[0]! : null);
  }

  setOpacity(by: number): void {
    const slider = $<HTMLInputElement>("#opacity");
    slider.value = String(Number(slider.value) + by);
    this.layers.opacity = Number(slider.value) / 100;
    if (by && this.layers.isShown) announce(`Opacity ${slider.value} percent`);
    this.#stage.draw();
  }

  /** Let the page say what is shown. */
  reflect(): void {
    for (const button of this.#buttons()) {
      const shown = this.layers.isShown && this.layers.only?.overlay_url === button.dataset.overlay;
      button.setAttribute("aria-pressed", String(shown));
      button.textContent = shown ? "Hide overlay" : "Show on the image";
    }
  }

  #buttons(): NodeListOf<HTMLElement> {
    return document.querySelectorAll<HTMLElement>("[data-overlay]");
  }
}
