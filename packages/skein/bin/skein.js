#!/usr/bin/env node
// The executable. Everything is in ../src; `npm ci` (prepare) or `npm run build` compiles it to ../dist.
import "../dist/main.js";
