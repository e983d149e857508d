/** Waits for what comes by the end of a lease: held locks do not keep a process alive. */
export async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1_000);
  return promise.finally(() => clearInterval(timer));
}
