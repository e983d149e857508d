// Runs programs for Linux arm64 as if they were for this machine, also as children of each other.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { debianPackages } from './cache.mjs';
import { run } from './run.mjs';

const registry = '/proc/sys/fs/binfmt_misc';
// The start of every ELF file for arm64, and which of its bits count (linux/elf.h).
const magic = `\\x7fELF\\x02\\x01\\x01${'\\x00'.repeat(9)}\\x02\\x00\\xb7\\x00`;
const mask = `${'\\xff'.repeat(7)}\\x00${'\\xff'.repeat(8)}\\xfe\\xff\\xff\\xff`;

const ownStat = "qemu makes up the start time in /proc/self/stat, by which a holder's life is told";
const ownThreads = 'qemu has threads of its own';

/** Tests that no program under qemu passes. */
export const beyondQemu = {
  'inspect names the exclusive holder in another process': ownStat,
  'inspect never sees a crash where holders come and go': ownStat,
  'without /proc/locks, the probe and the record tell': ownStat,
  'a wait that took too long says who holds the lock, and since when': ownStat,
  'a timeout names another process by its record': ownStat,
  'lockSync says after its timeout who holds the lock': ownStat,
  'a timeout without /proc/locks reads the record': ownStat,
  'a lock is handed over within a process without a thread for it': ownThreads,
};

const prefix = 'holdfast-arm64-';

/** Takes back what runs that were killed have left registered. */
function forgetDeadRuns() {
  for (const name of readdirSync(registry).filter((entry) => entry.startsWith(prefix))) {
    const pid = name.slice(prefix.length);
    if (!existsSync(`/proc/${pid}`) || pid === String(process.pid)) {
      writeFileSync(`${registry}/${name}`, '-1');
    }
  }
}

/** Calls `body` while the kernel hands such programs to qemu. */
export async function withQemu(body) {
  await debianPackages('qemu-user-static');
  if (!existsSync(`${registry}/register`)) {
    await run('mount', ['-t', 'binfmt_misc', 'binfmt_misc', registry]);
  }
  forgetDeadRuns();
  const name = `${prefix}${process.pid}`;
  // F: the interpreter is opened now, so that it is found in every mount namespace.
  writeFileSync(
    `${registry}/register`,
    `:${name}:M::${magic}:${mask}:/usr/bin/qemu-aarch64-static:F`,
  );
  try {
    return await body();
  } finally {
    writeFileSync(`${registry}/${name}`, '-1');
  }
}
