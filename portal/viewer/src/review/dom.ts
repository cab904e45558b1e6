// Elements, made as they are needed.

export type Child = Node | string | null | false | undefined;
type Values = Record<string, string | boolean | ((event: Event) => void) | undefined>;

/** Make an element; a value that is a function listens to the event of that name, false and undefined set nothing. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, values: Values = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  element.append(...children.filter((each): each is Node | string => Boolean(each)));
  return element;
}

export function button(words: string, act: () => void, values: Values = {}): HTMLButtonElement {
  return h("button", { type: "button", click: act, ...values }, words);
}

/** What a choice is: a value that stands there, or an act that is done by choosing. */
export type ChoiceKind = "value" | "act";

/**
 * A choice with a label; the first option is no choice where `none` has words for it.
 *
 * It is taken at once where it is made with the pointer. Keys go through the options, and each on the way is a change,
 * too (WCAG 2.1, 3.2.2): then Enter takes it. Whoever goes on without Enter has taken a value, and not done an act.
 */
export function choice<T>(
  label: string, key: string, options: readonly T[], words: (each: T) => string, chosen: T | null | undefined,
  act: (each: T | null) => void, none = "", kind: ChoiceKind = "value",
): HTMLElement {
  const select = h("select", { "data-key": key });
  if (none) select.add(new Option(none, "-1"));
  options.forEach((each, index) => select.add(new Option(words(each), String(index))));
  const before = String(chosen == null ? -1 : options.indexOf(chosen));
  select.value = before;
  let byKeys = false;
  let waits = false;
  const take = (): void => {
    waits = false;
    act(options[Number(select.value)] ?? null);
  };
  select.addEventListener("pointerdown", () => { byKeys = false; });
  select.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") byKeys = true;
    else if (waits) {
      if (!event.ctrlKey) event.preventDefault(); // taking it may move the focus, and what gets it is not to be pressed
      take();
    }
  });
  select.addEventListener("change", () => {
    if (byKeys) waits = true;
    else take();
  });
  select.addEventListener("blur", () => {
    if (!waits) return;
    if (kind === "value") setTimeout(take); // once the focus is where it goes
    else select.value = before;
    waits = false;
  });
  const hint = kind === "act" && h("span", { class: "by-key" }, "By keys, ", h("kbd", {}, "Enter"), " takes it");
  return h("label", {}, label, select, hint);
}

/** Replace all within an element; the focus stays where it was, by the `data-key` of what has it. */
export function replace(root: HTMLElement, ...children: Child[]): void {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && root.contains(active) ? active.dataset.key : undefined;
  root.replaceChildren(...children.filter((each): each is Node | string => Boolean(each)));
  if (key) root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
