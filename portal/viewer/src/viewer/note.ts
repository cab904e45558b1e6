// A line over the images for what cannot wait, gone after a while.

import { $ } from "../shared/page.ts";

const SECONDS = 10;
let saying: ReturnType<typeof setTimeout> | undefined;

/** Say something over the images; nothing takes back what was said. */
export function note(words: string): void {
  const element = $("#viewer-note");
  element.textContent = words;
  element.hidden = !words;
  clearTimeout(saying);
  saying = setTimeout(() => { element.hidden = true; }, SECONDS * 1000);
}
