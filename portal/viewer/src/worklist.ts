// The worklist: told by the server what changes, and never re-ordered under the cursor.

import type { Claim, Problem } from "./shared/api.d.ts";
import { $, all, announce, ask, onKeys, signIn, startPage } from "./shared/page.ts";
import { watchSession } from "./shared/session.ts";
import { Names } from "./worklist/names.ts";
import { News, type Change, type Shown } from "./worklist/news.ts";

const QUIET_MS = 700; // before a list that nobody points at updates by itself: changes come in bursts
const MOST_ROWS = 500;
const ANSWER_MS = 30_000; // after which the portal counts as not answering: other readings wait for this one

const main = $("main");
const pill = $<HTMLButtonElement>("#changes");
const filters = $<HTMLDetailsElement>("#filters");
const form = $<HTMLFormElement>("#filter-form");
const kept = `firstread.filter.${main.dataset.reader ?? ""}`;
const isLive = "live" in main.dataset;
const news = new News();

const rows = (): HTMLElement[] => all("#worklist tbody tr");
const rowOf = (element: Element | null): HTMLElement | null => element?.closest<HTMLElement>("tbody tr") ?? null;
const linkOf = (row: Element | null): HTMLElement | null => row?.querySelector<HTMLElement>(".row-link") ?? null;
const uidOf = (row: Element | null): string | undefined => (row instanceof HTMLElement ? row.dataset.study : undefined);
const rowFor = (uid: string | undefined): HTMLElement | undefined => rows().find((each) => each.dataset.study === uid);

const names = new Names(rows);
const rename = (): void => void names.refresh().catch(() => announce("Names cannot be shown now."));

function shown(): Shown[] {
  return rows().map((row) => ({
    uid: row.dataset.study ?? "",
    fingerprint: row.dataset.fingerprint ?? "",
    urgent: row.classList.contains("is-urgent"),
  }));
}

/** Return what the form asks for, without its empty fields. */
function asked(): URLSearchParams {
  const wanted = [...new FormData(form)].flatMap(([name, value]) =>
    typeof value === "string" && value.trim() ? [[name, name === "body_part" ? value.trim().toUpperCase() : value]] : []);
  return new URLSearchParams(wanted);
}

const pathOf = (query: URLSearchParams): string => {
  const text = query.toString();
  return location.pathname + (text ? `?${text}` : "");
};

// --- reading pages ---------------------------------------------------------------------------------------

let last: Promise<unknown> = Promise.resolve();
let isReading = false;
let meanwhile: Change[] = []; // what a list that is on its way may know or not

/** Read the list one time after the other, in the order of asking: no answer overtakes a later one. */
function inTurn(act: () => Promise<unknown>): Promise<void> {
  const mine = last.then(async () => {
    isReading = true;
    await act();
  }).finally(() => {
    isReading = false;
    for (const change of meanwhile.splice(0)) heard(change);
  });
  last = mine.catch(() => undefined);
  return mine;
}

async function read(path: string): Promise<Document> {
  const response = await ask(path, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error("no answer");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

/** Wait until no dialog is open: what it asks about stays where it is, and gets the focus back when it closes. */
async function closed(): Promise<void> {
  for (let open = openDialog(); open; open = openDialog()) {
    const dialog = open;
    await new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
  }
}

const openDialog = (): Element | null => document.querySelector("dialog[open]");

/** Put a fresh list in place of this one; what has the focus keeps it, at the same place of the window. */
function replace(page: Document): void {
  const focused = document.activeElement;
  const row = rowOf(focused);
  const at = row ? rows().indexOf(row) : -1;
  const claims = focused?.matches(".claim") ?? false;
  const before = row?.getBoundingClientRect().top ?? 0;
  for (const part of ["#worklist", "#freshness"]) $(part).replaceWith($(part, page));
  rename();
  news.clear();
  tell();
  if (focused?.id === "more") document.querySelector<HTMLElement>("#more")?.focus({ preventScroll: true });
  if (!row) return;
  const now = rowFor(uidOf(row)) ?? rows().at(Math.min(at, rows().length - 1)); // gone: who is there now
  if (!now) return;
  ((claims && now.querySelector<HTMLElement>(".claim")) || linkOf(now))?.focus({ preventScroll: true });
  scrollBy(0, now.getBoundingClientRect().top - before);
}

/** Show the list of a path in place of this one; returns whether it came. */
async function show(path: string): Promise<boolean> {
  try {
    const page = await read(path);
    await closed();
    replace(page);
    return true;
  } catch {
    stale();
    return false;
  }
}

/** Read as many studies again as are shown. */
function update(words = ""): Promise<void> {
  return inTurn(async () => {
    const query = asked();
    if (rows().length > 50) query.set("limit", String(Math.min(MOST_ROWS, rows().length)));
    if ((await show(pathOf(query))) && words) announce(words);
  });
}

function stale(): void {
  $("#freshness").textContent = "Not up to date: the portal does not answer";
}

const refresh = (): Promise<void> => update("The worklist was updated.");

let isAdding = false;

/** Add the next page below; the reader's place stays. */
async function more(): Promise<void> {
  if (isAdding) return;
  isAdding = true;
  const place = (): unknown => uidOf(rowOf(document.activeElement)) ?? document.activeElement;
  const from = place();
  await inTurn(() => add(() => place() === from || document.activeElement === document.body))
    .finally(() => { isAdding = false; });
}

/** Read the next page; the first of its studies gets the focus unless the reader has gone elsewhere. */
async function add(isWaiting: () => boolean): Promise<void> {
  const link = document.querySelector<HTMLAnchorElement>("#more");
  if (!link) return;
  link.setAttribute("aria-busy", "true");
  try {
    const page = await read(link.href);
    await closed();
    const known = new Set(rows().map(uidOf));
    const fresh = [...page.querySelectorAll<HTMLElement>("#worklist tbody tr")].filter((row) => !known.has(uidOf(row)));
    const body = document.querySelector("#worklist tbody");
    if (body) body.append(...fresh);
    else if (fresh.length) { replace(page); return; }
    const waits = isWaiting();
    const filtered = page.querySelector(".filtered");
    if (filtered) document.querySelector(".filtered")?.replaceWith(filtered);
    document.querySelector("#worklist .paging")?.replaceWith($("#worklist .paging", page));
    document.querySelector("[data-top]")?.remove();
    count();
    rename();
    announce(`${fresh.length} more, ${rows().length} shown.`);
    if (waits) (linkOf(fresh[0] ?? null) ?? document.querySelector<HTMLElement>("#more"))?.focus({ preventScroll: true });
  } catch {
    link.removeAttribute("aria-busy");
    stale();
  }
}

function count(): void {
  const counted: Record<string, number> = {
    shown: rows().length,
    urgent: all("tr.is-urgent").length,
    overdue: all("tr.is-overdue").length,
    mine: all("tr.is-mine").length,
  };
  for (const each of all("[data-count]")) each.textContent = String(counted[each.dataset.count ?? ""] ?? "");
}

// --- what changes ----------------------------------------------------------------------------------------

function inUse(): boolean {
  const focused = document.activeElement;
  const elsewhere = document.querySelector("#worklist tbody:hover");
  return Boolean(openDialog() ?? elsewhere ?? focused?.closest("#worklist, #filters"));
}

/** Say what is new; the list itself waits for the reader. */
function tell(): void {
  const words = news.words();
  if (words && words !== pill.textContent) announce(words);
  pill.textContent = words;
  pill.hidden = !words;
  pill.classList.toggle("pill-urgent", news.urgent > 0);
}

let soon: ReturnType<typeof setTimeout> | undefined;
function settle(): void {
  clearTimeout(soon);
  soon = setTimeout(() => {
    if (news.words() && !inUse()) void refresh();
  }, QUIET_MS);
}

function heard(change: Change): void {
  if (isReading) {
    meanwhile.push(change);
    return;
  }
  news.hear(change, shown(), { filtered: asked().size > 0 });
  if (!news.words()) $("#freshness").textContent = `As of ${change.at.slice(11, 19)} UTC`;
  if (inUse()) tell();
  else settle();
}

let stream: EventSource | null = null;

/** Listen while the page can be seen: a browser opens few streams to one host. */
function listen(): void {
  if (document.hidden) {
    stream?.close();
    stream = null;
    return;
  }
  if (stream) return;
  stream = new EventSource("/api/worklist/events");
  stream.addEventListener("change", (event: MessageEvent<string>) => heard(JSON.parse(event.data) as Change));
  stream.addEventListener("trouble", stale);
  stream.addEventListener("end", () => {
    stream?.close();
    stream = null;
    // Ended for the session, or for falling behind; asking tells which, and leads to the sign-in.
    void ask("/api/worklist?limit=1").then(() => setTimeout(listen, 1000), () => undefined);
  });
  stream.addEventListener("error", () => {
    stale();
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    stream = null;
    void fetch("/api/worklist?limit=1", { headers: { "X-FirstRead-Background": "1" } }).then(
      (response) => (response.status === 401 ? signIn() : setTimeout(listen, 5000)),
      () => setTimeout(listen, 5000),
    );
  });
}

// --- claiming --------------------------------------------------------------------------------------------

function confirmed(words: string): Promise<boolean> {
  const dialog = $<HTMLDialogElement>("#take-over");
  $("#take-over-words").textContent = words;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const asking = new Set<string>(); // a second press meanwhile is one too many
const updating = new Map<string, Promise<void>>();

async function claim(uid: string | undefined): Promise<void> {
  if (!uid || asking.has(uid)) return;
  asking.add(uid);
  try {
    await updating.get(uid); // until then the row says what it was before
    if (!(await claimNow(uid))) return;
  } finally {
    asking.delete(uid);
  }
  const own = update();
  updating.set(uid, own);
  await own;
  if (updating.get(uid) === own) updating.delete(uid);
}

/** Ask for what the button of a study says; returns whether it was asked. Rows are looked up anew after each wait. */
async function claimNow(uid: string): Promise<boolean> {
  const button = (): HTMLElement | null | undefined => rowFor(uid)?.querySelector<HTMLElement>(".claim");
  const kind = button()?.dataset.claim;
  if (!kind) return false;
  const holder = rowFor(uid)?.querySelector(".reader")?.textContent?.trim() ?? "";
  if (kind === "take over" && !(await confirmed(`${holder} is reading this study.`))) return false;
  button()?.setAttribute("aria-busy", "true"); // not disabled: that would take the focus away
  const path = `/api/studies/${uid}/claim`;
  const response = await ask(path, kind === "release" ? { method: "DELETE" } : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ take_over: kind === "take over" } satisfies Claim),
  }).catch(() => null);
  button()?.removeAttribute("aria-busy");
  if (!response?.ok) {
    const problem = (await response?.json().catch(() => null)) as Problem | null;
    announce(problem?.detail || problem?.title || "The portal does not answer.");
  } else {
    announce(kind === "release" ? "Released." : "The study is yours.");
  }
  return true;
}

// --- filters ---------------------------------------------------------------------------------------------

let choices = 0;

/** Show what the form asks for, and keep it for this reader in this browser; the address says it, too. */
async function filter(): Promise<void> {
  const mine = ++choices;
  const query = asked();
  const path = pathOf(query);
  if (isLive && query.size) localStorage.setItem(kept, query.toString());
  else if (isLive) localStorage.removeItem(kept);
  await inTurn(async () => {
    if (mine !== choices || !(await show(path))) return; // another choice was made while this one waited
    history.replaceState(null, "", path);
    announce(document.querySelector(".filtered p:nth-of-type(2)")?.textContent?.trim() || "All studies are shown.");
  });
}

function showAll(): void {
  for (const box of form.querySelectorAll<HTMLInputElement>("input")) {
    if (box.type === "checkbox") box.checked = false;
    else box.value = "";
  }
  void filter();
}

function openFilters(): void {
  filters.open = true;
  filters.querySelector<HTMLElement>("input")?.focus();
}

// --- start -----------------------------------------------------------------------------------------------

function step(by: number): void {
  const links = all("#worklist .row-link");
  if (!links.length) return;
  const focused = linkOf(rowOf(document.activeElement));
  const at = focused ? links.indexOf(focused) : -1;
  if (by > 0 && at === links.length - 1) { void more(); return; }
  const next = links[at < 0 ? 0 : Math.max(0, at + by)];
  next?.focus({ preventScroll: true });
  rowOf(next ?? null)?.scrollIntoView({ block: "nearest" });
}

function start(): void {
  const saved = localStorage.getItem(kept);
  if (isLive && saved && !location.search) {
    location.replace(`${location.pathname}?${saved}`);
    return;
  }
  startPage();
  watchSession();
  document.body.classList.add("has-script");
  pill.addEventListener("click", () => void refresh());
  form.addEventListener("change", () => void filter());
  form.addEventListener("submit", (event) => { event.preventDefault(); void filter(); });
  filters.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    filters.open = false;
    filters.querySelector("summary")?.focus();
  });
  main.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (event.ctrlKey || event.metaKey || event.shiftKey || !target) return;
    if (target.closest("#more")) { event.preventDefault(); void more(); }
    if (target.closest("[data-show-all]")) { event.preventDefault(); showAll(); }
    if (target.closest(".claim")) void claim(uidOf(rowOf(target)));
  });
  onKeys({
    j: () => step(1), k: () => step(-1), r: refresh, m: more, "/": openFilters,
    c: () => claim(uidOf(rowOf(document.activeElement))),
  });
  if (!isLive) return;
  listen();
  document.addEventListener("visibilitychange", listen);
}

start();
