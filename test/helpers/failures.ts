import { lock, lockSync, tryLock, withLock } from 'holdfast';

export type Options = Parameters<typeof lock>[1];

const noop = () => {};

/** The same through every function that takes a lock; each must say the same. */
export async function failures(
  resource: unknown,
  options?: Options,
): Promise<NodeJS.ErrnoException[]> {
  const calls = [
    async () => tryLock(resource as string, options),
    async () => lockSync(resource as string, options),
    () => lock(resource as string, options),
    () => withLock(resource as string, options ?? {}, noop),
  ];
  return Promise.all(
    calls.map((call) =>
      call().then(
        () => {
          throw new Error('it was accepted');
        },
        (error: NodeJS.ErrnoException) => error,
      ),
    ),
  );
}
