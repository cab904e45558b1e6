import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const ENTRIES = ["folder", "page", "study", "teaching", "worklist"];

// vtk.js brings a second way to draw, which Cornerstone never asks for, and a reader of meshes in XML; half a megabyte.
const UNUSED = /\/WebGPU\/(Profiles\/\w+|RenderWindow)\.js$|\/IO\/XML\/XMLPolyDataReader\.js$/;

const leaveOut: Plugin = {
  name: "leave-out",
  enforce: "pre",
  resolveId: (source) => (UNUSED.test(source) ? "\0unused" : null),
  load: (id) => (id === "\0unused" ? "export const newInstance = undefined; export default {};" : null),
};

/** Zips what is worth it once, at the best level, for the server to hand out as it is. */
const zip: Plugin = {
  name: "zip",
  writeBundle({ dir = "" }) {
    const folder = join(dir, "assets");
    for (const name of readdirSync(folder)) {
      const zipped = gzipSync(readFileSync(join(folder, name)), { level: 9 });
      if (zipped.length > 1000) writeFileSync(join(folder, `${name}.gz`), zipped);
    }
  },
};

export default defineConfig({
  base: "/static/app/",
  publicDir: false,
  plugins: [leaveOut, zip],
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
