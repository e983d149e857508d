import { Actor } from './actor.js';
import { faults } from './faults.js';

/** An actor whose system calls can be made to fail (test/fixtures/faults.c). */
export const faultyActor = () => Actor.start({ env: faults, quiet: true });

/** Sets a fault in the actor, or takes it away. */
export const setFault = (actor: Actor, name: string, value: number) =>
  actor.run(
    (_, name, value) => {
      process.env[name] = String(value);
    },
    `FAULT_${name}`,
    value,
  );
