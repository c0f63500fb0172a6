#!/usr/bin/env node
// The executable. Everything is in ../src; `npm ci` (prepare) or `npm run build` makes ../dist/bundle of it.
// No ES module, because Node's loader of those stays in memory (docs/decisions/0015).
require("../dist/bundle/main.cjs");
