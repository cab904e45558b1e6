// A teaching case: read, outline, hand in; then compare. The page holds nothing of what others said before that.

import type { CaseView, Said as SentSaid, Reading as SentReading, Reveal, Seen } from "./shared/api.d.ts";
import { $, all, announce, ask, onKeys, startPage } from "./shared/page.ts";
import { watchSession } from "./shared/session.ts";
import { Surface, type Frame, type Mark, type Mode, type Region, type Shape } from "./teaching/surface.ts";

/** A finding that the learner has added; all that may be said of it. */
type Said = Required<SentSaid> & { regions: Region[]; mark: Mark | null };

const path = $("main").dataset.case ?? "";
const stage = $("main").dataset.stage;
const KEPT = `firstread-reading:${path}:`;

startPage();
watchSession();
if (stage === "reading" || stage === "revealed") void openCase();

async function openCase(): Promise<void> {
  const response = await ask(path);
  if (!response.ok) return;
  const found = (await response.json()) as CaseView;
  const series = found.series.map((each) => each.images.flatMap((image) =>
    Array.from({ length: image.frames }, (_, index): Frame => ({ ...image, frame: index + 1 }))));
  const reading = stage === "reading" ? new Reading(found, KEPT + found.started_at) : null;
  const surface = new Surface($("#surface"), found.study_uid, {
    scrolled: (position) => reflect(position),
    outlined: (region) => reading?.place({ region }),
    marked: (mark) => reading?.place({ mark }),
    moded: (mode) => press(mode),
  });
  const choice = $<HTMLSelectElement>("#series");
  const slider = $<HTMLInputElement>("#slider");

  function reflect(position: number): void {
    const count = series[choice.selectedIndex]?.length ?? 0;
    $("#scroll").hidden = count < 2;
    slider.max = String(count);
    slider.value = String(position + 1);
    $("#position").textContent = `${position + 1} / ${count}`;
  }

  found.series.forEach((each, index) => {
    choice.add(new Option(each.description || each.view || `${each.modality} ${index + 1}`, String(index)));
  });
  $("#series-tool").hidden = series.length < 2;
  choice.addEventListener("change", () => surface.open(series[choice.selectedIndex] ?? []));
  slider.addEventListener("input", () => surface.go(Number(slider.value) - 1));
  if (reading) {
    reading.begin(surface);
    surface.open(series[0] ?? []);
  } else if (found.reveal) {
    const at = firstPlace(found.reveal, series);
    choice.selectedIndex = at[0];
    surface.open(series[at[0]] ?? [], at[1]);
    compare(found.reveal, surface);
  }
}

function press(mode: Mode): void {
  $("#draw").setAttribute("aria-pressed", String(mode === "outline"));
  $("#mark").setAttribute("aria-pressed", String(mode === "mark"));
}

/** The findings of a learner until they are handed in; kept in this tab, so that a reload loses none. */
class Reading {
  readonly #case: CaseView;
  readonly #key: string;
  #surface: Surface | undefined;
  #said: Said[] = [];
  #regions: Region[] = [];
  #mark: Mark | null = null;
  #isSubmitting = false;

  constructor(found: CaseView, key: string) {
    this.#case = found;
    this.#key = key;
    this.#said = JSON.parse(sessionStorage.getItem(key) ?? "[]") as Said[];
  }

  begin(surface: Surface): void {
    this.#surface = surface;
    const toggle = (mode: Mode): void => surface.set(surface.mode === mode ? "look" : mode);
    $("#draw").addEventListener("click", () => toggle("outline"));
    $("#mark").addEventListener("click", () => toggle("mark"));
    onKeys({ d: () => toggle("outline"), m: () => toggle("mark") });
    $("#add").addEventListener("submit", (event) => { event.preventDefault(); this.#add(); });
    $("#submit").addEventListener("click", () => void this.#submit());
    addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.ctrlKey) void this.#submit();
    });
    this.#show();
  }

  place({ region, mark }: { region?: Region; mark?: Mark }): void {
    if (region) this.#regions = [...this.#regions, region];
    if (mark) this.#mark = mark;
    announce("Place drawn. Choose the finding.");
    this.#show();
    $("#label").focus();
  }

  #add(): void {
    if (this.#isSubmitting) return;
    const chosen = this.#case.choices[Number($<HTMLSelectElement>("#label").value)];
    if (!chosen) return;
    const confidence = Number($<HTMLSelectElement>("#confidence").value);
    const { value, scheme } = chosen;
    this.#said.push({ value, scheme, regions: this.#regions, mark: this.#mark, confidence });
    this.#regions = [];
    this.#mark = null;
    $<HTMLFormElement>("#add").reset();
    announce(`${chosen.meaning} added.`);
    this.#show();
    $("#submit").focus();
  }

  #remove(index: number): void {
    this.#said.splice(index, 1);
    announce("Removed.");
    this.#show();
    $("#label").focus();
  }

  #show(): void {
    sessionStorage.setItem(this.#key, JSON.stringify(this.#said));
    $("#own").replaceChildren(...this.#said.map((each, index) => this.#item(each, index)));
    $("#count").textContent = String(this.#said.length);
    $("#nothing").hidden = this.#said.length > 0;
    const outlines = this.#regions.length;
    const drawn = [outlines ? `${outlines} outline${outlines > 1 ? "s" : ""}` : "", this.#mark ? "a mark" : ""];
    const words = drawn.filter(Boolean).join(" and ");
    $("#place").textContent = words
      ? `Place: ${words}, for the finding you add now.`
      : "No place drawn yet; draw one first if you can.";
    const kept = this.#said.flatMap((each) => shapesOf(each, "own"));
    this.#surface?.show([...kept, ...shapesOf({ regions: this.#regions, mark: this.#mark }, "pending")]);
  }

  #item(said: Said, index: number): HTMLElement {
    const code = this.#case.choices.find((each) => each.value === said.value && each.scheme === said.scheme);
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = code?.meaning ?? said.value;
    const facts = document.createElement("span");
    facts.className = "muted";
    const place = said.regions.length ? "outlined" : said.mark ? "marked" : "no place";
    facts.textContent = ` sure ${said.confidence} of 5, ${place} `;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${name.textContent}`);
    remove.addEventListener("click", () => this.#remove(index));
    item.append(name, facts, remove);
    return item;
  }

  async #submit(): Promise<void> {
    if (this.#isSubmitting) return;
    if (this.#regions.length || this.#mark) {
      this.#complain("A place is drawn that belongs to no finding yet. Add the finding first.");
      return;
    }
    this.#isSubmitting = true; // the button stays: disabled, it would lose the focus
    const findings = this.#said.map(({ regions, ...rest }) => ({ ...rest, regions }));
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ findings } satisfies SentReading) };
    const response = await ask(`${path}/submit`, options).catch(() => null);
    if (response?.ok || response?.status === 409) {
      sessionStorage.removeItem(this.#key);
      location.reload();
      return;
    }
    this.#isSubmitting = false;
    this.#complain("It could not be handed in. Try again.");
  }

  #complain(words: string): void {
    $("#problem").textContent = words;
    $("#problem").hidden = false;
  }
}

function shapesOf({ regions, mark }: { regions: Region[]; mark: Mark | null }, layer: string): Shape[] {
  return [...regions.map((region) => ({ layer, region })), ...(mark ? [{ layer, mark }] : [])];
}

function compare(reveal: Reveal, surface: Surface): void {
  const boxes = all<HTMLInputElement>("[data-layer]");
  const layers: Record<string, Seen[]> = { own: reveal.own, truth: reveal.truth, model: reveal.model ?? [] };
  const show = (): void => {
    const shown = boxes.filter((box) => box.checked).map((box) => box.dataset.layer ?? "");
    surface.show(shown.flatMap((layer) => (layers[layer] ?? []).flatMap((seen) => shapesOf(seen, layer))));
  };
  for (const box of boxes) box.addEventListener("change", show);
  show();
  $("#reveal").focus();
}

/** Return series and position of the first place that anybody named; of the first image where nobody did. */
function firstPlace(reveal: Reveal, series: Frame[][]): [number, number] {
  const seen = [...reveal.truth, ...reveal.own, ...(reveal.model ?? [])];
  for (const place of seen.flatMap((each) => [...each.regions, ...(each.mark ? [each.mark] : [])])) {
    for (const [index, frames] of series.entries()) {
      const at = frames.findIndex((frame) => frame.sop_uid === place.sop_uid && frame.frame === place.frame);
      if (at >= 0) return [index, at];
    }
  }
  return [0, 0];
}
