// A user's CommonJS module: Node 20.19 and later can require an ES module.
import holdfast = require('holdfast');

const lock: holdfast.FileLock | null = holdfast.tryLock('a');
lock?.release();
