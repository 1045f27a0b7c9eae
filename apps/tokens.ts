import { type Command, Option } from 'commander';
import { tokensFromFile, tokenWarning } from 'varlog/node';

/** The option by which a program gets access tokens: it asks for them where it serves, and shows the first to the cluster. */
export function tokenOption(): Option {
  return new Option(
    '--token-file <file>',
    'access tokens, one a line: what is served is for those who show one of them; the first is shown to others',
  ).env('VARLOG_TOKEN_FILE');
}

/** The tokens that a program was given. Throws `CONFIG_INVALID` for a file that cannot be used. */
export function tokensOf(program: Command): readonly string[] | undefined {
  return tokensFromFile(program.opts()['tokenFile'] as string | undefined);
}

/** Tells an operator of addresses at which tokens could be read on their way. HTTP here is never encrypted. */
export function warnOfTokens(
  tokens: readonly string[] | undefined,
  addresses: readonly { address: string; isEncrypted?: boolean }[],
): void {
  if (tokens === undefined) return;
  for (const { address, isEncrypted = false } of addresses) {
    const warning = tokenWarning(address, isEncrypted);
    if (warning !== undefined) console.warn(`warning: ${warning}`);
  }
}
