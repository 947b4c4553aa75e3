export type Answer = { statusCode: number; headers: Record<string, string>; body: string };

export const json = (statusCode: number, value: unknown): Answer => ({
  statusCode,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});
