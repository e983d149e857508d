// The sources of one system as binding.gyp lists them: one list for every way to build.
import { execFileSync } from 'node:child_process';

// A gyp file is a Python literal.
const toJson = 'import ast, json, sys; print(json.dumps(ast.literal_eval(sys.stdin.read())))';
const gypSystems = { linux: 'linux', darwin: 'mac', win32: 'win' };

export function sourcesFor(platform, gypFile) {
  const { targets } = JSON.parse(execFileSync('python3', ['-c', toJson], { input: gypFile }));
  const [{ sources, conditions }] = targets;
  // Conditions about anything but the system choose a sanitizer.
  const chosen = conditions.flatMap(([test, then, otherwise]) => {
    const system = /^OS=="(\w+)"$/.exec(test)?.[1];
    if (system === undefined) return [];
    return (system === gypSystems[platform] ? then : otherwise)?.sources ?? [];
  });
  return [...sources, ...chosen];
}
