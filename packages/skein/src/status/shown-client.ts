/** How a client id, which anybody may choose, stands in a sentence for the operator. */

/** As much of it as a line can show. */
const SHOWN_MAX = 64;
/** What every shell takes as it is. */
const PLAIN = /^[\w.:@%+,/][\w.:@%+,/-]{0,63}$/;

/** With quotation marks. */
export function shownClient(clientId: string): string {
  return clientId.length > SHOWN_MAX ? `"${clientId.slice(0, SHOWN_MAX)}..."` : `"${clientId}"`;
}

/**
 * A command that connects with it once, which ends its session; undefined: it would have to be quoted. The operator pastes that into a shell,
 * where another's text must not be run.
 */
export function endingCommand(clientId: string): string | undefined {
  return PLAIN.test(clientId) ? `skein pub -i ${clientId} -t skein/end -n` : undefined;
}
