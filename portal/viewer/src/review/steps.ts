// The steps of a review from a draft to a signature, and back: each with what is saved.

import { call, RefusedError } from "./api.ts";
import type { Page, ReviewRecord } from "./record.ts";
import { confirmSigning } from "./sign.ts";
import type { Report, ReviewView } from "./types.ts";

/** Says, in this tab and until it is used, that the way to the sign-in was to sign: no word of a reader. */
const SIGNING = "firstread-signing";

export class Steps {
  #record: ReviewRecord;
  #page: Pick<Page, "say" | "showAll">;

  constructor(record: ReviewRecord, page: Pick<Page, "say" | "showAll">) {
    this.#record = record;
    this.#page = page;
  }

  /** Return, once, whether the reader has come back from the sign-in to sign this study. */
  comesToSign(): boolean {
    const { view } = this.#record;
    const comes = sessionStorage.getItem(SIGNING) === view.study_uid && view.may.sign;
    sessionStorage.removeItem(SIGNING);
    return comes;
  }

  /** Save, then take a step with the review as it is saved: nothing can be written meanwhile, as it would be in neither. */
  async #step(act: (which: { number: number; revision: number }) => Promise<void>): Promise<void> {
    const record = this.#record;
    if (record.isBusy) return;
    const active = document.activeElement;
    const key = active instanceof HTMLElement ? active.dataset.key : undefined;
    record.isBusy = true;
    this.#page.showAll();
    try {
      if (!record.view.draft || record.view.draft.stale) record.saver.touch();
      await record.saver.flush();
      const { draft } = record.view;
      if (draft) await act({ number: draft.number, revision: draft.revision });
    } catch (error) {
      record.tell(error);
    } finally {
      record.isBusy = false;
      this.#page.showAll();
      // What had the focus was not there meanwhile.
      if (key && document.activeElement === document.body) document.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
    }
  }

  async #post(step: string, words: string): Promise<void> {
    await this.#step(async (which) => {
      this.#record.load(await call<ReviewView>("POST", `${this.#record.path}/review/${step}`, which));
      this.#page.say(words);
    });
  }

  async sign(): Promise<void> {
    const record = this.#record;
    // What is signed is what the server has measured, and that is to be seen before.
    if (record.content.measurements.some((each) => !each.words.length)) {
      const isSaved = await record.saver.flush().then(() => true, () => false);
      if (!isSaved || document.querySelector("dialog[open]")) return;
    }
    if (!(await confirmSigning(record.content, record.view.version, record.view.amends))) return;
    await this.#step(async (which) => {
      try {
        await call<Report>("POST", `${record.path}/review/sign`, which);
      } catch (error) {
        if (!(error instanceof RefusedError && error.problem.type === "reauthentication-required")) throw error;
        sessionStorage.setItem(SIGNING, record.view.study_uid);
        location.assign(error.problem.sign_in ?? "/sign-in");
        return;
      }
      record.reports = await call<Report[]>("GET", `${record.path}/reports`);
      record.load(await call<ReviewView>("GET", `${record.path}/review`));
      this.#page.say("Signed");
    });
  }

  async handIn(): Promise<void> {
    await this.#post("submit", "Handed in");
  }

  async recall(): Promise<void> {
    await this.#post("recall", "Taken back");
  }

  /** End the first read: what models say is shown. */
  async reveal(): Promise<void> {
    await this.#step(async (which) => {
      await call("POST", `${this.#record.path}/review/first-read`, which);
      location.reload(); // images, findings and models alike were kept back
    });
  }

  async takeOver(): Promise<void> {
    const record = this.#record;
    const view = await call<ReviewView>("POST", `${record.path}/claim`, { take_over: true }).catch((error: unknown) => { record.tell(error); });
    if (!view) return;
    record.adopt(view);
    this.#page.showAll();
    this.#page.say("You read this study now");
    if (!record.undo.isEmpty) record.saver.touch();
  }

  async discard(): Promise<void> {
    const record = this.#record;
    const { draft } = record.view;
    if (!draft) return;
    const path = `${record.path}/review?number=${draft.number}&revision=${draft.revision}`;
    const view = await call<ReviewView>("DELETE", path).catch((error: unknown) => { record.tell(error); });
    if (view) record.load(view);
  }

  /** Go on with a draft after the study has changed. */
  async goOn(): Promise<void> {
    const { saver } = this.#record;
    saver.touch();
    await saver.flush().then(() => location.reload(), () => undefined); // images may have come
  }
}
