// What is made once: whoever asks again has the same, unless it failed.

/** Return what is kept under a key, else what is made now; what fails is made again by the next who asks. */
export function kept<T>(all: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = all.get(key);
  if (known) return known;
  const made = make();
  made.catch(() => all.delete(key));
  all.set(key, made);
  return made;
}
