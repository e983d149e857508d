/** Microseconds of the system's monotonic clock: the same in every process of the machine, C programs included. */
export const nowUs = () => Number(process.hrtime.bigint()) / 1000;
