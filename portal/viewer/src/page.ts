// Pages without a script of their own: help, waiting clocks, the end of the session.

import { startPage } from "./shared/page.ts";
import { watchSession } from "./shared/session.ts";

startPage();
watchSession();
