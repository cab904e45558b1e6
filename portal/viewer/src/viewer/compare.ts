// A second stack beside the first: another series, one of an earlier study of the patient, or of another version.

import { $, announce } from "../shared/page.ts";
import { cross, dot, minus } from "./geometry.ts";
import type { Layers } from "./layers.ts";
import type { Pane } from "./pane.ts";
import { type SeriesEntry, readPriors, readStudy } from "./source.ts";
import { stackOf, titleOf } from "./stack.ts";
import { OtherVersion } from "./superseded.ts";
import { offered, readVersion, readVersions, titleOf as titleOfVersion, type Version } from "./versions.ts";

interface Choice {
  study: string;
  entry: SeriesEntry;
  /** Of this study; without one, it is what there is now. */
  version?: Version;
}

export class Compare {
  pane: Pane | null = null;
  #study: string;
  #make: () => Pane;
  #onClose: (pane: Pane) => void;
  #choices: Choice[] = [];
  #asked = false;
  #draw: () => void;
  #other: OtherVersion | null = null;
  #turn = 0;

  constructor(study: string, make: () => Pane, onClose: (pane: Pane) => void, draw: () => void) {
    this.#study = study;
    this.#make = make;
    this.#onClose = onClose;
    this.#draw = draw;
    $("#compare-with").addEventListener("change", () => void this.#show());
  }

  get isLinked(): boolean {
    return $<HTMLInputElement>("#linked").checked;
  }

  /** What models have drawn on the version in the second pane; null where it shows no version of its own. */
  get layers(): Layers | null {
    return this.#other?.layers ?? null;
  }

  /** Open the second pane; the latest earlier study comes first, or else another series, or another version. */
  async open(series: SeriesEntry[], shown: string): Promise<void> {
    this.pane = this.#make();
    $("#compare-tools").hidden = false;
    const select = $<HTMLSelectElement>("#compare-with");
    if (!this.#asked) {
      this.#asked = true;
      select.disabled = true; // a choice of the reader must not be overtaken by the one that is made for them
      await this.#list(series);
      select.disabled = false;
    }
    const modality = series.find((each) => each.series_uid === shown)?.modality;
    const best = this.#choices.findIndex(({ study, entry }) => study !== this.#study && entry.modality === modality);
    const other = this.#choices.findIndex(({ entry }) => entry.series_uid !== shown);
    const earlier = this.#choices.findIndex(({ version }) => version && !version.is_current);
    const version = this.#choices.findIndex((each) => each.version);
    select.value = String([best, other, earlier, version].find((each) => each >= 0) ?? 0);
    await this.#show();
  }

  async #list(series: SeriesEntry[]): Promise<void> {
    const select = $<HTMLSelectElement>("#compare-with");
    this.#add(select, "This study", this.#study, series);
    for (const version of offered(await readVersions(this.#study).catch(() => []))) {
      const has = new Set(version.series_uids);
      const name = `${titleOfVersion(version)} · ${version.completed}`;
      this.#add(select, name, this.#study, series.filter((each) => has.has(each.series_uid)), version);
    }
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

  #add(select: HTMLSelectElement, name: string, study: string, series: SeriesEntry[], version?: Version): void {
    const group = document.createElement("optgroup");
    group.label = name;
    for (const entry of series) {
      const title = version ? `${titleOfVersion(version)} · ${titleOf(entry)}` : titleOf(entry);
      group.append(new Option(title, String(this.#choices.length)));
      this.#choices.push({ study, entry, ...(version ? { version } : {}) });
    }
    if (series.length) select.append(group);
  }

  async #show(): Promise<void> {
    const choice = this.#choices[Number($<HTMLSelectElement>("#compare-with").value)];
    const { pane } = this;
    if (!pane || !choice) return;
    const turn = ++this.#turn;
    this.#leave();
    const stack = await stackOf(choice.study, choice.entry);
    if (!choice.version) {
      if (turn === this.#turn) await pane.open(stack);
      return;
    }
    const found = await readVersion(this.#study, choice.version.version);
    if (turn !== this.#turn) return; // another one was chosen meanwhile
    this.#other = new OtherVersion(pane, this.#study, found, () => this.#draw());
    await this.#other.show(stack);
  }

  #leave(): void {
    this.#other?.close();
    this.#other = null;
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
    this.#turn++;
    this.#leave();
    this.pane = null;
    pane.close();
    $("#compare-tools").hidden = true;
    this.#onClose(pane);
  }
}
