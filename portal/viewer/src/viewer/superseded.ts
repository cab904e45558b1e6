// Another version of the study in the second pane: its images, what models said of it, and in words which one it is.
// Nothing of it can be judged: reviews are of the current version.

import { $, announce } from "../shared/page.ts";
import { button, h } from "../review/dom.ts";
import { Layers } from "./layers.ts";
import type { Pane } from "./pane.ts";
import type { Stack } from "./stack.ts";
import { ofVersion, segmentationsOfVersion, titleOf, type VersionDetail, type VersionFinding, type VersionResult } from "./versions.ts";

const ALL = "";

export class OtherVersion {
  layers: Layers;
  #pane: Pane;
  #study: string;
  #detail: VersionDetail;
  #draw: () => void;
  #notes: HTMLDetailsElement;
  #label: string;
  #wired = new AbortController();

  constructor(pane: Pane, study: string, detail: VersionDetail, draw: () => void) {
    this.#pane = pane;
    this.#study = study;
    this.#detail = detail;
    this.#draw = draw;
    this.layers = this.#layersOf(ALL);
    this.#label = pane.element.getAttribute("aria-label") ?? "";
    pane.element.setAttribute("aria-label", `${titleOf(detail)}. ${this.#label}`);
    this.#notes = this.#describe();
    pane.element.append(this.#notes);
    this.#wire();
  }

  /** Show what a stack had in this version. */
  async show(stack: Stack): Promise<void> {
    await this.#pane.open(ofVersion(stack, this.#detail));
    announce(`${titleOf(this.#detail)} shown beside the current one`);
    const exist = await this.layers.exist().catch(() => false);
    if (!this.#wired.signal.aborted) $("#compare-overlay").hidden = !exist;
  }

  close(): void {
    this.#wired.abort();
    this.#notes.remove();
    this.#pane.element.setAttribute("aria-label", this.#label);
    $("#compare-models").hidden = true;
    $("#compare-overlay").hidden = true;
  }

  #layersOf(model: string): Layers {
    const results = this.#detail.results.filter((each) => model === ALL || each.model_id === model);
    return new Layers(segmentationsOfVersion(this.#study, this.#detail.version, model), results.flatMap((each) => each.findings));
  }

  #wire(): void {
    const { signal } = this.#wired;
    const { results } = this.#detail;
    const models = $<HTMLSelectElement>("#compare-model");
    models.replaceChildren(new Option("all models", ALL), ...results.map((each) => new Option(nameOf(each), each.model_id)));
    $("#compare-models").hidden = results.length < 2;
    models.addEventListener("change", () => this.#choose(models.value), { signal });
    const shown = $<HTMLInputElement>("#compare-layers");
    shown.checked = false; // as for the current version: never without the reader asking
    shown.addEventListener("change", () => this.#switch(shown.checked, null), { signal });
    // Within the pane, but no part of the image: the pointer and the wheel are for what is written.
    for (const kind of ["pointerdown", "wheel"]) {
      this.#notes.addEventListener(kind, (event) => event.stopPropagation(), { signal });
    }
  }

  #choose(model: string): void {
    const { isShown } = this.layers;
    this.layers = this.#layersOf(model);
    this.layers.isShown = isShown;
    for (const each of this.#notes.querySelectorAll<HTMLElement>("[data-model]")) {
      each.hidden = model !== ALL && each.dataset.model !== model;
    }
    this.#draw();
  }

  #switch(isShown: boolean, finding: VersionFinding | null): void {
    this.layers.isShown = isShown;
    this.layers.only = finding;
    $<HTMLInputElement>("#compare-layers").checked = isShown;
    announce(isShown ? `AI overlay of ${this.#detail.words} shown` : "Overlay hidden");
    this.#draw();
  }

  async #go(finding: VersionFinding): Promise<void> {
    const index = this.#pane.stack?.frames.findIndex((each) => each.sop === finding.sop_uid && each.frame === finding.frame) ?? -1;
    if (index >= 0) await this.#pane.go(index);
    if (this.#wired.signal.aborted) return;
    this.#switch(true, this.layers.findings.includes(finding) ? finding : null);
  }

  #describe(): HTMLDetailsElement {
    const detail = this.#detail;
    const images = `${detail.image_count} image${detail.image_count === 1 ? "" : "s"}`;
    const why = [detail.change_words, detail.closed_words].filter(Boolean).join("; ");
    return h("details", { class: "version-notes", open: true },
      h("summary", {}, titleOf(detail)),
      h("p", {}, `${detail.is_current ? "" : "Not to be judged any more. "}Closed ${detail.completed}${why ? ` (${why})` : ""}, ${images}.`),
      detail.gone_count > 0 && h("p", {}, `${detail.gone_count} of them withdrawn since and not shown.`),
      !detail.is_exact && h("p", {}, "Images were corrected or released since: these are not exactly those that models saw."),
      ...detail.results.map((each) => this.#result(each)),
      !detail.results.length && h("p", {}, "No result of a model to show. That does not mean normal."));
  }

  #result(result: VersionResult): HTMLElement {
    const nothing = result.state === "done" ? "no finding; that does not mean normal" : `${result.state}${result.reason ? `: ${result.reason}` : ""}`;
    return h("section", { "data-model": result.model_id, "aria-label": nameOf(result) },
      h("p", {}, h("b", {}, nameOf(result)), result.finished && ` ${result.finished}`),
      result.findings.length === 0 && h("p", {}, nothing),
      h("ul", {}, ...result.findings.map((each) => h("li", {}, this.#finding(each)))));
  }

  #finding(finding: VersionFinding): HTMLElement {
    const facts = [
      finding.probability === null ? "" : `${Math.round(finding.probability * 100)}\u00a0%`,
      finding.risk_words, ...finding.measurements.map(([name, value]) => `${value} ${name}`),
    ].filter(Boolean).join(", ");
    const isThere = this.#detail.series.some((series) => series.images.some((image) => image.sop_uid === finding.sop_uid));
    return h("span", {},
      isThere ? button(finding.label, () => void this.#go(finding), { class: "place", title: "Show on the image of this version" }) : finding.label,
      ` ${facts}${isThere ? "" : ", on an image that was withdrawn since"}`);
  }
}

/** Return a model with its version, which its id ends with. */
const nameOf = ({ title, model_id }: VersionResult): string => [title, model_id.split("@")[1]].filter(Boolean).join(" ");
