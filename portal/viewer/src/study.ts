// The page of a study.

import { $, announce, ask, onKeys, startPage } from "./shared/page.ts";

const CHECK_SECONDS = 30;

startPage();
const main = $("main");
const path = `/api/studies/${main.dataset.study}`;
// At once: the way back must not wait for images.
onKeys({ w: () => location.assign("/"), r: () => location.reload() });

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
