/** `node simulations/compose/write-compose-file.ts`: writes docker-compose.yml anew. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { composeFile, NODES } from "./compose-file.ts";

writeFileSync(join(import.meta.dirname, "docker-compose.yml"), composeFile(NODES));
