// The review API. A session that has ended leads away only where the reader asked for it: what they wrote is in this page.

import { headers } from "../shared/page.ts";
import type { Conflict, SignInProblem } from "../shared/api.d.ts";

/** A problem (RFC 9457) of the review API, with what there is now where somebody was faster; status 0 for no answer. */
export type Problem = { status: number } & Partial<Conflict & SignInProblem>;

export class RefusedError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title || "The portal does not answer.");
    this.problem = problem;
  }
}

const KEPT_ALIVE_BYTES = 60_000; // browsers keep at most 64 KiB on their way after a page has gone

/** Ask the API; anything but success is a `RefusedError`. */
export async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const text = body && JSON.stringify(body);
  const response = await fetch(path, {
    method,
    headers: { ...headers(), ...(text ? { "Content-Type": "application/json" } : {}) },
    ...(text ? { body: text } : {}),
    keepalive: (text?.length ?? 0) * 2 < KEPT_ALIVE_BYTES,
    redirect: "manual",
  }).catch(() => { throw new RefusedError({ status: 0, title: "The portal cannot be reached." }); });
  if (response.status === 204) return undefined as T;
  const answer: unknown = await response.json().catch(() => ({}));
  if (!response.ok) throw new RefusedError({ ...(answer as object), status: response.status || 401 });
  return answer as T;
}
