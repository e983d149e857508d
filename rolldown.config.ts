import { defineConfig } from 'rolldown';

// What is started or imported by its own name; everything else is loaded with these, in few files,
// because each file that an import has to find and read takes some 0.4 ms.
const entries = [
  'index',
  'json-store/index',
  'session-lock/index',
  'cli/main',
  'cli/run',
  'cli/status',
  'cli/prune',
  'cli/doctor',
  'cli/contender-process',
];

export default defineConfig({
  input: Object.fromEntries(entries.map((entry) => [entry, `src/${entry}.ts`])),
  platform: 'node',
  transform: { target: 'node20.19' },
  external: [/^node:/, 'detect-libc'],
  // Modules here register with each other when they are loaded, although "sideEffects" is false for users.
  treeshake: { moduleSideEffects: true },
  preserveEntrySignatures: 'strict',
  output: {
    dir: 'dist',
    cleanDir: true,
    // The declarations have them.
    comments: { jsdoc: false },
    // All of them in dist itself: native.ts looks for the addon from where it is.
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: [
        // Also where the addon does not load.
        { name: 'command', test: /src.(printable|cli.(command|exit-codes))\.ts$/ },
        { name: 'core', test: /src.[^/\\]+\.ts$/ },
      ],
    },
  },
});
