// The packages that `make test-tools` has fetched. The fixtures are started in folders of their own, far from these.
import { createRequire } from "node:module";

export const require = createRequire(new URL("../../.tools/node/", import.meta.url));
