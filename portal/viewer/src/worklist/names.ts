// Names of patients in place of pseudonyms, on demand: each is a look that the server writes down, so each is asked for once.

import type { Identity } from "../shared/api.d.ts";
import { announce, ask } from "../shared/page.ts";

const AT_ONCE = 50;

export class Names {
  #known = new Map<string, Identity>();
  #isOn = false;
  #asked: Promise<void> = Promise.resolve();
  #rows: () => HTMLElement[];

  constructor(rows: () => HTMLElement[]) {
    this.#rows = rows;
    const button = document.querySelector<HTMLButtonElement>("#names");
    if (!button) return; // not for this role
    button.hidden = false;
    button.addEventListener("click", () => {
      this.#isOn = !this.#isOn;
      button.setAttribute("aria-pressed", String(this.#isOn));
      void this.refresh().then(
        () => { if (this.#isOn) announce("Names are shown."); },
        () => announce("Names cannot be shown now."),
      );
    });
  }

  /** Write the names into the rows that are there now, or the pseudonyms. */
  async refresh(): Promise<void> {
    // One after the other, so that what is on its way is not missing.
    if (this.#isOn) await (this.#asked = this.#asked.catch(() => undefined).then(() => this.#ask()));
    for (const row of this.#rows()) this.#write(row);
  }

  async #ask(): Promise<void> {
    const missing = this.#rows().map((row) => row.dataset.study ?? "").filter((uid) => !this.#known.has(uid)).slice(0, AT_ONCE);
    if (!missing.length) return;
    const response = await ask(`/api/worklist/identities?${new URLSearchParams(missing.map((uid) => ["study_uid", uid]))}`);
    if (!response.ok) throw new Error("no answer");
    for (const each of (await response.json()) as Identity[]) this.#known.set(each.study_uid, each);
  }

  #write(row: HTMLElement): void {
    const cell = row.querySelector<HTMLElement>(".c-patient");
    const identity = this.#known.get(row.dataset.study ?? "");
    if (!cell) return;
    cell.dataset.pseudonym ??= cell.textContent ?? "";
    const name = identity?.available ? identity.name || identity.mrn : "identity unavailable";
    cell.textContent = this.#isOn && identity ? name : cell.dataset.pseudonym;
  }
}
