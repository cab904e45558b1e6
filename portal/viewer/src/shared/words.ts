// Words for values, as `portal/logic/display.py` has them.

/** Return how long something waits. */
export function waiting(since: string, now = Date.now()): string {
  const minutes = Math.max(0, Math.floor((now - Date.parse(since)) / 60000));
  const hours = Math.floor(minutes / 60);
  const rest = String(minutes % 60).padStart(2, "0");
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${rest} min`;
  return minutes ? `${minutes} min` : "< 1 min";
}
