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

/** A choice with a label; the first option is no choice where `none` has words for it. */
export function choice<T>(
  label: string, key: string, options: readonly T[], words: (each: T) => string, chosen: T | null | undefined,
  act: (each: T | null) => void, none = "",
): HTMLElement {
  const select = h("select", { "data-key": key });
  if (none) select.add(new Option(none, "-1"));
  options.forEach((each, index) => select.add(new Option(words(each), String(index))));
  select.value = String(chosen == null ? -1 : options.indexOf(chosen));
  select.addEventListener("change", () => act(options[Number(select.value)] ?? null));
  return h("label", {}, label, select);
}

/** Replace all within an element; the focus stays where it was, by the `data-key` of what has it. */
export function replace(root: HTMLElement, ...children: Child[]): void {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && root.contains(active) ? active.dataset.key : undefined;
  root.replaceChildren(...children.filter((each): each is Node | string => Boolean(each)));
  if (key) root.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
