// The page of a study.

import type { StudyView } from "./shared/api.d.ts";
import { $, announce, ask, onKeys, startPage } from "./shared/page.ts";
import { watchSession } from "./shared/session.ts";
import { showFirst } from "./viewer/fallback.ts";
import { begin } from "./viewer/source.ts";
import type { Viewer } from "./viewer/viewer.ts";

const CHECK_SECONDS = 30;
const ASKED = "asked"; // in place of a fingerprint that the answer will tell

startPage();
watchSession();
const main = $("main");
const path = `/api/studies/${main.dataset.study}`;
// At once: the way back must not wait for images.
onKeys({ w: () => location.assign("/"), r: () => location.reload() });

const viewer = document.querySelector<HTMLElement>("#viewer");
const opened = viewer ? openViewer(viewer) : Promise.resolve(null);
const review = document.querySelector<HTMLElement>("#review");
if (review) void openReview(review);

const pill = $("#changes");
pill.addEventListener("click", () => location.reload());
setInterval(async () => {
  // Empty after an act of this page: what that changed is no news.
  main.dataset.fingerprint ||= ASKED;
  const answer = await ask(path).catch(() => null);
  if (!answer?.ok || !pill.hidden) return;
  const fresh = (await answer.json()) as StudyView;
  if (!main.dataset.fingerprint) return; // the act was meanwhile: the answer may be from before it
  if (main.dataset.fingerprint === ASKED) main.dataset.fingerprint = fresh.summary.fingerprint;
  if (fresh.summary.fingerprint === main.dataset.fingerprint) return;
  pill.hidden = false;
  announce(pill.textContent);
}, CHECK_SECONDS * 1000);

/** Open the viewer; where its pixels cannot be drawn, the first image comes as the server draws it. */
async function openViewer(root: HTMLElement): Promise<Viewer | null> {
  try {
    const { series = "", sop = "", entry = "", many } = root.dataset;
    begin(main.dataset.study ?? "", series, sop, { entry, isOne: many === undefined });
    const { Viewer } = await import("./viewer/viewer.ts");
    const viewer = await Viewer.open(root, main.dataset.study ?? "");
    // Where other scripts of this page find it.
    Object.assign(root, { viewer });
    root.dispatchEvent(new Event("viewer-open"));
    return viewer;
  } catch (error) {
    showFirst(root, error);
    return null;
  }
}

/** Open the findings panel in place of the findings that the server has listed. */
async function openReview(root: HTMLElement): Promise<void> {
  const { Panel } = await import("./review/panel.ts");
  const panel = await Panel.open(root, main.dataset.study ?? "").catch(() => null);
  if (!panel) return; // the list of the server stays
  for (const each of document.querySelectorAll(".findings .finding")) each.remove();
  const title = document.querySelector("#findings-title");
  if (title) title.textContent = "Models";
  const viewer = await opened;
  if (viewer) await panel.use(viewer);
}
