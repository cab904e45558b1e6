import { defineConfig } from "vite";

const ENTRIES = ["page", "study", "teaching", "worklist"];

export default defineConfig({
  base: "/static/app/",
  publicDir: false,
  // vtk.js imports Node's `events`; without this the build passes and the page dies.
  resolve: { alias: { events: "events/" } },
  build: {
    outDir: "../static/app",
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2023",
    sourcemap: false,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 6000,
    rolldownOptions: {
      input: Object.fromEntries(ENTRIES.map((name) => [name, `src/${name}.ts`])),
    },
  },
});
