// The findings panel: what models found, what the reader says of it, saved as they go, handed in or signed.

import { $, announce, onKeys } from "../shared/page.ts";
import type { RegionKind } from "../viewer/draw.ts";
import type { Viewer } from "../viewer/viewer.ts";
import { call, type Problem, RefusedError } from "./api.ts";
import { card, missedCard, type Table } from "./cards.ts";
import { button, choice, h, replace } from "./dom.ts";
import { notices } from "./notice.ts";
import { Saver } from "./saver.ts";
import { confirmSigning } from "./sign.ts";
import * as state from "./state.ts";
import type { Code, Entry, Proposed, Report, ReviewView, Vocabulary } from "./types.ts";

const MOST_IMPRESSION = 4000;
/** Says, in this tab and until it is used, that the way to the sign-in was to sign: no word of a reader. */
const SIGNING = "firstread-signing";

export class Panel implements Table {
  content: state.Content;
  form: Table["form"] = null;
  readonly words: Vocabulary;
  #path: string;
  #view: ReviewView;
  #reports: Report[];
  #viewer: Viewer | null = null;
  #undo = new state.Undo();
  #saver = new Saver(() => this.#save());
  #current: string | null = null;
  #isAmending = false;
  #isBusy = false;
  #signs: boolean;
  #root: HTMLElement;
  #status = h("p", { class: "muted save-status", role: "status", "aria-live": "polite" });
  #notices = h("div", { class: "review-part", role: "alert" });
  #cards = h("div", { class: "review-part" });
  #impression = h("textarea", { id: "impression", rows: "4", maxlength: String(MOST_IMPRESSION), autocomplete: "off" });
  #foot = h("div", { class: "review-part" });

  /** Open the panel on a study. */
  static async open(root: HTMLElement, study: string): Promise<Panel> {
    const path = `/api/studies/${study}`;
    const [view, words, reports] = await Promise.all([
      call<ReviewView>("GET", `${path}/review`), call<Vocabulary>("GET", "/api/vocabulary"), call<Report[]>("GET", `${path}/reports`),
    ]);
    return new Panel(root, path, view, words, reports);
  }

  private constructor(root: HTMLElement, path: string, view: ReviewView, words: Vocabulary, reports: Report[]) {
    this.#root = root;
    this.#path = path;
    this.#view = view;
    this.words = words;
    this.#reports = reports;
    this.#signs = root.dataset.signs === "true";
    this.content = this.#contentOf(view);
    this.#wire();
    this.#render();
    root.hidden = false;
    if (sessionStorage.getItem(SIGNING) === view.study_uid && view.may.sign) void this.sign();
    sessionStorage.removeItem(SIGNING);
  }

  /** Let places be shown and regions be drawn. */
  async use(viewer: Viewer): Promise<void> {
    this.#viewer = viewer;
    viewer.onLayers((shown, finding) => {
      const own = this.#view.findings.find((each) => finding && each.overlay_url === finding.overlay_url && each.label === finding.label);
      call("POST", `${this.#path}/overlay`, { shown, model_id: own?.model_id ?? "" }).catch((error: unknown) => this.#tell(error));
    });
    this.#render();
    if (this.#view.overlay_policy === "shown" && !viewer.layers.isShown && (await viewer.layers.exist())) await viewer.toggleLayers();
  }

  get canWrite(): boolean {
    const { may, draft, amends } = this.#view;
    const own = draft !== null && draft.stale === "";
    return may.write && !this.#isBusy && draft?.stale !== "changed" && (own || amends === 0 || this.#isAmending);
  }

  get canDraw(): boolean {
    return this.#viewer !== null;
  }

  // --- what the reader does ---

  go(finding: Proposed): void {
    this.#current = finding.finding_id;
    const { sop_uid, frame } = finding.place;
    document.querySelector(".stage")?.scrollIntoView({ block: "nearest" }); // on a phone it may be far up
    const layer = this.#viewer?.layers.findings.find((each) => each.label === finding.label && each.sop_uid === sop_uid && each.frame === frame);
    if (layer) void this.#viewer?.showLayer(layer);
    else void this.#viewer?.show(sop_uid, frame);
  }

  goTo(entry: Entry): void {
    const [first] = entry.regions;
    if (first) void this.#viewer?.show(first.sop_uid, first.frame);
  }

  accept(finding: Proposed): void {
    this.form = null;
    this.#edit(state.withEntry(this.content, state.accepted(finding, this.#entry(finding.finding_id))));
    announce(`${finding.label} accepted`);
  }

  reject(finding: Proposed, reason: string): void {
    this.form = null;
    this.#edit(state.withEntry(this.content, state.rejected(finding, reason, this.#entry(finding.finding_id))));
    this.#focus(`${finding.finding_id}/reject`);
    announce(`${finding.label} rejected: ${reason}`);
  }

  change(finding: Proposed, change: Partial<Pick<Entry, "code" | "site" | "regions">>): void {
    this.#edit(state.withEntry(this.content, state.modified(finding, change, this.#entry(finding.finding_id))));
  }

  correct(entry: Entry): void {
    this.#edit(state.withEntry(this.content, entry));
  }

  open(id: string, kind: "modify" | "reject"): void {
    const isOpen = this.form?.id === id && this.form.kind === kind;
    this.form = isOpen ? null : { id, kind };
    this.#renderCards();
    const finding = this.#view.findings.find((each) => each.finding_id === id);
    if (finding && !isOpen) this.go(finding);
    if (!isOpen) this.#focus(`${id}/${kind === "modify" ? "code" : "reason"}`);
  }

  async draw(id: string, kind: RegionKind): Promise<void> {
    const viewer = this.#viewer;
    if (!viewer) return;
    const place = this.#view.findings.find((each) => each.finding_id === id)?.place ?? this.#entry(id)?.regions[0];
    const here = viewer.place;
    if (place && here?.series !== place.series_uid) await viewer.show(place.sop_uid, place.frame);
    // The brush goes on with what is there on these images; an outline is one more.
    const shown = new Set(viewer.main.stack?.frames.map((each) => each.sop));
    const before = this.#entry(id)?.regions ?? [];
    const start = kind === "brush" ? before.filter((each) => shown.has(each.sop_uid)) : [];
    const drawn = await viewer.drawRegion(kind, start);
    if (drawn.length) this.#setRegions(id, [...before.filter((each) => !start.includes(each)), ...drawn]);
    this.#focus(`${id}/${kind}`);
  }

  erase(id: string): void {
    this.#setRegions(id, []);
    this.#focus(`${id}/polygon`);
  }

  #setRegions(id: string, regions: Entry["regions"]): void {
    const finding = this.#view.findings.find((each) => each.finding_id === id);
    const entry = this.#entry(id);
    if (finding) this.change(finding, { regions });
    else if (entry) this.correct({ ...entry, regions });
  }

  note(id: string, text: string): void {
    const entry = this.#entry(id);
    if (entry) this.#type(state.withEntry(this.content, { ...entry, note: text }), `${id}/note`);
  }

  remove(id: string): void {
    this.#edit(state.without(this.content, id));
    this.#focus("add");
  }

  add(code: Code): void {
    const id = state.newUid();
    this.#edit(state.withEntry(this.content, state.missed(id, code)));
    this.#focus(`${id}/site`);
    announce(`${code.meaning} added`);
  }

  undo(): void {
    const before = this.#undo.pop();
    if (!before || !this.canWrite) return;
    this.content = before;
    this.#saver.touch();
    this.#render();
    announce("Undone");
  }

  // --- saving ---

  #edit(content: state.Content): void {
    if (!this.canWrite) return;
    this.#undo.push(this.content);
    this.#changed(content);
    this.#renderCards();
    this.#renderFoot();
  }

  /** As `#edit`, for what is typed: the field is left alone. */
  #type(content: state.Content, field: string): void {
    if (!this.canWrite) return;
    this.#undo.push(this.content, field);
    this.#changed(content);
    $<HTMLButtonElement>('[data-key="undo"]', this.#root).disabled = false;
  }

  #changed(content: state.Content): void {
    this.content = content;
    this.#status.textContent = "Not saved yet";
    this.#claim();
    this.#saver.touch();
  }

  #claiming = false;

  /** Hold the study with the first edit: others are told at once, and not after the save. */
  #claim(): void {
    if (this.#view.claim.mine || this.#claiming) return;
    this.#claiming = true;
    call<ReviewView>("POST", `${this.#path}/claim`, {})
      .then((view) => { this.#view.claim = view.claim; this.#own(); }, (error: unknown) => this.#tell(error))
      .finally(() => { this.#claiming = false; });
  }

  async #save(): Promise<void> {
    this.#status.textContent = "Saving…";
    try {
      const view = await call<ReviewView>("PUT", `${this.#path}/review`, state.bodyOf(this.content, this.#view));
      this.#isAmending = false;
      this.#adopt(view);
      this.#status.textContent = `Saved ${view.draft?.saved_at.slice(11, 16) ?? ""} UTC`;
    } catch (error) {
      this.#status.textContent = "Not saved";
      this.#tell(error);
      throw error;
    }
  }

  /** The page has changed the study itself: that is no news to its reader. */
  #own(): void {
    $("main").dataset.fingerprint = "";
  }

  /** Return what a review says; where none is being written, the verdicts that are signed. */
  #contentOf(view: ReviewView): state.Content {
    const [report] = this.#reports;
    return report && !view.draft ? state.addendumTo(report, view.findings) : state.contentOf(view);
  }

  /** Take how things stand now, and leave alone what the reader has said. */
  #adopt(view: ReviewView): void {
    this.#view = view;
    this.#own();
    this.#renderNotices();
    this.#renderFoot();
  }

  /** Take all that the server has, in place of what is here. */
  #load(view: ReviewView): void {
    this.#saver.forget();
    this.#undo.clear();
    this.content = this.#contentOf(view);
    this.form = null;
    this.#adopt(view);
    this.#render();
  }

  #tell(error: unknown): void {
    if (!(error instanceof RefusedError)) throw error;
    const { problem } = error;
    if (problem.current) this.#meet(problem, problem.current);
    if (problem.status !== 401) {
      if (!problem.current) this.#status.textContent = error.message;
      return;
    }
    replace(this.#status, "Your session has ended; what you wrote is still here. ",
      h("a", { href: `/sign-in?next=${encodeURIComponent(location.pathname)}`, target: "_blank", rel: "noopener" }, "Sign in in another window"),
      ", then ", button("save again", () => void this.#saver.flush().catch(() => undefined), { class: "quiet" }), ".");
  }

  /** Somebody was faster: say so, and show what there is. */
  #meet(problem: Problem, current: ReviewView): void {
    if (problem.reason === "held" || problem.reason === "changed") {
      this.#adopt(current);
      this.#renderCards();
      this.#status.textContent = problem.reason === "held" ? `Not saved: ${problem.holder} is reading this study` : "Not saved: the study has changed";
    } else if (problem.reason === "undecided") {
      this.#adopt(current);
      this.#focusUndecided();
    } else if (problem.reason === "stale" || problem.reason === "signed" || problem.reason === "handed in" || problem.reason === "gone") {
      this.#load(current);
      this.#status.textContent = `Changed elsewhere: ${problem.detail ?? ""}. This is what there is now.`;
    } else {
      this.#adopt(current);
      this.#status.textContent = problem.detail ?? "";
    }
  }

  // --- steps ---

  /** Save, then take a step with the review as it is saved. */
  async #step(act: (which: { number: number; revision: number }) => Promise<void>): Promise<void> {
    if (this.#isBusy) return;
    try {
      if (!this.#view.draft || this.#view.draft.stale) this.#saver.touch();
      await this.#saver.flush();
      const draft = this.#view.draft;
      this.#isBusy = true;
      if (draft) await act({ number: draft.number, revision: draft.revision });
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#isBusy = false;
      this.#render();
    }
  }

  async #post(step: string, words: string): Promise<void> {
    await this.#step(async (which) => {
      this.#load(await call<ReviewView>("POST", `${this.#path}/review/${step}`, which));
      this.#status.textContent = words;
    });
  }

  #isReady(): boolean {
    if (this.#focusUndecided()) return false;
    if (this.content.findings.length || this.content.impression.trim()) return true;
    this.#status.textContent = "There is nothing to sign yet: write an impression.";
    this.#impression.focus();
    return false;
  }

  #focusUndecided(): boolean {
    const open = state.undecided(this.content, this.#view.findings);
    const [first] = open;
    if (!first) return false;
    this.#status.textContent = `${open.length} finding${open.length === 1 ? " needs" : "s need"} a verdict first: ${open.map((each) => each.label).join(", ")}.`;
    this.#current = first.finding_id;
    this.#focus(`${first.finding_id}/accept`);
    return true;
  }

  async sign(): Promise<void> {
    if (!this.#signs || !(this.canWrite || this.#view.may.sign) || !this.#isReady()) return;
    if (!(await confirmSigning(this.content, this.#view.version, this.#view.amends))) return;
    await this.#step(async (which) => {
      try {
        await call<Report>("POST", `${this.#path}/review/sign`, which);
      } catch (error) {
        if (!(error instanceof RefusedError && error.problem.type === "reauthentication-required")) throw error;
        sessionStorage.setItem(SIGNING, this.#view.study_uid);
        location.assign(error.problem.sign_in ?? "/sign-in");
        return;
      }
      this.#reports = await call<Report[]>("GET", `${this.#path}/reports`);
      this.#load(await call<ReviewView>("GET", `${this.#path}/review`));
      this.#status.textContent = "Signed";
    });
  }

  async handIn(): Promise<void> {
    if (this.canWrite && this.#isReady()) await this.#post("submit", "Handed in");
  }

  async #reveal(): Promise<void> {
    await this.#step(async (which) => {
      await call("POST", `${this.#path}/review/first-read`, which);
      location.reload(); // images, findings and models alike were kept back
    });
  }

  async #takeOver(): Promise<void> {
    const view = await call<ReviewView>("POST", `${this.#path}/claim`, { take_over: true }).catch((error: unknown) => { this.#tell(error); });
    if (!view) return;
    this.#adopt(view);
    this.#render();
    this.#status.textContent = "You read this study now";
    if (!this.#undo.isEmpty) this.#saver.touch();
  }

  async #discard(): Promise<void> {
    const draft = this.#view.draft;
    if (!draft) return;
    const path = `${this.#path}/review?number=${draft.number}&revision=${draft.revision}`;
    const view = await call<ReviewView>("DELETE", path).catch((error: unknown) => { this.#tell(error); });
    if (view) this.#load(view);
  }

  #amend(): void {
    this.#isAmending = true;
    this.#render();
    this.#impression.focus();
  }

  // --- the page ---

  #wire(): void {
    this.#root.replaceChildren(h("div", { class: "review-head" }, h("h2", { id: "review-title" }, "Findings"), this.#status), this.#notices, this.#cards,
      h("label", { class: "note-field" }, "Impression", this.#impression), this.#foot);
    this.#impression.addEventListener("input", () => this.#type({ ...this.content, impression: this.#impression.value }, "impression"));
    this.#cards.addEventListener("focusin", (event) => {
      this.#current = (event.target as HTMLElement).closest<HTMLElement>("[data-finding]")?.dataset.finding ?? this.#current;
    });
    const on = (act: (finding: Proposed) => void) => () => {
      const finding = this.#view.findings.find((each) => each.finding_id === this.#current) ?? state.nextOf(this.content, this.#view.findings, null);
      if (!finding || !this.canWrite || this.#viewer?.drawing) return false;
      this.#current = finding.finding_id;
      act(finding);
      return true;
    };
    onKeys({
      a: on((each) => this.accept(each)),
      m: on((each) => this.open(each.finding_id, "modify")),
      x: on((each) => this.open(each.finding_id, "reject")),
      n: () => this.#next(),
    });
    addEventListener("keydown", (event) => {
      if (!event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
      const isTyping = event.target instanceof Element && event.target.matches("textarea, input:not([type=range])");
      if (event.key === "Enter") void (this.#signs ? this.sign() : this.handIn());
      else if (event.key === "z" && !isTyping) this.undo();
      else return;
      event.preventDefault();
    });
    addEventListener("beforeunload", (event) => { if (this.#saver.isDirty) event.preventDefault(); });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) void this.#saver.flush().catch(() => undefined);
    });
  }

  #next(): boolean {
    const finding = state.nextOf(this.content, this.#view.findings, this.#current);
    if (!finding) return false;
    this.go(finding);
    this.#focus(`${finding.finding_id}/place`);
    return true;
  }

  #entry(id: string): Entry | undefined {
    return state.entryOf(this.content, id);
  }

  #focus(key: string): void {
    this.#root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  #render(): void {
    this.#renderNotices();
    this.#renderCards();
    if (this.#impression.value !== this.content.impression) this.#impression.value = this.content.impression;
    this.#renderFoot();
  }

  #renderNotices(): void {
    replace(this.#notices, ...notices(this.#view, this.#isAmending, {
      takeOver: () => void this.#takeOver(),
      goOn: () => void this.#goOn(),
      discard: () => void this.#discard(),
      amend: () => this.#amend(),
      recall: () => void this.#post("recall", "Taken back"),
    }));
  }

  async #goOn(): Promise<void> {
    this.#saver.touch();
    await this.#saver.flush().then(() => location.reload(), () => undefined); // images may have come
  }

  #renderCards(): void {
    const { findings, kept_back: isKeptBack } = this.#view;
    const ids = new Set(findings.map((each) => each.finding_id));
    const own = this.content.findings.filter((each) => !ids.has(each.finding_id));
    replace(this.#cards,
      isKeptBack && h("p", { class: "problem" }, h("b", {}, "What do you see?"), " Add your findings, or say that there is nothing to report; then findings of models are shown."),
      ...findings.map((each) => card(each, this)),
      !isKeptBack && !findings.length && h("p", { class: "card" }, "No finding of a model. That does not mean normal."),
      ...own.map((each) => missedCard(each, this)),
      this.canWrite && choice<Code>(isKeptBack ? "Add a finding" : "Add a missed finding", "add", this.words.findings, (each) => each.meaning, null,
        (code) => code && this.add(code), "Choose what it is", "act"));
    this.#viewer?.showOwn(this.content.findings.flatMap((each) => each.regions));
  }

  #renderFoot(): void {
    const { may, kept_back: isKeptBack, draft } = this.#view;
    const hasOwn = this.content.findings.length > 0 || this.content.impression.trim() !== "";
    this.#impression.readOnly = !this.canWrite;
    this.#impression.parentElement!.hidden = !this.canWrite && !this.content.impression;
    const ends = this.canWrite && !isKeptBack;
    replace(this.#foot,
      h("div", { class: "actions" },
        this.canWrite && isKeptBack && button(hasOwn ? "Show what models say" : "Nothing to report", () => void this.#reveal(), { class: "primary", "data-key": "reveal" }),
        ends && this.#signs && button("Sign…", () => void this.sign(), { class: "primary", "data-key": "sign", "aria-keyshortcuts": "Control+Enter" }),
        ends && !this.#signs && button("Hand in", () => void this.handIn(), { class: "primary", "data-key": "submit", "aria-keyshortcuts": "Control+Enter" }),
        this.#undoButton(),
        may.write && !this.canWrite && !draft && !this.#isBusy && button("Write an addendum", () => this.#amend(), { "data-key": "amend" })),
      ...this.#reports.map(reportOf));
  }

  #undoButton(): HTMLElement {
    const made = button("Undo", () => this.undo(), { "data-key": "undo", class: "quiet", "aria-keyshortcuts": "Control+Z" });
    made.disabled = this.#undo.isEmpty;
    made.hidden = !this.canWrite;
    return made;
  }
}

function reportOf(report: Report): HTMLElement {
  const [head = "", ...lines] = report.text;
  return h("article", { class: "card report", "aria-label": `Report ${report.number}` },
    h("h3", {}, `✓ ${head}`),
    h("ul", { class: "plain-lines" }, ...lines.map((each) => h("li", { class: "prose" }, each))),
    h("p", {}, "Save: ", ...report.objects.flatMap((each, index) => [index ? ", " : "", h("a", { href: each.url, download: true }, each.words)])));
}
