/**
 * Makes text from elsewhere fit for a terminal or a log: each control, format and direction-changing
 * character becomes U+FFFD. Messages of this library are; labels and paths in properties are as they were
 * given, whoever gave them.
 *
 * @param text a label, a path or the like.
 *
 * @example Say who is at it
 * ```ts
 * import { inspect, printable } from 'holdfast';
 *
 * const { holder } = await inspect('sessions/a.jsonl');
 * console.log(printable(`held by pid ${holder?.pid} for ${holder?.label}`));
 * ```
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
}
