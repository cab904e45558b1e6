// Where pixels cannot be drawn: the first image, as the server draws it.

import { $ } from "../shared/page.ts";

/** Show the first image of a viewer that cannot be opened, and say why. */
export function showFirst(root: HTMLElement, error: unknown): void {
  const words = error instanceof Error ? error.message : "The viewer cannot be opened.";
  const note = $("#viewer-note");
  note.textContent = `${words} Only the first image is shown, as the server draws it.`;
  note.hidden = false;
  const fallback = new Image();
  fallback.className = "fallback";
  fallback.src = root.dataset.fallback ?? "";
  fallback.alt = "First image";
  $("#panes").append(fallback);
}
