/** Writes docs/reference/mqtt-conformance.md: `npm run conformance:table`. */

import { writeFileSync } from "node:fs";
import { conformanceTable } from "../test/conformance/statements/table.ts";

writeFileSync(new URL("../docs/reference/mqtt-conformance.md", import.meta.url), conformanceTable());
