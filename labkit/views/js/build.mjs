// Bundles src/ into ../static, or into the folder given: `node build.mjs [folder]`. The same source gives the same bytes.
import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const into = resolve(process.argv[2] ?? join(here, "..", "static"));

// What is not ours comes with its licence, but for its address: the bundles name nothing outside.
const licence = (name) =>
  readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").replace(/ \(https?:[^)]*\)/g, "").trim();
const terminal = `/*! With xterm.js, ${licence("@xterm/xterm")}\n*/`;

await build({
  absWorkingDir: here,
  entryPoints: { hostview: "src/index.js" },
  outdir: into,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  absWorkingDir: here,
  entryPoints: { hostview: "src/style.css" },
  outdir: into,
  bundle: true,
  minify: true,
  charset: "utf8",
  logLevel: "warning",
});
await build({
  absWorkingDir: here,
  entryPoints: { console: "src/console.js" },
  outdir: into,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  banner: { js: terminal },
  legalComments: "none",
  logLevel: "warning",
});
await build({
  absWorkingDir: here,
  entryPoints: { console: "src/console.css" },
  outdir: into,
  bundle: true,
  minify: true,
  charset: "utf8",
  banner: { css: terminal },
  legalComments: "none",
  logLevel: "warning",
});
