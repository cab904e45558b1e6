// The buttons of the viewer: each has a label, a key, and the state of what it does.

import { $ } from "../shared/page.ts";
import type { Tool } from "./input.ts";
import type { Pane } from "./pane.ts";
import { type Preset, presetsOf } from "./windows.ts";

const find = <E extends HTMLElement>(root: HTMLElement, selector: string): E[] => [...root.querySelectorAll<E>(selector)];

export class Toolbar {
  #root: HTMLElement;
  #presets: Preset[] = [];

  constructor(root: HTMLElement, acts: Record<string, () => void>, choose: (tool: Tool) => void) {
    this.#root = root;
    for (const button of find<HTMLButtonElement>(root, "[data-tool]")) {
      button.addEventListener("click", () => choose(button.dataset.tool as Tool));
    }
    for (const button of find<HTMLButtonElement>(root, "[data-act]")) {
      button.addEventListener("click", () => acts[button.dataset.act ?? ""]?.());
    }
  }

  reflect(pane: Pane, tool: Tool): void {
    const count = pane.stack?.ids.length ?? 0;
    this.press("[data-tool]", (button) => button.dataset.tool === tool);
    this.press('[data-act="invert"]', () => pane.isInverted);
    // There already while the first image is alone: its appearing would resize the image.
    $("#scroll").hidden = count < 2 && !pane.stack?.isPart;
    $('[data-act="play"]').hidden = count < 2;
    const slider = $<HTMLInputElement>("#slider");
    slider.max = String(Math.max(1, count));
    slider.value = String(pane.index + 1);
    $("#position").textContent = `${pane.index + 1} / ${count}`;
    this.#reflectPresets(pane);
  }

  #reflectPresets(pane: Pane): void {
    const presets = presetsOf(pane.stack);
    const select = $<HTMLSelectElement>("#preset");
    $("#presets").hidden = pane.frame?.isColour ?? false;
    if (this.#presets !== presets) {
      this.#presets = presets;
      select.replaceChildren(...presets.map(({ name }, index) => new Option(`${index + 1} ${name}`, String(index))), new Option("By hand", "-1"));
    }
    select.value = String(pane.preset ? presets.indexOf(pane.preset) : -1);
  }

  press(selector: string, isPressed: (button: HTMLElement) => boolean): void {
    for (const button of find(this.#root, selector)) button.setAttribute("aria-pressed", String(isPressed(button)));
  }

  /** Mark the series that is shown. */
  mark(series: string): void {
    for (const button of find(this.#root, "button[data-series]")) {
      if (button.dataset.series === series) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }
}
