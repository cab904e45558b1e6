// What is said of one study: what is here and not saved yet, what the server has, and what is done where they differ.

import { $ } from "../shared/page.ts";
import { call, type Problem, RefusedError } from "./api.ts";
import { button, type Child, h } from "./dom.ts";
import { Saver } from "./saver.ts";
import * as state from "./state.ts";
import type { Report, ReviewView } from "./types.ts";

/** What the page does when the record has changed. */
export interface Page {
  say: (...words: Child[]) => void;
  showNotices: () => void;
  showFindings: () => void;
  showMeasured: () => void;
  showEnds: () => void;
  showAll: () => void;
  /** A keystroke has changed what is said: the field shows it already. */
  showUndo: () => void;
  /** Close what is open, as what it was about may be gone. */
  closeForm: () => void;
  focusUndecided: () => boolean;
}

export class ReviewRecord {
  content: state.Content;
  view: ReviewView;
  reports: Report[];
  isAmending = false;
  isBusy = false;
  readonly path: string;
  readonly undo = new state.Undo();
  readonly saver = new Saver(() => this.#save());
  #page: Page;
  #claiming = false;

  constructor(path: string, view: ReviewView, reports: Report[], page: Page) {
    this.path = path;
    this.view = view;
    this.reports = reports;
    this.#page = page;
    this.content = this.#contentOf(view);
  }

  get canWrite(): boolean {
    const { may, draft, amends } = this.view;
    const own = draft !== null && draft.stale === "";
    return may.write && !this.isBusy && draft?.stale !== "changed" && (own || amends === 0 || this.isAmending);
  }

  edit(content: state.Content): void {
    if (!this.canWrite) return;
    this.undo.push(this.content);
    this.#changed(content);
    this.#page.showFindings();
    this.#page.showEnds();
  }

  /** As `edit`, for what is typed: the field is left alone. */
  type(content: state.Content, field: string): void {
    if (!this.canWrite) return;
    this.undo.push(this.content, field);
    this.#changed(content);
    this.#page.showUndo();
  }

  /** Take the last change back; returns whether there was one. */
  takeBack(): boolean {
    const before = this.undo.pop();
    if (!before || !this.canWrite) return false;
    this.content = before;
    this.#page.say("Not saved yet");
    this.saver.touch();
    this.#page.showAll();
    return true;
  }

  #changed(content: state.Content): void {
    this.content = content;
    this.#page.say("Not saved yet");
    this.#claim();
    this.saver.touch();
  }

  /** Hold the study with the first edit: others are told at once, and not after the save. */
  #claim(): void {
    if (this.view.claim.mine || this.#claiming) return;
    this.#claiming = true;
    this.#own();
    call<ReviewView>("POST", `${this.path}/claim`, {})
      .then((view) => { this.view.claim = view.claim; this.#own(); }, (error: unknown) => this.tell(error))
      .finally(() => { this.#claiming = false; });
  }

  async #save(): Promise<void> {
    this.#page.say("Saving…");
    this.#own(); // on its way: whoever asks meanwhile may be told of it, or not
    try {
      const view = await call<ReviewView>("PUT", `${this.path}/review`, state.bodyOf(this.content, this.view));
      this.isAmending = false;
      this.adopt(view);
      this.#measured(view);
      this.#page.say(this.saver.isBehind ? "Not saved yet" : `Saved ${view.draft?.saved_at.slice(11, 16) ?? ""} UTC`);
    } catch (error) {
      this.#page.say("Not saved");
      this.tell(error);
      throw error;
    }
  }

  /** Take the values that the server has made of what was measured; what the reader has said meanwhile stays. */
  #measured(view: ReviewView): void {
    const content = state.withValues(this.content, view.measurements);
    if (content === this.content) return;
    this.content = content;
    this.#page.showMeasured();
  }

  /** The page has changed the study itself: that is no news to its reader. */
  #own(): void {
    $("main").dataset.fingerprint = "";
  }

  /** Return what a review says; where none is being written, the verdicts that are signed. */
  #contentOf(view: ReviewView): state.Content {
    const [report] = this.reports;
    return report && !view.draft ? state.addendumTo(report, view.findings) : state.contentOf(view);
  }

  /** Take how things stand now, and leave alone what the reader has said. */
  adopt(view: ReviewView): void {
    this.view = view;
    this.#own();
    this.#page.showNotices();
    this.#page.showEnds();
  }

  /** Take all that the server has, in place of what is here. */
  load(view: ReviewView): void {
    this.saver.forget();
    this.undo.clear();
    this.content = this.#contentOf(view);
    this.#page.closeForm();
    this.adopt(view);
    this.#page.showAll();
  }

  /** Say why the server refused, and show what there is. */
  tell(error: unknown): void {
    if (!(error instanceof RefusedError)) throw error;
    const { problem } = error;
    if (problem.current) this.#meet(problem, problem.current);
    if (problem.status !== 401) {
      if (!problem.current) this.#page.say(error.message);
      return;
    }
    this.#page.say("Your session has ended; what you wrote is still here. ",
      h("a", { href: `/sign-in?next=${encodeURIComponent(location.pathname)}`, target: "_blank", rel: "noopener" }, "Sign in in another window"),
      ", then ", button("save again", () => void this.saver.flush().catch(() => undefined), { class: "quiet" }), ".");
  }

  /** Somebody was faster: say so, and show what there is. */
  #meet(problem: Problem, current: ReviewView): void {
    if (problem.reason === "held" || problem.reason === "changed") {
      this.adopt(current);
      this.#page.showFindings();
      this.#page.say(problem.reason === "held" ? `Not saved: ${problem.holder} is reading this study` : "Not saved: the study has changed");
    } else if (problem.reason === "undecided") {
      this.adopt(current);
      this.#page.focusUndecided();
    } else if (problem.reason === "stale" || problem.reason === "signed" || problem.reason === "handed in" || problem.reason === "gone") {
      this.load(current);
      this.#page.say(`Changed elsewhere: ${problem.detail ?? ""}. This is what there is now.`);
    } else {
      this.adopt(current);
      this.#page.say(problem.detail ?? "");
    }
  }
}
