import { expect } from 'vitest';
import { needs } from './helpers/needs.js';
import { start } from './helpers/program.js';

const entry = new URL('../dist/index.js', import.meta.url).href;
const importing = ['--input-type=module', '-e', `import ${JSON.stringify(entry)}`];

needs('a flag that refuses addons')(
  'a process that may load no addons is told which flags say so',
  async () => {
    const { code, stderr } = await start(process.execPath, ['--no-addons', ...importing]).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('leave --no-addons out, or add --allow-addons to --permission');
  },
);
