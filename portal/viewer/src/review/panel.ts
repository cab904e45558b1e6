// The findings panel: what models found, what the reader says of it, saved as they go, handed in or signed.

import { $, announce, onKeys, stayWhile } from "../shared/page.ts";
import type { RegionKind } from "../viewer/draw.ts";
import type { Viewer } from "../viewer/viewer.ts";
import { call } from "./api.ts";
import { card, missedCard, type Table } from "./cards.ts";
import { type Child, choice, h, replace } from "./dom.ts";
import { endsOf, reportOf } from "./foot.ts";
import { MeasuredList } from "./measured.ts";
import { notices } from "./notice.ts";
import { type Page, ReviewRecord } from "./record.ts";
import * as state from "./state.ts";
import { Steps } from "./steps.ts";
import type { Code, Entry, Proposed, Rejection, Report, ReviewView, Vocabulary } from "./types.ts";

const MOST_IMPRESSION = 4000;

export class Panel implements Table, Page {
  form: Table["form"] = null;
  readonly words: Vocabulary;
  #record: ReviewRecord;
  #steps: Steps;
  #viewer: Viewer | null = null;
  /** What to show once there is a viewer: the reader may be faster than the images. */
  #wanted: ((viewer: Viewer) => void) | null = null;
  #current: string | null = null;
  #signs: boolean;
  #root: HTMLElement;
  #status = h("p", { class: "muted save-status", role: "status", "aria-live": "polite" });
  #notices = h("div", { class: "review-part", role: "alert" });
  #cards = h("div", { class: "review-part" });
  #measured: MeasuredList;
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
    this.words = words;
    this.#signs = root.dataset.signs === "true";
    this.#record = new ReviewRecord(path, view, reports, this);
    this.#steps = new Steps(this.#record, this);
    this.#measured = new MeasuredList(this.#record, () => this.#viewer, (key) => this.#focus(key));
    this.#wire();
    this.showAll();
    root.hidden = false;
    if (this.#steps.comesToSign()) void this.sign();
  }

  /** Let places be shown and regions be drawn. */
  async use(viewer: Viewer): Promise<void> {
    this.#viewer = viewer;
    viewer.marking.measurements.keeper = this.#measured;
    viewer.overlays.onChange((shown, finding) => {
      const own = this.#findings.find((each) => finding && each.overlay_url === finding.overlay_url && each.label === finding.label);
      call("POST", `${this.#record.path}/overlay`, { shown, model_id: own?.model_id ?? "" }).catch((error: unknown) => this.#record.tell(error));
    });
    this.showAll();
    this.#wanted?.(viewer);
    this.#wanted = null;
    if (this.#record.view.overlay_policy === "shown" && !viewer.overlays.layers.isShown && (await viewer.overlays.layers.exist())) await viewer.overlays.toggle();
  }

  get content(): state.Content {
    return this.#record.content;
  }

  get canWrite(): boolean {
    return this.#record.canWrite;
  }

  get canDraw(): boolean {
    return this.#viewer !== null;
  }

  get #findings(): Proposed[] {
    return this.#record.view.findings;
  }

  // --- what the reader does ---

  go(finding: Proposed): void {
    this.#current = finding.finding_id;
    const { sop_uid, frame } = finding.place;
    document.querySelector(".stage")?.scrollIntoView({ block: "nearest" }); // on a phone it may be far up
    this.#show((viewer) => {
      const layer = viewer.overlays.layers.findings.find((each) => each.label === finding.label && each.sop_uid === sop_uid && each.frame === frame);
      void (layer ? viewer.overlays.show(layer) : viewer.show(sop_uid, frame));
    });
  }

  #show(act: (viewer: Viewer) => void): void {
    if (this.#viewer) act(this.#viewer);
    else this.#wanted = act;
  }

  goTo(entry: Entry): void {
    const [first] = entry.regions;
    if (first) this.#show((viewer) => void viewer.show(first.sop_uid, first.frame));
  }

  accept(finding: Proposed): void {
    this.form = null;
    this.#record.edit(state.withEntry(this.content, state.accepted(finding, this.#entry(finding.finding_id))));
    announce(`${finding.label} accepted`);
  }

  reject(finding: Proposed, reason: Rejection): void {
    this.form = null;
    this.#record.edit(state.withEntry(this.content, state.rejected(finding, reason, this.#entry(finding.finding_id))));
    this.#focus(`${finding.finding_id}/reject`);
    announce(`${finding.label} rejected: ${reason}`);
  }

  change(finding: Proposed, change: Partial<Pick<Entry, "code" | "site" | "regions">>): void {
    this.#record.edit(state.withEntry(this.content, state.modified(finding, change, this.#entry(finding.finding_id))));
  }

  correct(entry: Entry): void {
    this.#record.edit(state.withEntry(this.content, entry));
  }

  open(id: string, kind: "modify" | "reject"): void {
    const isOpen = this.form?.id === id && this.form.kind === kind;
    this.form = isOpen ? null : { id, kind };
    this.showFindings();
    const finding = this.#proposed(id);
    if (finding && !isOpen) this.go(finding);
    if (!isOpen) this.#focus(`${id}/${kind === "modify" ? "code" : "reason"}`);
  }

  closeForm(): void {
    this.form = null;
  }

  async draw(id: string, kind: RegionKind): Promise<void> {
    const viewer = this.#viewer;
    if (!viewer) return;
    const place = this.#proposed(id)?.place ?? this.#entry(id)?.regions[0];
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
    const finding = this.#proposed(id);
    const entry = this.#entry(id);
    if (finding) this.change(finding, { regions });
    else if (entry) this.correct({ ...entry, regions });
  }

  note(id: string, text: string): void {
    const entry = this.#entry(id);
    if (entry) this.#record.type(state.withEntry(this.content, { ...entry, note: text }), `${id}/note`);
  }

  remove(id: string): void {
    this.#record.edit(state.without(this.content, id));
    this.#focus("add");
  }

  add(code: Code): void {
    const id = state.newUid();
    this.#record.edit(state.withEntry(this.content, state.missed(id, code)));
    this.#focus(`${id}/site`);
    announce(`${code.meaning} added`);
  }

  undo(): void {
    if (this.#record.takeBack()) announce("Undone");
  }

  async sign(): Promise<void> {
    if (this.#signs && (this.canWrite || this.#record.view.may.sign) && this.#isReady()) await this.#steps.sign();
  }

  async handIn(): Promise<void> {
    if (this.canWrite && this.#isReady()) await this.#steps.handIn();
  }

  #isReady(): boolean {
    if (this.focusUndecided()) return false;
    if (!state.isEmpty(this.content)) return true;
    this.say("There is nothing to sign yet: write an impression.");
    this.#impression.focus();
    return false;
  }

  focusUndecided(): boolean {
    const open = state.undecided(this.content, this.#findings);
    const [first] = open;
    if (!first) return false;
    this.say(`${open.length} finding${open.length === 1 ? " needs" : "s need"} a verdict first: ${open.map((each) => each.label).join(", ")}.`);
    this.#current = first.finding_id;
    this.#focus(`${first.finding_id}/accept`);
    return true;
  }

  #amend(): void {
    this.#record.isAmending = true;
    this.showAll();
    this.#impression.focus();
  }

  // --- the page ---

  #wire(): void {
    this.#root.replaceChildren(h("div", { class: "review-head" }, h("h2", { id: "review-title" }, "Findings"), this.#status), this.#notices, this.#cards, this.#measured.element,
      h("label", { class: "note-field" }, "Impression", this.#impression), this.#foot);
    this.#impression.addEventListener("input", () => this.#record.type({ ...this.content, impression: this.#impression.value }, "impression"));
    this.#cards.addEventListener("focusin", (event) => {
      this.#current = (event.target as HTMLElement).closest<HTMLElement>("[data-finding]")?.dataset.finding ?? this.#current;
    });
    const on = (act: (finding: Proposed) => void) => () => {
      const finding = this.#findings.find((each) => each.finding_id === this.#current) ?? state.nextOf(this.content, this.#findings, null);
      if (!finding || !this.canWrite || this.#viewer?.marking.drawing) return false;
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
    stayWhile(() => this.#record.saver.isDirty);
    addEventListener("beforeunload", (event) => { if (this.#record.saver.isDirty) event.preventDefault(); });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) void this.#record.saver.flush().catch(() => undefined);
    });
  }

  #next(): boolean {
    const finding = state.nextOf(this.content, this.#findings, this.#current);
    if (!finding) return false;
    this.go(finding);
    this.#focus(`${finding.finding_id}/place`);
    return true;
  }

  #entry(id: string): Entry | undefined {
    return state.entryOf(this.content, id);
  }

  #proposed(id: string): Proposed | undefined {
    return this.#findings.find((each) => each.finding_id === id);
  }

  #focus(key: string): void {
    this.#root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }

  say(...words: Child[]): void {
    replace(this.#status, ...words);
  }

  showAll(): void {
    this.showNotices();
    this.showFindings();
    if (this.#impression.value !== this.content.impression) this.#impression.value = this.content.impression;
    this.showEnds();
  }

  showUndo(): void {
    $<HTMLButtonElement>('[data-key="undo"]', this.#root).disabled = false;
  }

  showNotices(): void {
    replace(this.#notices, ...notices(this.#record.view, this.#record.isAmending, {
      takeOver: () => void this.#steps.takeOver(),
      goOn: () => void this.#steps.goOn(),
      discard: () => void this.#steps.discard(),
      amend: () => this.#amend(),
      recall: () => void this.#steps.recall(),
    }));
  }

  showFindings(): void {
    const { findings, kept_back: isKeptBack } = this.#record.view;
    const ids = new Set(findings.map((each) => each.finding_id));
    const own = this.content.findings.filter((each) => !ids.has(each.finding_id));
    replace(this.#cards,
      isKeptBack && h("p", { class: "problem" }, h("b", {}, "What do you see?"), " Add your findings, or say that there is nothing to report; then findings of models are shown."),
      ...findings.map((each) => card(each, this)),
      !isKeptBack && !findings.length && h("p", { class: "card" }, "No finding of a model. That does not mean normal."),
      ...own.map((each) => missedCard(each, this)),
      this.canWrite && choice<Code>(isKeptBack ? "Add a finding" : "Add a missed finding", "add", this.words.findings, (each) => each.meaning, null,
        (code) => code && this.add(code), "Choose what it is", "act"));
    this.showMeasured();
  }

  showMeasured(): void {
    this.#measured.show();
    this.#viewer?.showOwn(this.content.findings.flatMap((each) => each.regions));
  }

  showEnds(): void {
    const { canWrite } = this;
    const { view, undo, isBusy, reports } = this.#record;
    const { may, kept_back: isKeptBack, draft } = view;
    const hasOwn = !state.isEmpty(this.content);
    this.#impression.readOnly = !canWrite;
    this.#impression.parentElement!.hidden = !canWrite && !this.content.impression;
    const ends = canWrite && !isKeptBack;
    replace(this.#foot,
      endsOf({
        reveal: canWrite && isKeptBack ? { words: hasOwn ? "Show what models say" : "Nothing to report", act: () => void this.#steps.reveal() } : null,
        sign: ends && this.#signs ? () => void this.sign() : null,
        handIn: ends && !this.#signs ? () => void this.handIn() : null,
        amend: may.write && !canWrite && !draft && !isBusy ? () => this.#amend() : null,
        undo: canWrite ? { isEmpty: undo.isEmpty, act: () => this.undo() } : null,
      }),
      ...reports.map(reportOf));
  }
}
