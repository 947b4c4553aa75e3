// What an invocation costs (AWS Lambda pricing, arm64, us-east-1, first tier).

/** Dollars for a GB-second. */
const GB_SECOND_USD = 0.0000133334;
const REQUEST_USD = 0.0000002;

export function invocationCost(billedMs: number, memoryMb: number): number {
  return (billedMs / 1000) * (memoryMb / 1024) * GB_SECOND_USD + REQUEST_USD;
}

/** Dollars for a thousand such calls, as text. */
export function perThousand(usd: number): string {
  return `$${(usd * 1000).toFixed(usd * 1000 < 0.01 ? 5 : 4)} / 1000`;
}
