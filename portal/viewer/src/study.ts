// The page of a study.

import { $, announce, ask, onKeys, startPage } from "./shared/page.ts";
import { watchSession } from "./shared/session.ts";
import { begin } from "./viewer/source.ts";

const CHECK_SECONDS = 30;

startPage();
watchSession();
const main = $("main");
const path = `/api/studies/${main.dataset.study}`;
// At once: the way back must not wait for images.
onKeys({ w: () => location.assign("/"), r: () => location.reload() });

const viewer = document.querySelector<HTMLElement>("#viewer");
if (viewer) void openViewer(viewer);

const pill = $("#changes");
pill.addEventListener("click", () => location.reload());
setInterval(async () => {
  const answer = await ask(path).catch(() => null);
  if (!answer?.ok || !pill.hidden) return;
  const fresh = (await answer.json()) as { summary: { fingerprint: string } };
  if (fresh.summary.fingerprint === main.dataset.fingerprint) return;
  pill.hidden = false;
  announce(pill.textContent);
}, CHECK_SECONDS * 1000);

/** Open the viewer; where its pixels cannot be drawn, the first image comes as the server draws it. */
async function openViewer(root: HTMLElement): Promise<void> {
  try {
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("This browser has no WebGL 2.");
    const { series = "", sop = "" } = root.dataset;
    begin(main.dataset.study ?? "", series, sop);
    const { Viewer } = await import("./viewer/viewer.ts");
    const viewer = await Viewer.open(root, main.dataset.study ?? "");
    // Where other scripts of this page find it.
    Object.assign(root, { viewer });
    root.dispatchEvent(new Event("viewer-open"));
  } catch (error) {
    const words = error instanceof Error ? error.message : "The viewer cannot be opened.";
    const note = $("#viewer-note");
    note.textContent = `${words} Only the first image is shown, as the server draws it.`;
    note.hidden = false;
    const fallback = new Image();
    fallback.className = "fallback";
    fallback.src = root.dataset.fallback ?? "";
    fallback.alt = "First image";
    $("#panes").append(fallback);
  }
}
