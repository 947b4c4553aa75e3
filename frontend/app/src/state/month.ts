// Months as the API names them: `2026-11`.

/** The month of a moment, in UTC, as figures are kept. */
export function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7);
}

/** This month and the eleven before it, newest first. */
export function lastMonths(now: number, most = 12): string[] {
  const date = new Date(now);
  return Array.from({ length: most }, (_, back) =>
    monthOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - back, 1)),
  );
}
