// A stack played in a loop, at a pace that the pane can keep.

import type { Pane } from "./pane.ts";

const FRAMES_PER_SECOND = 15;

export class Cine {
  #pane: () => Pane;
  #onChange: () => void;
  #playing: ReturnType<typeof setTimeout> | null = null;
  #turn = 0;

  constructor(pane: () => Pane, onChange: () => void) {
    this.#pane = pane;
    this.#onChange = onChange;
  }

  get isPlaying(): boolean {
    return this.#playing !== null;
  }

  toggle(): void {
    if (this.#playing) {
      this.stop();
      return;
    }
    const mine = ++this.#turn;
    const turn = async (): Promise<void> => {
      const began = performance.now();
      const pane = this.#pane();
      await pane.go((pane.index + 1) % Math.max(1, pane.stack?.ids.length ?? 1));
      const left = 1000 / FRAMES_PER_SECOND - (performance.now() - began);
      if (this.#playing && mine === this.#turn) this.#playing = setTimeout(() => void turn(), Math.max(0, left));
    };
    this.#playing = setTimeout(() => void turn(), 0);
    this.#onChange();
  }

  stop(): void {
    if (this.#playing) clearTimeout(this.#playing);
    this.#playing = null;
    this.#onChange();
  }
}
