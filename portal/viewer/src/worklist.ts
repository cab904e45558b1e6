// The worklist: it updates by itself, and never re-orders under the cursor.

import { $, all, announce, ask, onKeys, startPage } from "./shared/page.ts";

const POLL_SECONDS = 4;

interface Row {
  study_uid: string;
  fingerprint: string;
}

interface Worklist {
  at: string;
  rows: Row[];
}

const rows = (): HTMLElement[] => all("tbody tr");
const rowOf = (element: Element | null): HTMLElement | null => element?.closest<HTMLElement>("tr") ?? null;
const linkOf = (row: Element | null): HTMLElement | null => row?.querySelector<HTMLElement>(".row-link") ?? null;

function changesOf(fresh: Row[]): number {
  const shown = new Map(rows().map((row) => [row.dataset.study, row.dataset.fingerprint]));
  const changed = fresh.filter((row) => shown.get(row.study_uid) !== row.fingerprint).length;
  const gone = [...shown.keys()].filter((uid) => !fresh.some((row) => row.study_uid === uid)).length;
  return changed + gone;
}

function inUse(): boolean {
  return Boolean(document.querySelector("tbody:hover") ?? document.activeElement?.closest("tbody"));
}

async function update(): Promise<void> {
  const response = await ask("/");
  if (!response.ok) throw new Error("no answer");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const focused = rowOf(document.activeElement)?.dataset.study;
  for (const part of ["#worklist", "#freshness"]) $(part).replaceWith($(part, page));
  $("#changes").hidden = true;
  if (focused) linkOf(rows().find((row) => row.dataset.study === focused) ?? null)?.focus();
}

function step(by: number): void {
  const links = all(".row-link");
  if (!links.length) return;
  const focused = linkOf(rowOf(document.activeElement));
  const at = focused ? links.indexOf(focused) : -1;
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
  next?.focus();
  rowOf(next ?? null)?.scrollIntoView({ block: "nearest" });
}

async function poll(): Promise<void> {
  const pill = $("#changes");
  try {
    const response = await ask("/api/worklist");
    if (!response.ok) throw new Error("no answer");
    const fresh = (await response.json()) as Worklist;
    const changes = changesOf(fresh.rows);
    if (changes && inUse()) {
      pill.textContent = `${changes} change${changes === 1 ? "" : "s"} – press r`;
      if (pill.hidden) announce(pill.textContent);
      pill.hidden = false;
    } else if (changes) {
      await update();
      announce("The worklist was updated.");
    } else {
      pill.hidden = true;
      $("#freshness").textContent = `As of ${fresh.at.slice(11, 19)} UTC`;
    }
  } catch {
    $("#freshness").textContent = "Not up to date: the portal does not answer";
  } finally {
    setTimeout(poll, POLL_SECONDS * 1000);
  }
}

const refresh = (): Promise<void> => update().then(() => announce("The worklist was updated."), () => undefined);

startPage();
if (!document.body.classList.contains("is-still")) {
  $("#changes").addEventListener("click", refresh);
  onKeys({ j: () => step(1), k: () => step(-1), r: refresh });
  setTimeout(poll, POLL_SECONDS * 1000);
}
