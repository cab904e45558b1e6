// Saves what the reader says a moment after they stop: one request at a time, and what was said meanwhile after it.

const DELAY_MS = 1000;

export class Saver {
  #save: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | null = null;
  #isDirty = false;
  #isForgotten = false;

  /** `save` sends what is there when it is called; where it throws, nothing counts as saved. */
  constructor(save: () => Promise<void>) {
    this.#save = save;
  }

  get isDirty(): boolean {
    return this.#isDirty || this.#running !== null;
  }

  /** Whether something was changed since what is saved now was sent. */
  get isBehind(): boolean {
    return this.#isDirty;
  }

  /** Something was changed. */
  touch(): void {
    this.#isDirty = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush().catch(() => undefined), DELAY_MS);
  }

  /** Nothing is left to be saved. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#isDirty = false;
    this.#isForgotten = true;
  }

  /** Save now what has not been saved; rejects where that was not possible. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#running || this.#isDirty) {
      this.#running ??= this.#once();
      await this.#running;
    }
  }

  async #once(): Promise<void> {
    this.#isDirty = this.#isForgotten = false;
    try {
      await this.#save();
    } catch (error) {
      if (!this.#isForgotten) this.#isDirty = true;
      throw error;
    } finally {
      this.#running = null;
    }
  }
}
