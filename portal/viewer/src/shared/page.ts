// What every page of the portal shares: asking the server, saying, keys, waiting clocks, the help.

import { waiting } from "./words.ts";

/** Return the one element of a selector; a page without it is not the page this script was written for. */
export function $<E extends HTMLElement = HTMLElement>(selector: string, within: ParentNode = document): E {
  const found = within.querySelector<E>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

export const all = <E extends HTMLElement = HTMLElement>(selector: string): E[] => [
  ...document.querySelectorAll<E>(selector),
];

/** Say something to a screen reader. */
export function announce(text: string): void {
  $("#announce").textContent = text;
}

let active = false; // whether the reader did something since the last request that counts
for (const kind of ["keydown", "pointerdown", "wheel"]) {
  addEventListener(kind, () => { active = true; }, { passive: true });
}

/** Return the headers of a request: one that the page makes by itself must not keep a session alive. */
export function headers(): Record<string, string> {
  const mark: Record<string, string> = active ? {} : { "X-FirstRead-Background": "1" };
  active = false;
  return mark;
}

/** Lead to the sign-in, and back here afterwards. */
export function signIn(): never {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
  throw new Error("the session has ended");
}

const unsaved: (() => boolean)[] = [];

/** While this says yes, the page does not lead to the sign-in by itself: what the reader wrote is in it alone. */
export function stayWhile(isUnsaved: () => boolean): void {
  unsaved.push(isUnsaved);
}

/** Fetch a path of the portal. */
export async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  // A redirect leads to the sign-in, which is another site's page and not for fetch.
  const response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers }, redirect: "manual" });
  if (response.status === 401 || response.type === "opaqueredirect") {
    if (unsaved.some((each) => each())) throw new Error("the session has ended");
    signIn();
  }
  return response;
}

function tick(): void {
  for (const time of all<HTMLTimeElement>("time[data-since]")) time.textContent = waiting(time.dateTime);
}

/** A key's act; one that returns false leaves the key to the browser. */
export type KeyAct = (event: KeyboardEvent) => unknown;

/** Says, in this browser, that keys of one character do nothing (WCAG 2.1, 2.1.4: speech input types them by mistake). */
const NO_SINGLE_KEYS = "firstread.no-single-keys";
const isSingle = (key: string): boolean => key.length === 1 && key !== " ";

/** Bind keys that act wherever the reader is not typing. */
export function onKeys(bindings: Record<string, KeyAct>): void {
  addEventListener("keydown", (event) => {
    const act = bindings[event.key];
    const target = event.target instanceof Element ? event.target : document.body;
    const typing = target.closest("input:not([type=range], [type=checkbox]), select, textarea, [contenteditable]")
      ?? (event.key === " " && target.closest("[type=checkbox]"));
    if (isSingle(event.key) && localStorage.getItem(NO_SINGLE_KEYS)) return;
    if (!act || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if (document.querySelector("dialog[open]")) return;
    if (act(event) !== false) event.preventDefault();
  });
}

export function openHelp(): void {
  document.querySelector<HTMLDialogElement>("#help")?.showModal();
}

/** Let the reader switch off keys of one character, in the help. */
function offerSingleKeys(): void {
  const box = document.querySelector<HTMLInputElement>("#single-keys");
  if (!box) return;
  box.checked = !localStorage.getItem(NO_SINGLE_KEYS);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(NO_SINGLE_KEYS);
    else localStorage.setItem(NO_SINGLE_KEYS, "yes");
  });
}

/** Start what every page has. */
export function startPage(): void {
  document.querySelector("[data-open-help]")?.addEventListener("click", openHelp);
  onKeys({ "?": openHelp });
  offerSingleKeys();
  setInterval(tick, 10_000);
}
