// A second stack beside the first: another series, or one of an earlier study of the patient.

import { $, announce } from "../shared/page.ts";
import { cross, dot, minus } from "./geometry.ts";
import type { Pane } from "./pane.ts";
import { type SeriesEntry, readPriors, readStudy } from "./source.ts";
import { stackOf, titleOf } from "./stack.ts";

interface Choice {
  study: string;
  entry: SeriesEntry;
}

export class Compare {
  pane: Pane | null = null;
  #study: string;
  #make: () => Pane;
  #onClose: (pane: Pane) => void;
  #choices: Choice[] = [];
  #asked = false;

  constructor(study: string, make: () => Pane, onClose: (pane: Pane) => void) {
    this.#study = study;
    this.#make = make;
    this.#onClose = onClose;
    $("#compare-with").addEventListener("change", () => void this.#show());
  }

  get isLinked(): boolean {
    return $<HTMLInputElement>("#linked").checked;
  }

  /** Open the second pane; the latest earlier study comes first, or else another series. */
  async open(series: SeriesEntry[], shown: string): Promise<void> {
    this.pane = this.#make();
    $("#compare-tools").hidden = false;
    if (!this.#asked) {
      this.#asked = true;
      await this.#list(series);
    }
    const select = $<HTMLSelectElement>("#compare-with");
    const modality = series.find((each) => each.series_uid === shown)?.modality;
    const best = this.#choices.findIndex(({ study, entry }) => study !== this.#study && entry.modality === modality);
    const other = this.#choices.findIndex(({ entry }) => entry.series_uid !== shown);
    select.value = String(Math.max(0, best >= 0 ? best : other));
    await this.#show();
  }

  async #list(series: SeriesEntry[]): Promise<void> {
    const select = $<HTMLSelectElement>("#compare-with");
    this.#add(select, "This study", this.#study, series);
    const priors = await readPriors(this.#study).catch(() => []);
    for (const prior of priors) {
      // What is not for this reader answers like what is not there.
      const entry = await readStudy(prior.study_uid).catch(() => null);
      const date = prior.date.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");
      const name = [date, prior.modalities, prior.description].filter(Boolean).join(" · ") || "Other study";
      if (entry) this.#add(select, name, prior.study_uid, entry.series);
    }
    if (!priors.length) announce("There is no other study of this patient.");
  }

  #add(select: HTMLSelectElement, name: string, study: string, series: SeriesEntry[]): void {
    const group = document.createElement("optgroup");
    group.label = name;
    for (const entry of series) {
      group.append(new Option(titleOf(entry), String(this.#choices.length)));
      this.#choices.push({ study, entry });
    }
    if (series.length) select.append(group);
  }

  async #show(): Promise<void> {
    const choice = this.#choices[Number($<HTMLSelectElement>("#compare-with").value)];
    if (!this.pane || !choice) return;
    await this.pane.open(await stackOf(choice.study, choice.entry));
  }

  /** Return the index that goes with what the leader will show: the same place in the patient, or as many steps. */
  matching(leader: Pane, follower: Pane, by: number): number {
    const wanted = leader.stack?.frames[leader.index];
    const frames = follower.stack?.frames ?? [];
    const plane = wanted?.plane;
    const shares = plane && wanted.frameOfReference !== "" && frames[0]?.frameOfReference === wanted.frameOfReference;
    if (!shares) return follower.index + by;
    const normal = cross(plane.across, plane.down);
    const distances = frames.map((each) =>
      each.plane ? Math.abs(dot(minus(each.plane.position, plane.position), normal)) : Number.POSITIVE_INFINITY);
    return distances.indexOf(Math.min(...distances));
  }

  close(): void {
    const { pane } = this;
    if (!pane) return;
    this.pane = null;
    pane.close();
    $("#compare-tools").hidden = true;
    this.#onClose(pane);
  }
}
