const LINE_BREAKERS = /[\p{Cc}\p{Zl}\p{Zp}]/gu;
let last: { text: unknown; line: string } = { text: '', line: '' };

/**
 * A text for a message: names may hold keys from outside, which must not forge lines of a log. The last
 * one is remembered, since a rejecting breaker asks for its own name again and again.
 */
export function oneLine(text: unknown): string {
  if (text === last.text) return last.line;
  const line = String(text).replace(LINE_BREAKERS, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  last = { text, line };
  return line;
}
