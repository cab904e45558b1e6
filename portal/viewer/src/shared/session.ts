// Says that the session is about to end; the server decides, and activity in another window counts.

import type { SessionView } from "./api.d.ts";
import { ask } from "./page.ts";

const CHECK_MS = 15_000;
const WARNING_SECONDS = 120; // of the 900 without activity

/** Watch the session of a page that has a place for the warning. */
export function watchSession(): void {
  const bar = document.querySelector<HTMLElement>("#session-warning");
  const text = bar?.querySelector<HTMLElement>("[data-text]");
  if (!bar || !text) return;

  let turn = 0;

  async function check(): Promise<void> {
    const mine = ++turn;
    const response = await ask("/api/session").catch(() => null);
    if (!bar || !text || !response?.ok) return;
    const { seconds_left: left } = (await response.json()) as SessionView;
    if (mine !== turn) return; // what was asked later knows better
    const minutes = Math.max(1, Math.ceil(left / 60));
    const words = `You will be signed out in ${minutes} minute${minutes === 1 ? "" : "s"}.`;
    if (left <= WARNING_SECONDS && text.textContent !== words) text.textContent = words;
    bar.hidden = left > WARNING_SECONDS;
  }

  bar.querySelector("[data-stay]")?.addEventListener("click", () => void check());
  setInterval(() => void check(), CHECK_MS);
}
